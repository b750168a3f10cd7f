"""Texts about orders that their buyers do not get: the shop is told, so that it can reach them otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from smsgate.flows.commerce_records import EventColumns
from smsgate.flows.events import add_event, order_data
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.events import insert_events
from smsgate.store.orders import order_of

_SENDING: Final = load("sending")
_ORDERS: Final = load("orders")


async def tell_shops(
    connection: Connection,
    withheld: Sequence[tuple[int, int]],
    at: datetime,
    next_id: Callable[[], int],
    public_ids: PublicIds,
) -> None:
    """Write an event for each (merchant, message) about an order, in the caller's transaction."""
    by_merchant: dict[int, set[int]] = defaultdict(set)
    for merchant_id, message_id in withheld:
        by_merchant[merchant_id].add(message_id)
    events = EventColumns()
    for merchant_id, message_ids in sorted(by_merchant.items()):
        for text in await connection.fetch(
            _SENDING["withheld_order_texts"], merchant_id, sorted(message_ids)
        ):
            row = await connection.fetchrow(_ORDERS["order"], merchant_id, text["order_id"])
            if row is None:  # its partition was dropped
                continue
            told = {
                "withheld": text["kind"],
                "text": text["body"],
                "message_withheld": public_ids.encode(Kind.MESSAGE, text["message_id"]),
            }
            add_event(
                events,
                merchant_id=merchant_id,
                event_id=next_id(),
                type_="order.buyer_not_told",
                subject=public_ids.encode(Kind.ORDER, text["order_id"]),
                data=order_data(order_of(row), public_ids) | told,
                at=at,
            )
    await insert_events(connection, events)
