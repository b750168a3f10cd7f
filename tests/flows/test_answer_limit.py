"""The bound on answers to one number is the database's: for all processes, whatever restarts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from smsgate.errors import StoreUnavailable
from smsgate.flows.answer_limit import ANSWERS_A_DAY, answered_day
from smsgate.store.answer_counts import count_answers
from smsgate.store.pool import Database
from tests.flows.inbound_world import outcomes, say
from tests.flows.world import FIRST_MSISDN, a_world, eventually
from tests.store.test_consent_crossings import WAITING


async def test_a_machine_that_outlives_the_process_gets_no_more_answers(database: Database) -> None:
    async with a_world(database, subscribers=2) as world:
        async with world.gateway():
            for n in range(ANSWERS_A_DAY):
                await say(world, 0, f"Vorgang {n}/26, wir melden uns")
        async with world.gateway():
            await say(world, 0, "Vorgang 9/26, wir melden uns", answers=0)
            await say(world, 1, "Vorgang 9/26, wir melden uns")
        assert len(world.texts_to(0)) == ANSWERS_A_DAY


async def test_what_another_process_answers_at_the_same_time_counts(database: Database) -> None:
    """The gateway has read no answers, and meets the other's row when it writes its own."""
    key = answered_day(FIRST_MSISDN, datetime.now(UTC))
    async with a_world(database, subscribers=1) as world, world.gateway():
        async with database.bulk_transaction() as other:
            await count_answers(other, {}, {key: ANSWERS_A_DAY})
            mo = world.answer(0, "Vorgang 1/26, wir melden uns")
            await eventually(lambda: world.value(WAITING))
        await eventually(lambda: mo.taken)
        await asyncio.sleep(0.2)
        assert world.texts_to(0) == []
        assert await outcomes(world) == {"asked": 1}
        assert await world.value("SELECT answers FROM answer_count") == ANSWERS_A_DAY


async def test_a_count_that_was_decided_by_an_older_one_is_not_written(database: Database) -> None:
    key = answered_day(FIRST_MSISDN, datetime.now(UTC))
    async with database.bulk_transaction() as connection:
        await count_answers(connection, {}, {key: 1})
    async with database.bulk_transaction() as connection:
        read = {key: 1}
        await count_answers(connection, read, {key: 1})
    with pytest.raises(StoreUnavailable) as crossed:
        async with database.bulk_transaction() as connection:
            await count_answers(connection, read, {key: 1})
    assert crossed.value.sqlstate == "40001"
    async with database.bulk() as connection:
        assert await connection.fetchval("SELECT answers FROM answer_count") == 2
