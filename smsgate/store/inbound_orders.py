"""Orders as a group of MOs leaves them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import orjson

from smsgate.flows.order_written import written_orders
from smsgate.store import catalogue
from smsgate.store.array_octets import ids_text, texts_text
from smsgate.store.columns import columns
from smsgate.store.order_stamps import add_ground, add_stamps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from smsgate.flows.inbound_records import InboundWrites
    from smsgate.flows.order_entries import ProofRows
    from smsgate.security.proof_stamps import Stamp
    from smsgate.store.connection import Connection
    from smsgate.store.order_stamps import OrderStamps
    from smsgate.store.together import Together

SQL: Final = catalogue.load("inbound")


def add_orders(together: Together, writes: InboundWrites) -> None:
    """Have new orders, every step and the stock written; `move_orders` writes the rest."""
    orders, steps = writes.orders, writes.order_steps
    if orders:
        together.write(
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
        together.write(
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
    if writes.stock_taken:
        together.write(
            SQL["take_stock"],
            [merchant_id for merchant_id, _ in writes.stock_taken],
            [offer_id for _, offer_id in writes.stock_taken],
            list(writes.stock_taken.values()),
        )


async def move_orders(connection: Connection, writes: InboundWrites) -> None:
    """Write what the steps left of orders, also of those that `add_orders` has written."""
    new = {row.order_id for row in writes.orders}  # written as their first step left them
    moved = {row.order_id: row for row in writes.order_steps if row.seq > 1 or row.order_id not in new}
    if moved:
        rows = list(moved.values())
        await connection.execute(
            SQL["set_order_states"],
            *columns(
                rows, "merchant_id", "order_id", "state", "at", "quantity", "total_minor", "stock_held",
            ),
            [None if row.due is None else row.due.event.value for row in rows],
            [None if row.due is None else row.due.at for row in rows],
        )  # fmt: skip


@asynccontextmanager
async def stamped_orders(
    connection: Connection, stamps: OrderStamps, writes: InboundWrites, ending: Together
) -> AsyncIterator[None]:
    """
    Stamp the orders that a group makes or moves; the caller writes all that is about them meanwhile.

    Stamps of orders that it makes are computed from what is written, while PostgreSQL writes it, and are
    added to what the caller runs at last; what it moved is read again at the end.
    """
    times: defaultdict[int, dict[int, datetime]] = defaultdict(dict)
    for row in writes.order_steps:
        times[row.merchant_id][row.order_id] = row.at
    new = written_orders(writes, stamps.public_ids)
    for merchant_id, found in new.items():
        await add_ground(connection, merchant_id, found)
    drafting = asyncio.create_task(_drafts(stamps, new, times))
    try:
        yield
        drafts = await drafting
    finally:
        drafting.cancel()
    keys = [(merchant_id, order_id) for merchant_id, found in new.items() for order_id in found]
    add_stamps(ending, keys, [stamp for merchant_id in new for stamp in drafts[merchant_id]])
    made = {row.order_id for row in writes.orders}
    for merchant_id, of_merchant in sorted(times.items()):
        rest = of_merchant.keys() - new.get(merchant_id, {}).keys()
        for are_new in (False, True):
            mine = {order_id: of_merchant[order_id] for order_id in rest if (order_id in made) is are_new}
            await stamps.extend(connection, merchant_id, mine, new=are_new)


async def _drafts(
    stamps: OrderStamps,
    new: Mapping[int, Mapping[int, ProofRows]],
    times: Mapping[int, Mapping[int, datetime]],
) -> dict[int, list[Stamp]]:
    return {
        merchant_id: await stamps.stamps(found, times[merchant_id], {}) for merchant_id, found in new.items()
    }
