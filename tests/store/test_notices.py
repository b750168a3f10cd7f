"""What one process commits, another hears at once; that it did not listen, it says itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from smsgate.campaigns.offer_states import Drop
from smsgate.flows.inbound_records import TakenBack
from smsgate.store.notices import (
    Notices,
    publish_ended,
    publish_key,
    publish_prices,
    publish_sender_stop,
    publish_stop,
    publish_taken_back,
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


@asynccontextmanager
async def listening(database: Database, *, broken: bool = False) -> AsyncIterator[tuple[Notices, Heard]]:
    heard = Heard(broken=broken)
    notices = Notices(
        database,
        on_stop=heard.on_stop,
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


async def test_a_revoked_key_is_named_and_prices_and_withdrawals_are_told(database: Database) -> None:
    async with listening(database) as (_, heard):
        async with database.bulk_transaction() as connection:
            await publish_stop(connection, 7, 33612345678)
            await publish_key(connection, "AbCdEfGh12")
            await publish_prices(connection)
            await publish_withdrawal(connection, 7, 33612345679)
        await until({(7, 33612345678)}, heard)
        assert heard.keys == ["AbCdEfGh12"]
        assert heard.prices == 1
        assert heard.withdrawals == [(7, 33612345679)]


async def test_what_many_took_back_is_one_statement(database: Database) -> None:
    stop, withdrawn = TakenBack(7, 33612345678), TakenBack(7, 33612345679, marketing=False)
    others = [TakenBack(7, 33612340000 + n) for n in range(20)]
    statements: list[Any] = []
    async with listening(database) as (_, heard):
        async with database.bulk_transaction() as connection:
            connection.add_query_logger(statements.append)
            await publish_taken_back(connection, [])
            await publish_taken_back(connection, [stop, *others, withdrawn, stop])
            connection.remove_query_logger(statements.append)
        await until({(7, each.msisdn) for each in (*others, stop)}, heard)
        assert heard.withdrawals == [(7, 33612345679)]
    assert len(statements) == 1


async def test_every_process_hears_of_a_campaign_that_ended_and_why(database: Database) -> None:
    async with listening(database) as (_, heard):
        async with database.transaction(7) as connection:
            await publish_ended(connection, 7, 77, Drop.WITHDRAWN)
            await publish_stop(connection, 7, 33612345678)
        await until({(7, 33612345678)}, heard)
        assert heard.ended == [(7, 77, Drop.WITHDRAWN)]


async def test_a_stop_to_a_sender_number_is_heard_by_every_process(database: Database) -> None:
    async with listening(database) as (_, heard):
        async with database.bulk_transaction() as connection:
            await publish_sender_stop(connection, "38123", 33612345678)
        await until({("38123", 33612345678)}, heard)


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
        before = heard.gaps
        async with asyncio.timeout(10):
            await notices.connected.wait()
        assert heard.gaps > before, "once more after the gap"


async def test_as_long_as_nothing_is_heard_nothing_that_was_read_counts_for_long(database: Database) -> None:
    """A process whose listening was away went on for up to an hour by consent that it had read before."""
    async with listening(database) as (notices, heard):
        admin = await database.connect("sg_admin")
        try:
            name = await admin.fetchval("SELECT quote_ident(current_database())")
            await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE '%sg_owner'"
            )
            async with asyncio.timeout(10):
                while notices.connected.is_set():
                    await asyncio.sleep(0.01)
                before = heard.gaps
                while heard.gaps < before + 3:
                    await asyncio.sleep(0.01)
            assert not notices.connected.is_set()
            await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        finally:
            await admin.close()
        async with asyncio.timeout(10):
            await notices.connected.wait()


async def test_no_mistake_ends_the_listening(database: Database) -> None:
    async with listening(database, broken=True) as (_, heard):
        assert heard.gaps > 1, "the first attempt broke, the second listens"
        async with database.bulk_transaction() as connection:
            await publish_stop(connection, 7, 33612345678)
        await until({(7, 33612345678)}, heard)
