"""The proof file of an order: all that led to it and came of it (its form: security/proof_chain.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from smsgate.clock import Clock
from smsgate.flows.commerce_records import MessageRecord, OfferRecord
from smsgate.flows.order_records import OrderRecord, OrderStep
from smsgate.flows.ports_commerce import MessagesStore, OffersStore, OrdersStore
from smsgate.money import minor_to_text
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.proof_chain import Entry, ProofKey
from smsgate.security.public_ids import Kind, PublicIds

# Of entries of one instant: what was agreed and offered first, what is told last.
_RANKS: Final = (
    "consent", "offer", "offer_message", "reply", "order", "order_step", "text", "submitted", "receipt",
    "event", "delivery",
)  # fmt: skip
Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ProofRows:
    """What the database holds about one order beside the order itself; columns by their names."""

    consents: Sequence[Row]
    texts: Sequence[Row]  # the gateway's own messages about it
    submitted: Sequence[Row]  # of the offer's message and of those
    receipts: Sequence[Row]
    replies: Sequence[Row]
    events: Sequence[Row]
    deliveries: Sequence[Row]


class ProofStore(Protocol):
    async def rows(self, order: OrderRecord, subject: str) -> ProofRows: ...


class OrderProofs:
    def __init__(
        self,
        store: ProofStore,
        orders: OrdersStore,
        offers: OffersStore,
        messages: MessagesStore,
        public_ids: PublicIds,
        clock: Clock,
        key: ProofKey,
    ) -> None:
        self._store = store
        self._orders = orders
        self._offers = offers
        self._messages = messages
        self._public_ids = public_ids
        self._clock = clock
        self._key = key

    async def file(self, merchant_id: int, order_id: int) -> bytes:
        """
        Return the proof file as it is now: JSON lines.

        Raises:
            NotFound: no such order of this merchant.
        """
        order = await self._orders.get(merchant_id, order_id)
        rows = await self._store.rows(order, self._id(Kind.ORDER, order_id))
        offer = await self._offers.get(merchant_id, order.offer_id, order.offer_version)
        message = await self._messages.get(merchant_id, order.message_id)
        steps = await self._orders.steps(merchant_id, order_id)
        entries = [
            self._offer(offer),
            self._message(message, rows),
            self._order(order),
            *(_step(step) for step in steps),
            *(self._rows("consent", rows.consents, "occurred_at", inbound_id=Kind.INBOUND_MESSAGE)),
            *self._rows("reply", rows.replies, "received_at", inbound_id=Kind.INBOUND_MESSAGE),
            *self._rows("text", rows.texts, "at", message_id=Kind.MESSAGE, inbound_id=Kind.INBOUND_MESSAGE),
            *self._rows("submitted", rows.submitted, "sent_at", message_id=Kind.MESSAGE),
            *self._rows("receipt", rows.receipts, "received_at", message_id=Kind.MESSAGE),
            *self._rows("event", rows.events, "created_at", event_id=Kind.EVENT),
            *self._rows(
                "delivery", rows.deliveries, "at", event_id=Kind.EVENT, endpoint_id=Kind.WEBHOOK_ENDPOINT
            ),
        ]
        entries.sort(key=lambda entry: (entry.at, _RANKS.index(entry.kind)))
        return self._key.sealed(entries, _instant(self._clock.now()))

    def _offer(self, record: OfferRecord) -> Entry:
        offer = record.offer
        body = {
            "offer": self._id(Kind.OFFER, offer.offer_id),
            "version": offer.version,
            "text": offer.text,
            "shop": offer.shop_name,
            "item": offer.item,
            "price": minor_to_text(offer.unit_price_minor, offer.currency),
            "currency": offer.currency,
            "quantity_max": offer.quantity_max,
            "ask_above_minor": offer.ask_above_minor,
            "withdrawal": offer.withdrawal,
            "language": offer.language,
            "country": offer.country,
            "sender": offer.sender,
            "expires_at": _instant(offer.expires_at),
        }
        return Entry("offer", _instant(record.created_at), body)

    def _message(self, message: MessageRecord, rows: ProofRows) -> Entry:
        sent = [row["sent_at"] for row in rows.submitted if row["message_id"] == message.message_id]
        at = min((each for each in sent if isinstance(each, datetime)), default=None)
        body = {
            "message": self._id(Kind.MESSAGE, message.message_id),
            "msisdn": f"+{message.msisdn}",
            "sender": message.sender,
            "text": message.text,
            "state": message.state,
            "reason": message.reason,
        }
        return Entry("offer_message", _instant(at or self._clock.now()), body)

    def _order(self, order: OrderRecord) -> Entry:
        body = {
            "order": self._id(Kind.ORDER, order.order_id),
            "number": order.number,
            "state": order.state,
            "quantity": order.quantity,
            "unit_price": minor_to_text(order.unit_price_minor, order.currency),
            "total": minor_to_text(order.total_minor, order.currency),
            "currency": order.currency,
            "msisdn": f"+{order.msisdn}",
            "sender": order.sender,
            "subscriber": self._id(Kind.SUBSCRIBER, order.subscriber_id),
            "order_ref": order.shop_ref,
            "placed_at": None if order.placed_at is None else _instant(order.placed_at),
            "delivered_at": None if order.delivered_at is None else _instant(order.delivered_at),
        }
        return Entry("order", _instant(order.created_at), body)

    def _rows(self, kind: str, rows: Sequence[Row], at: str, **ids: Kind) -> list[Entry]:
        """Return rows as entries; `ids` are the columns that hold ids, which are written as public ones."""
        return [Entry(kind, _instant(row[at]), self._body(row, at, ids)) for row in rows]

    def _body(self, row: Row, at: str, ids: Mapping[str, Kind]) -> dict[str, object]:
        body: dict[str, object] = {}
        for name, value in row.items():
            if name == at:
                continue
            if name in ids:
                if value is not None:
                    assert isinstance(value, int)
                    body[name.removesuffix("_id")] = self._id(ids[name], value)
            elif isinstance(value, datetime):
                body[name] = _instant(value)
            elif isinstance(value, bytes):
                body[name] = value.hex()
            else:
                body[name] = value
        if "state" in body and isinstance(body["state"], int):
            body["state"] = ReceiptState(body["state"]).name.lower()
        return body

    def _id(self, kind: Kind, id_: int) -> str:
        return self._public_ids.encode(kind, id_)


def _step(step: OrderStep) -> Entry:
    body = {
        "sequence": step.seq,
        "event": step.event,
        "state": step.state,
        "actor": step.actor,
        "detail": step.detail,
    }
    return Entry("order_step", _instant(step.at), body)


def _instant(at: object) -> str:
    assert isinstance(at, datetime)
    return at.astimezone(UTC).isoformat(timespec="microseconds")
