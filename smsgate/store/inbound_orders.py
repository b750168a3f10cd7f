"""Orders as a group of MOs leaves them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import orjson

from smsgate.store import catalogue
from smsgate.store.array_octets import ids_text, texts_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from smsgate.flows.inbound_records import InboundWrites
    from smsgate.store.connection import Connection
    from smsgate.store.order_stamps import OrderStamps

SQL: Final = catalogue.load("inbound")


async def written_offers(connection: Connection, opened: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
    """Return those of the open offers that may have been written: nobody answers what nobody got."""
    if not opened:
        return []
    columns = zip(
        *((row["merchant_id"], row["campaign_id"], row["message_id"]) for row in opened), strict=True
    )
    unwritten = {row["message_id"] for row in await connection.fetch(SQL["unwritten_offers"], *columns)}
    return [row for row in opened if row["message_id"] not in unwritten]


async def write_orders(connection: Connection, writes: InboundWrites) -> None:
    """Write new orders, every step, what the steps left, and the stock, in the caller's transaction."""
    orders, steps = writes.orders, writes.order_steps
    if orders:
        await connection.execute(
            SQL["insert_orders"],
            ids_text([row.merchant_id for row in orders]),
            ids_text([row.order_id for row in orders]),
            texts_text([row.number for row in orders]),
            ids_text([row.nth for row in orders]),
            ids_text([row.offer.offer_id for row in orders]),
            ids_text([row.offer.version for row in orders]),
            ids_text([row.campaign_id for row in orders]),
            ids_text([row.message_id for row in orders]),
            ids_text([row.subscriber_id for row in orders]),
            ids_text([row.msisdn for row in orders]),
            ids_text([row.inbound_id for row in orders]),
            texts_text([row.sender for row in orders]),
            ids_text([row.quantity for row in orders]),
            ids_text([row.offer.unit_price_minor for row in orders]),
            ids_text([row.total_minor for row in orders]),
            texts_text([row.offer.currency for row in orders]),
            texts_text([row.state for row in orders]),
            [row.at for row in orders],
            texts_text([None if row.due is None else row.due.event.value for row in orders]),
            [None if row.due is None else row.due.at for row in orders],
        )
    if steps:
        await connection.execute(
            SQL["insert_order_steps"],
            ids_text([row.merchant_id for row in steps]),
            ids_text([row.order_id for row in steps]),
            ids_text([row.seq for row in steps]),
            texts_text([row.event for row in steps]),
            texts_text([row.state for row in steps]),
            [row.at for row in steps],
            texts_text([row.actor for row in steps]),
            texts_text([orjson.dumps(row.detail).decode() for row in steps]),
        )
        new = {row.order_id for row in orders}  # written as their first step left them
        moved = [row for row in steps if row.seq > 1 or row.order_id not in new]
        for merchant_id in sorted({row.merchant_id for row in moved}):
            mine = {row.order_id: row for row in moved if row.merchant_id == merchant_id}
            await connection.execute(
                SQL["set_order_states"],
                merchant_id,
                list(mine),
                [row.state for row in mine.values()],
                [row.at for row in mine.values()],
                [row.quantity for row in mine.values()],
                [row.total_minor for row in mine.values()],
                [row.stock_held for row in mine.values()],
                [None if row.due is None else row.due.event.value for row in mine.values()],
                [None if row.due is None else row.due.at for row in mine.values()],
            )
    for (merchant_id, offer_id), pieces in sorted(writes.stock_taken.items()):
        await connection.execute(SQL["take_stock"], merchant_id, offer_id, pieces)


async def stamp_orders(connection: Connection, stamps: OrderStamps, writes: InboundWrites) -> None:
    """Stamp the orders that a group made or moved; after all that is about them was written."""
    new = {row.order_id for row in writes.orders}
    times: defaultdict[tuple[int, bool], dict[int, datetime]] = defaultdict(dict)
    for row in writes.order_steps:
        times[row.merchant_id, row.order_id in new][row.order_id] = row.at
    for (merchant_id, are_new), of_merchant in sorted(times.items()):
        await stamps.extend(connection, merchant_id, of_merchant, new=are_new)
