"""What one process commits, another hears at once; that it did not listen, it says itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from smsgate.campaigns.offer_states import Drop
from smsgate.flows.inbound_records import ConsentChange
from smsgate.store.notices import (
    Notices,
    publish_consents,
    publish_ended,
    publish_key,
    publish_prices,
    publish_sender_stop,
    publish_start,
    publish_stop,
    publish_withdrawal,
)
from smsgate.store.pool import Database


@dataclass
class Heard:
    stops: set[tuple[int | str, int]] = field(default_factory=set)
    withdrawals: list[tuple[int, int]] = field(default_factory=list)
    ended: list[tuple[int, int, Drop]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    prices: int = 0
    gaps: int = 0
    broken: bool = False

    def on_stop(self, whose: int | str, msisdn: int) -> None:
        self.stops.add((whose, msisdn))

    def on_prices(self) -> None:
        self.prices += 1

    def on_gap(self) -> None:
        self.gaps += 1
        if self.broken:
            self.broken = False
            raise RuntimeError("a mistake of ours")

    def on_start(self, whose: int | str, msisdn: int) -> None:
        self.stops.discard((whose, msisdn))


@asynccontextmanager
async def listening(database: Database, *, broken: bool = False) -> AsyncIterator[tuple[Notices, Heard]]:
    heard = Heard(broken=broken)
    notices = Notices(
        database,
        on_stop=heard.on_stop,
        on_start=heard.on_start,
        on_withdrawal=lambda merchant_id, msisdn: heard.withdrawals.append((merchant_id, msisdn)),
        on_ended=lambda *ended: heard.ended.append(ended),
        on_key=heard.keys.append,
        on_prices=heard.on_prices,
        on_gap=heard.on_gap,
    )
    task = asyncio.create_task(notices.run())
    await asyncio.wait_for(notices.connected.wait(), 5)
    try:
        yield notices, heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: object, heard: Heard, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while condition != heard.stops:
            await asyncio.sleep(0.01)


async def test_a_stop_is_heard_with_its_commit_and_not_without_it(database: Database) -> None:
    async with listening(database) as (_, heard):
        async with database.bulk() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await publish_stop(connection, 7, 33612345678)
            await transaction.rollback()
        async with database.transaction(8) as connection:
            await publish_stop(connection, 8, 33612345679)
        await until({(8, 33612345679)}, heard)


async def test_a_start_lifts_what_a_stop_held_and_a_revoked_key_is_named(database: Database) -> None:
    async with listening(database) as (_, heard):
        async with database.bulk_transaction() as connection:
            await publish_stop(connection, 7, 33612345678)
            await publish_key(connection, "AbCdEfGh12")
            await publish_prices(connection)
            await publish_withdrawal(connection, 7, 33612345679)
        await until({(7, 33612345678)}, heard)
        async with database.bulk_transaction() as connection:
            await publish_start(connection, 7, 33612345678)
        await until(set(), heard)
        assert heard.keys == ["AbCdEfGh12"]
        assert heard.prices == 1
        assert heard.withdrawals == [(7, 33612345679)]


async def test_of_many_changes_of_one_person_the_last_is_heard_last_and_all_are_one_statement(
    database: Database,
) -> None:
    """A group may hold STOP, START and STOP again of one person: PostgreSQL drops the second of two alike."""
    stop, start = (ConsentChange(7, 33612345678, stopped=stopped) for stopped in (True, False))
    others = [ConsentChange(7, 33612340000 + n, stopped=True) for n in range(20)]
    withdrawn = ConsentChange(7, 33612345679, stopped=True, marketing=False)
    statements: list[Any] = []
    async with listening(database) as (_, heard):
        async with database.bulk_transaction() as connection:
            connection.add_query_logger(statements.append)
            await publish_consents(connection, [])
            await publish_consents(connection, [stop, start, *others, withdrawn, stop])
            connection.remove_query_logger(statements.append)
        await until({(7, change.msisdn) for change in (*others, stop)}, heard)
        assert heard.withdrawals == [(7, 33612345679)]
        async with database.bulk_transaction() as connection:
            await publish_consents(connection, [start, stop, start])
        await until({(7, change.msisdn) for change in others}, heard)
    assert len(statements) == 1


async def test_every_process_hears_of_a_campaign_that_ended_and_why(database: Database) -> None:
    async with listening(database) as (_, heard):
        async with database.transaction(7) as connection:
            await publish_ended(connection, 7, 77, Drop.WITHDRAWN)
            await publish_stop(connection, 7, 33612345678)
        await until({(7, 33612345678)}, heard)
        assert heard.ended == [(7, 77, Drop.WITHDRAWN)]


async def test_a_stop_to_a_sender_number_is_heard_by_every_process_and_lifted_by_a_start(
    database: Database,
) -> None:
    async with listening(database) as (_, heard):
        async with database.bulk_transaction() as connection:
            await publish_sender_stop(connection, "38123", 33612345678, stopped=True)
        await until({("38123", 33612345678)}, heard)
        async with database.bulk_transaction() as connection:
            await publish_sender_stop(connection, "38123", 33612345678, stopped=False)
        await until(set(), heard)


async def test_a_gap_in_the_listening_is_told_when_the_connection_is_back(database: Database) -> None:
    async with listening(database) as (notices, heard):
        admin = await database.connect("sg_admin")
        try:
            notices.connected.clear()
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE '%sg_owner'"
            )
        finally:
            await admin.close()
        async with asyncio.timeout(10):
            await notices.connected.wait()
        assert heard.gaps == 2, "once when the listening began, once after the gap"


async def test_no_mistake_ends_the_listening(database: Database) -> None:
    async with listening(database, broken=True) as (_, heard):
        assert heard.gaps == 2, "the first attempt broke, the second listens"
        async with database.bulk_transaction() as connection:
            await publish_stop(connection, 7, 33612345678)
        await until({(7, 33612345678)}, heard)
