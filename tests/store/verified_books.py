"""
A small database that real flows made: a campaign with replies and receipts, sealed prices, two versions.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from smsgate.flows.ports_api import NewPrices, PriceItem
from smsgate.store.pool import Database
from smsgate.store.prices import PgPrices
from tests.flows.world import COST_MICROS, MO_MICROS, UNIT_MICROS, a_world, eventually

PEOPLE = 24
REPLIES = 5


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
