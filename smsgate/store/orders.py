"""Orders as merchants see and change them; the inbound flow makes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
import orjson

from smsgate.campaigns.texts import spoken
from smsgate.errors import Conflict, NotFound
from smsgate.flows.commerce_records import EventColumns, Page, PageAsk, SystemMessageColumns
from smsgate.flows.order_records import MessageCost, OrderChange, OrderRecord, OrderStep
from smsgate.ids import first_id_at, unix_ms_of
from smsgate.store.catalogue import load
from smsgate.store.events import insert_events
from smsgate.store.order_stamps import OrderStamps
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database
from smsgate.store.system_messages import insert_system_messages

_SQL: Final = load("orders")
# An order is answered within days; its later messages are not looked for beyond.
SYSTEM_MESSAGES_WITHIN_MS: Final = 45 * 86_400_000


class PgOrders:
    def __init__(self, database: Database, stamps: OrderStamps) -> None:
        self._database = database
        self._stamps = stamps

    async def get(self, merchant_id: int, order_id: int) -> OrderRecord:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["order"], merchant_id, order_id)
        if row is None:
            raise NotFound
        return order_of(row)

    async def page(
        self,
        merchant_id: int,
        ask: PageAsk,
        state: str | None = None,
        campaign_id: int | None = None,
        number: str | None = None,
    ) -> Page[OrderRecord]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(
                connection, _SQL["orders_page"], merchant_id, ask, state, campaign_id, number
            )
        return Page([order_of(row) for row in rows], more)

    async def steps(self, merchant_id: int, order_id: int) -> Sequence[OrderStep]:
        async with self._database.transaction(merchant_id) as connection:
            rows = await connection.fetch(_SQL["order_steps"], merchant_id, order_id)
        return [
            OrderStep(r["seq"], r["event"], r["state"], r["actor"], orjson.loads(r["detail"]), r["at"])
            for r in rows
        ]

    async def message_costs(self, merchant_id: int, message_id: int) -> Sequence[MessageCost]:
        """Return what the offer's message cost, one row per price item that its segments were charged by."""
        async with self._database.transaction(merchant_id) as connection:
            rows = await connection.fetch(_SQL["message_costs"], merchant_id, message_id)
        return [
            MessageCost(
                r["item_id"], r["network"], r["unit_micros"], r["segments"], r["sell_micros"], r["currency"]
            )
            for r in rows
        ]

    async def system_message_costs(self, merchant_id: int, order_id: int) -> tuple[int, int]:
        """Return micros and number of the gateway's own messages about an order."""
        made_ms = unix_ms_of(order_id)
        oldest, newest = first_id_at(made_ms - 1_000), first_id_at(made_ms + SYSTEM_MESSAGES_WITHIN_MS)
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(
                _SQL["system_message_costs"], merchant_id, order_id, oldest, newest
            )
        assert row is not None
        return row["sell_micros"], row["messages"]

    async def due(self, now: datetime, limit: int) -> list[tuple[int, int]]:
        """Return (merchant, order) of what is due, the most overdue first."""
        async with self._database.bulk() as connection:
            rows = await connection.fetch(_SQL["due_orders"], now, limit)
        return [(row["merchant_id"], row["order_id"]) for row in rows]

    async def shop_has(self, order: OrderRecord, subject: str) -> bool:
        """Return whether the shop was handed the order, or reads orders by itself."""
        oldest = first_id_at(unix_ms_of(order.order_id) - 1_000)
        async with self._database.transaction(order.merchant_id) as connection:
            found: bool = await connection.fetchval(
                _SQL["shop_has_order"], order.merchant_id, subject, oldest
            )
        return found

    async def end_wait(self, order: OrderRecord) -> None:
        """Take away what is due of an order, unless something else has become due."""
        async with self._database.transaction(order.merchant_id) as connection:
            await connection.execute(
                _SQL["end_wait"], order.merchant_id, order.order_id, order.due_event, order.due_at
            )

    async def change(
        self,
        change: OrderChange,
        messages: SystemMessageColumns,
        events: EventColumns,
        sold_out: EventColumns,
    ) -> bool:
        """
        Write one step of an order with what it tells buyer and shop, in one transaction.

        Return False, with nothing written, when another step came first. `sold_out` is written where the step
        takes the last piece of an offer that is not withdrawn.

        Raises:
            Conflict: code `sold_out`; the pieces that it takes are not there.
        """
        async with self._database.transaction(change.merchant_id) as connection:
            key, offer = (change.merchant_id, change.order_id), (change.merchant_id, change.offer_id)
            counted = None
            if change.stock_back or change.stock_taken:  # the offer first, as a customer's answer locks them
                counted = await connection.fetchval(_SQL["lock_offer"], *offer)
            await connection.execute(_SQL["lock_order"], *key)
            if await connection.fetchval(_SQL["order_seq"], *key) != change.seq_before:
                return False
            await connection.execute(
                _SQL["change_order"], *key, change.state, change.shop_ref, change.at, change.stock_held,
                change.due_event, change.due_at, change.delivered_at,
            )  # fmt: skip
            await connection.execute(
                _SQL["insert_order_event"], *key, change.seq_before + 1, change.event, change.state,
                change.actor, orjson.dumps(change.detail).decode(), change.at,
            )  # fmt: skip
            if change.stock_back:
                await connection.execute(_SQL["give_stock_back"], *offer, change.stock_back)
            taken = 0 if counted is None else change.stock_taken
            last = await connection.fetchval(_SQL["take_stock"], *offer, taken) if taken else False
            if last is None:
                raise Conflict("The order's pieces went to others meanwhile.", code="sold_out")
            await insert_system_messages(connection, messages)
            await insert_events(connection, events)
            if last:
                await insert_events(connection, sold_out)
            await self._stamps.extend(connection, change.merchant_id, {change.order_id: change.at})
        return True


def order_of(row: asyncpg.Record) -> OrderRecord:
    """Return a row of `order`."""
    language = spoken(row["person_language"], row["offer_language"])
    columns = {name: row[name] for name in OrderRecord._fields if name != "language"}
    return OrderRecord(**columns, language=language)
