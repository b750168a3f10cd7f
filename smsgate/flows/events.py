"""Events as shops get them: CloudEvents 1.0 in JSON, the same octets at every attempt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import orjson

from smsgate.campaigns.retention import kept
from smsgate.clock import Clock
from smsgate.flows.commerce_records import EventColumns, EventRecord, Page, PageAsk
from smsgate.flows.offer_records import OfferRecord
from smsgate.flows.order_records import OrderRecord
from smsgate.flows.ports_commerce import EventsStore
from smsgate.ids import first_id_at
from smsgate.security.public_ids import ID_MAX, Kind, PublicIds

RETENTION: Final = kept("event")


class Events:
    def __init__(self, store: EventsStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def get(self, merchant_id: int, event_id: int) -> EventRecord:
        return await self._store.get(merchant_id, event_id, self.oldest_id())

    async def page(
        self, merchant_id: int, ask: PageAsk, type_: str | None = None, subject: str | None = None
    ) -> Page[EventRecord]:
        return await self._store.page(merchant_id, ask, self.oldest_id(), type_, subject)

    def oldest_id(self) -> int:
        """Return the first id that an event of the retention time can have."""
        return first_id_of(self._clock.now() - RETENTION)


def first_id_of(at: datetime) -> int:
    """Return the smallest id made at `at`: 0 before ids began, the largest of all after they end (2094)."""
    return min(first_id_at(int(at.timestamp() * 1000)), ID_MAX)


def add_event(
    columns: EventColumns,
    *,
    merchant_id: int,
    event_id: int,
    type_: str,
    subject: str,
    data: Mapping[str, object],
    at: datetime,
) -> None:
    """Append one event; `subject` is the public id of what it is about."""
    columns.merchant_ids.append(merchant_id)
    columns.event_ids.append(event_id)
    columns.types.append(type_)
    columns.subjects.append(subject)
    columns.data.append(orjson.dumps(data).decode())
    columns.created_at.append(at)


def cloud_event(event: EventRecord, merchant_id: int, public_ids: PublicIds) -> dict[str, object]:
    """Return the event in CloudEvents 1.0 form, with `timestamp` for readers of Standard Webhooks."""
    time = event.created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "specversion": "1.0",
        "id": public_ids.encode(Kind.EVENT, event.event_id),
        "source": f"/v1/merchants/{public_ids.encode(Kind.MERCHANT, merchant_id)}",
        "type": event.type,
        "subject": event.subject,
        "time": time,
        "timestamp": time,
        "datacontenttype": "application/json",
        "data": event.data,
    }


def cloud_event_body(event: EventRecord, merchant_id: int, public_ids: PublicIds) -> bytes:
    """Return the octets that are signed and sent; equal for equal events."""
    return orjson.dumps(cloud_event(event, merchant_id, public_ids), option=orjson.OPT_SORT_KEYS)


def offer_data(record: OfferRecord, public_ids: PublicIds, now: datetime) -> dict[str, object]:
    """Return the `data` of every event about a change of an offer."""
    offer = record.offer
    return {
        "offer": public_ids.encode(Kind.OFFER, offer.offer_id),
        "external_id": record.external_id,
        "version": offer.version,
        "state": record.state_at(now).value,
        "item": offer.item,
        "unit_price_minor": offer.unit_price_minor,
        "currency": offer.currency,
        "stock": record.stock,
        "stock_remaining": record.stock_remaining,
        "expires_at": offer.expires_at.astimezone(UTC).isoformat(),
    }


def order_data(order: OrderRecord, public_ids: PublicIds) -> dict[str, object]:
    """Return the `data` of every event about an order; `sequence` orders the events of one order."""
    encode = public_ids.encode
    return {
        "order": encode(Kind.ORDER, order.order_id),
        "number": order.number,
        "sequence": order.seq,
        "state": order.state,
        "offer": encode(Kind.OFFER, order.offer_id),
        "offer_version": order.offer_version,
        "campaign": encode(Kind.CAMPAIGN, order.campaign_id),
        "message": encode(Kind.MESSAGE, order.message_id),
        "subscriber": encode(Kind.SUBSCRIBER, order.subscriber_id),
        "msisdn": f"+{order.msisdn}",
        "item": order.item,
        "quantity": order.quantity,
        "unit_price_minor": order.unit_price_minor,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "order_ref": order.shop_ref,
        "placed_at": (order.placed_at or order.created_at).astimezone(UTC).isoformat(),
    }
