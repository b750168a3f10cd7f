"""Prices in memory, and merchants and prices that are a moment old."""

from __future__ import annotations

import asyncio

from smsgate.clock import SystemClock
from smsgate.flows.pricing import Pricing
from smsgate.flows.usage_records import MerchantPrices
from smsgate.store.pool import Database
from smsgate.store.usage import PgPriceData
from tests.flows.world import MO_MICROS, SENDER, UNIT_MICROS, a_world, eventually

OTHER = 8


class OnTheirWay(PgPriceData):
    """Rows that have been read, and are not there yet."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.read, self.arrive = asyncio.Event(), asyncio.Event()

    async def merchants(self) -> list[MerchantPrices]:
        rows = list(await super().merchants())
        self.read.set()
        await self.arrive.wait()
        return rows


async def test_who_asks_for_a_look_while_another_one_is_under_way_gets_one_of_their_own(
    database: Database,
) -> None:
    async with a_world(database, subscribers=0) as world:
        data = OnTheirWay(database)
        pricing = Pricing(data, SystemClock())
        first = asyncio.create_task(pricing.refresh())
        await data.read.wait()
        await world.another_merchant(OTHER, 1)
        pricing.invalidate()
        second = asyncio.create_task(pricing.refresh())
        data.arrive.set()
        await asyncio.gather(first, second)
        assert pricing.book_of(OTHER) is not None


async def test_a_text_of_a_merchant_that_is_a_moment_old_is_sent_and_charged(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await world.system_message(0, "one")
        await eventually(lambda: world.value("SELECT count(*) = 1 FROM sent"))  # prices are in memory
        await world.another_merchant(OTHER, 1)
        message_id = await world.system_message(0, "two", merchant=OTHER)
        await eventually(lambda: world.value("SELECT count(*) = 2 FROM sent"))
        (sent,) = await world.rows(
            "SELECT status, reason, sell_micros FROM sent WHERE message_id = $1", message_id
        )
        assert dict(sent) == {"status": 0, "reason": None, "sell_micros": UNIT_MICROS}


async def test_a_reply_to_a_merchant_that_is_a_moment_old_is_charged(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await world.system_message(0, "one")
        await eventually(lambda: world.value("SELECT count(*) = 1 FROM sent"))  # prices are in memory
        first = await world.another_merchant(OTHER, 1)
        mo = world.simulator.smsc.send_mo(first, SENDER, "OK", "smsgate")
        await eventually(lambda: mo.taken)
        assert await world.value("SELECT merchant_id FROM inbound_message") == OTHER
        charged = await world.value(
            "SELECT -sum(amount_micros)::bigint FROM ledger_entry "
            "WHERE direction = 'mo' AND account = 'revenue'"
        )
        assert charged == MO_MICROS
