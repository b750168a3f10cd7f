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
    """
    Have new orders, every step and the stock written; `move_orders` writes the rest.

    Stock of the first merchant alone: with as many statements as merchants, no two groups had the same one.
    """
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
    for taken in _stock_taken(writes)[:1]:
        together.write(SQL["take_stock"], *taken)


def _stock_taken(writes: InboundWrites) -> list[tuple[int, list[int], list[int]]]:
    """Return the pieces that are taken (offers, pieces of each), by merchant."""
    found: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for (merchant_id, offer_id), pieces in writes.stock_taken.items():
        found[merchant_id][offer_id] = pieces
    return [(merchant_id, list(taken), list(taken.values())) for merchant_id, taken in sorted(found.items())]


async def move_orders(connection: Connection, writes: InboundWrites) -> None:
    """Write what the steps left of orders, also of those that `add_orders` has written, and other stock."""
    for taken in _stock_taken(writes)[1:]:
        await connection.execute(SQL["take_stock"], *taken)
    new = {row.order_id for row in writes.orders}  # written as their first step left them
    moved = [row for row in writes.order_steps if row.seq > 1 or row.order_id not in new]
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
