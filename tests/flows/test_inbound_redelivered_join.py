"""What is said behind a JOIN that another gateway is committing meanwhile is its person's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgate.flows.records import MobileOriginated
from smsgate.security.suppression import EVERYBODY
from smsgate.store.pool import Database
from tests.flows.inbound_world import events
from tests.flows.test_consent_by_sms import HASHES, a_second_merchant
from tests.flows.test_joining import STRANGER, a_keyword, person
from tests.flows.world import FIRST_MSISDN, SENDER, World, a_world, eventually
from tests.store.waiting import so_many_wait

MSISDN = FIRST_MSISDN + STRANGER


def an_mo(text: str) -> MobileOriginated:
    return MobileOriginated(1, MSISDN, str(MSISDN), SENDER, text, text.encode(), 0, datetime.now(UTC))


async def said_behind_a_join(world: World, text: str) -> None:
    """A JOIN that one gateway is committing is delivered again to the other one, with a text behind it."""
    async with world.gateway() as one, world.gateway() as two:
        await a_keyword(world, double_opt_in=False)
        join = an_mo("JOIN JAZZ")
        async with world.database.control() as held, held.transaction():
            await held.execute("LOCK TABLE consent_event IN SHARE MODE")
            one.intake.put(join)
            await eventually(lambda: so_many_wait(world.database, 1))
            two.intake.put(join)
            two.intake.put(an_mo(text))
            await eventually(lambda: so_many_wait(world.database, 2))
        await eventually(lambda: one.intake.taken == 1 and two.intake.taken == 2)


async def test_a_stop_is_the_person_s_and_not_one_to_every_merchant(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        await a_second_merchant(world)
        await said_behind_a_join(world, "STOP")
        assert (await person(world))["offers_state"] == "unsubscribed"
        noted = {bytes(row["hash"]) for row in await world.rows("SELECT hash FROM number_stop")}
        assert HASHES.of(EVERYBODY, MSISDN) not in noted
        assert await world.value("SELECT subscriber_id FROM inbound_message WHERE text = 'STOP'")
        assert await world.value("SELECT inbound_id FROM consent_event WHERE event = 'stop'"), "its proof"
        assert len(await events(world, "consent.revoked")) == 1


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("PAUSE", "SELECT offers_state = 'paused' FROM subscriber WHERE msisdn = $1"),
        ("LESS", "SELECT less_at IS NOT NULL FROM subscriber WHERE msisdn = $1"),
    ],
)
async def test_what_else_is_said_is_done(database: Database, text: str, done: str) -> None:
    async with a_world(database, subscribers=1) as world:
        await said_behind_a_join(world, text)
        async with world.database.control() as connection:
            assert await connection.fetchval(done, MSISDN)
