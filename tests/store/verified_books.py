"""
A small database that real flows made: a campaign with replies and receipts, sealed prices, two versions.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from smsgate.flows.ports_api import NewPrices, PriceItem
from smsgate.flows.verifying import Finding
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database, PoolSizes
from smsgate.store.prices import PgPrices
from smsgate.store.roles import ADMIN
from smsgate.store.verify import looked_of
from tests.conftest import TEMPLATE
from tests.flows.world import COST_MICROS, MO_MICROS, UNIT_MICROS, a_world, eventually

PEOPLE = 24
REPLIES = 5


class Corruption(NamedTuple):
    """
    What somebody did to the books, what is found, and a piece of the sentence about the first wrong row.
    """

    sql: str
    invariant: str
    names: str


@contextmanager
def made_once(
    server: EmbeddedPostgres, write: Callable[[Database], Awaitable[None]]
) -> Iterator[dict[str, Any]]:
    """Lend a database that `write` filled: how to connect to it as one who may do anything."""
    name = f"books_{uuid.uuid4().hex}"

    async def make() -> None:
        connection = await asyncpg.connect(**server.connect_args(ADMIN, "postgres"))
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        await connection.close()
        sizes = PoolSizes(api=4, bulk=4, report=1, control=3)
        async with await Database.open(server, database=name, migrate=False, sizes=sizes) as database:
            await write(database)

    async def drop() -> None:
        connection = await asyncpg.connect(**server.connect_args(ADMIN, "postgres"))
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, make()).result()
        yield server.connect_args(ADMIN, name)
        thread.submit(asyncio.run, drop()).result()


async def found_after(books: dict[str, Any], sql: str) -> dict[str, Finding]:
    """Return what is wrong or listed after `sql`, which is undone; the first finding of each name counts."""
    connection = await asyncpg.connect(**books)
    try:
        transaction = connection.transaction()
        await transaction.start()
        if sql:
            assert int((await connection.execute(sql)).split()[-1]) > 0, "nothing was corrupted"
        looked = await looked_of(connection)
        await transaction.rollback()
    finally:
        await connection.close()
    assert looked.counts.messages > 0
    wrong: dict[str, Finding] = {}
    for finding in (*looked.findings, *looked.listed):
        if finding.wrong:
            wrong.setdefault(finding.invariant, finding)
    return wrong


async def write_books(database: Database) -> None:
    """Send a campaign and a long system text over a real socket, and take replies and receipts."""
    async with a_world(database, subscribers=PEOPLE) as world:
        now = datetime.now(UTC)
        for list_id, items in (
            (1, [PriceItem("mt", "*", UNIT_MICROS), PriceItem("mo", "*", MO_MICROS)]),
            (2, [PriceItem("mt", "*", COST_MICROS)]),
        ):
            await PgPrices(database).publish(
                list_id,
                [NewPrices(now - timedelta(minutes=1), items, 1_000 * list_id)],
                source_sha256=b"",
                now=now,
                not_before=now - timedelta(minutes=5),
            )
        campaign_id = await world.campaign(chunk=10)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.log.receipts_acknowledged == PEOPLE)
            for number in range(REPLIES):
                world.answer(number, "OK")
            await eventually(lambda: _charged_replies(world.database))
            await world.system_message(PEOPLE - 1, "x" * 300)
            await eventually(lambda: _nothing_waits(world.database))


async def _charged_replies(database: Database) -> bool:
    async with database.bulk() as connection:
        sql = "SELECT sum(messages) FROM ledger_entry WHERE direction = 'mo' AND account = 'revenue'"
        return bool(await connection.fetchval(sql) == REPLIES)


async def _nothing_waits(database: Database) -> bool:
    async with database.bulk() as connection:
        return not await connection.fetchval("SELECT count(*) FROM interactive_queue")


async def first_found(books: dict[str, Any], corruption: Corruption) -> str:
    """Return what is said about the first wrong row of the invariant that a corruption breaks."""
    wrong = await found_after(books, corruption.sql)
    assert corruption.invariant in wrong, wrong
    first = wrong[corruption.invariant].first
    assert first is not None
    return first
