"""What the database holds about an order, as the entries of its proof: one for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, Protocol, cast

import orjson

from smsgate.flows.records import STATUS_UNKNOWN
from smsgate.money import minor_to_text
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.proof_chain import Entry
from smsgate.security.public_ids import Kind, PublicIds

# Of entries of one instant: what was agreed and offered first, what is told last.
RANKS: Final = (
    "consent", "offer", "offer_terms", "offer_message", "reply", "order", "order_step", "text", "submitted",
    "receipt", "event", "delivery", "stamp",
)  # fmt: skip
INSTANTS_KEPT: Final = 1_024  # written last; an order shares its instant with its step, reply and events


class Row(Protocol):
    """What a mapping and a row of the database have in common."""

    def __getitem__(self, column: str, /) -> Any: ...
    def keys(self) -> Iterable[str]: ...
    def values(self) -> Iterable[Any]: ...


# Columns that hold ids, which are written as public ones.
_IDS: Final = {
    "consent_id": Kind.CONSENT,
    "offer_id": Kind.OFFER,
    "order_id": Kind.ORDER,
    "subscriber_id": Kind.SUBSCRIBER,
    "message_id": Kind.MESSAGE,
    "inbound_id": Kind.INBOUND_MESSAGE,
    "event_id": Kind.EVENT,
    "endpoint_id": Kind.WEBHOOK_ENDPOINT,
}
_LEFT_OUT: Final = frozenset({"of_order", "subject", "unstamped", "fields"})  # say whose the row is, or how
_AMOUNTS: Final = frozenset({"price_minor", "unit_price_minor", "total_minor"})
_JSON: Final = frozenset({"evidence", "detail", "data"})
_OCTETS: Final = frozenset({"raw", "tlvs", "smsc_id", "error"})
_INSTANTS: Final = frozenset({"recorded_at", "expires_at", "placed_at", "delivered_at"})

NO_ORDER: Final[Row] = {}  # of the proof of a consent


@dataclass(frozen=True, slots=True)
class OrderRows:
    """Columns by their names; each row has the columns of its statement in store/sql/order_proof.sql."""

    order: Row  # or NO_ORDER
    offer: list[Row] = field(default_factory=list)  # the version that was sent: one
    offer_terms: list[Row] = field(default_factory=list)  # what it promised of an order: one
    offer_message: list[Row] = field(default_factory=list)  # one, with the text as this person got it
    consent: list[Row] = field(default_factory=list)
    reply: list[Row] = field(default_factory=list)
    order_step: list[Row] = field(default_factory=list)
    text: list[Row] = field(default_factory=list)  # the gateway's own messages about the order
    submitted: list[Row] = field(default_factory=list)  # of the offer's message and of those
    receipt: list[Row] = field(default_factory=list)
    event: list[Row] = field(default_factory=list)
    delivery: list[Row] = field(default_factory=list)


def entries_of(rows: OrderRows, public_ids: PublicIds) -> list[Entry]:
    """Return an entry for each row, by time."""
    return in_order(Entries(public_ids).of(rows))


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.at, RANKS.index(entry.kind)))


def lasts(entry: Entry) -> bool:
    """
    Return whether the row is written once and for all.

    A delivery counts its attempts, and an outcome that is not known may still become known.
    """
    unknown = entry.kind == "submitted" and entry.body["status"] == STATUS_UNKNOWN
    return entry.kind != "delivery" and not unknown


@lru_cache(INSTANTS_KEPT)
def instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


class Entries:
    """Makes entries of many orders: what a kind's columns become is found once, and so are offers."""

    def __init__(self, public_ids: PublicIds) -> None:
        self._public_ids = public_ids
        self._plans: dict[tuple[str, ...], _Plan] = {}  # by the column of the time, and all of them
        self._offers: dict[tuple[str, int], Entry] = {}  # by the row, which orders of one offer share

    def of(self, rows: OrderRows) -> list[Entry]:
        """Return an entry for each row, in no order."""
        entry = self._entry
        entries = [] if rows.order is NO_ORDER else [entry("order", rows.order, "created_at", "order_id")]
        entries += [entry("consent", row, "occurred_at", "consent_id") for row in rows.consent]
        entries += [self._offer("offer", row) for row in rows.offer]
        entries += [self._offer("offer_terms", row) for row in rows.offer_terms]
        entries += [entry("offer_message", row, "at", "message_id") for row in rows.offer_message]
        entries += [entry("reply", row, "received_at", "inbound_id") for row in rows.reply]
        entries += [entry("order_step", row, "at", "sequence") for row in rows.order_step]
        entries += [entry("text", row, "at", "message_id") for row in rows.text]
        entries += [entry("submitted", row, "sent_at", "message_id", "segment") for row in rows.submitted]
        entries += [
            entry("receipt", row, "received_at", "message_id", "segment", "received_at", "receipt_state")
            for row in rows.receipt
        ]
        entries += [entry("event", row, "created_at", "event_id") for row in rows.event]
        entries += [entry("delivery", row, "at", "event_id", "endpoint_id") for row in rows.delivery]
        return entries

    def _offer(self, kind: str, row: Row) -> Entry:
        made = self._offers.get((kind, id(row)))
        if made is None:
            made = self._entry(kind, row, "created_at", "offer_id", "version")
            self._offers[kind, id(row)] = made
        return made

    def _entry(self, kind: str, row: Row, at: str, *names: str) -> Entry:
        """Return a row of the time in column `at`; the columns `names` tell it from others of its kind."""
        plan = self._plans.get(columns := (at, *row.keys()))
        if plan is None:
            plan = self._plans[columns] = self._plan(at, row.keys())
        body: dict[str | None, Any] = dict(zip(plan.names, row.values(), strict=True))
        del body[None]
        when = instant(row[at])
        for name, convert in plan.converts:
            value = body[name]
            if value is not None:
                body[name] = convert(value, row)
        id_ = "/".join([when if n == at else str(body[_name(n)]) for n in names])
        return Entry(kind, when, cast("dict[str, object]", body), id_)

    def _plan(self, at: str, columns: Iterable[str]) -> _Plan:
        left_out = _LEFT_OUT | {at}
        named = [(None, None) if column in left_out else self._become(column) for column in columns]
        return _Plan(
            [name for name, _ in named],
            [(name, convert) for name, convert in named if name is not None and convert is not None],
        )

    def _become(self, column: str) -> tuple[str, Convert | None]:
        """Return what a column is called, and how its values are written; None: as they are."""
        convert: Convert | None = None
        if column in _IDS:
            convert = partial(self._id, _IDS[column])
        elif column in _AMOUNTS:
            convert = _amount
        elif column in _JSON:
            convert = _parsed
        elif column in _OCTETS:
            convert = _hex
        elif column in _INSTANTS:
            convert = _time
        elif column == "msisdn":
            convert = _number
        elif column == "receipt_state":
            convert = _state
        return _name(column), convert

    def _id(self, kind: Kind, id_: int, _row: Row) -> str:
        return self._public_ids.encode(kind, id_)


Convert = Callable[[Any, Row], object]


class _Plan(NamedTuple):
    """What becomes of the columns of a statement: names, None where left out, and values that change."""

    names: Sequence[str | None]
    converts: Sequence[tuple[str, Convert]]


def _amount(minor: int, row: Row) -> str:
    return minor_to_text(minor, row["currency"])


def _parsed(text: str, _row: Row) -> object:
    return orjson.loads(text)


def _hex(octets: bytes, _row: Row) -> str:
    return octets.hex()


def _time(at: datetime, _row: Row) -> str:
    return instant(at)


def _number(msisdn: int, _row: Row) -> str:
    return f"+{msisdn}"


def _state(state: int, _row: Row) -> str:
    return ReceiptState(state).name.lower()


def _name(column: str) -> str:
    if column in _IDS:
        return column.removesuffix("_id")
    if column in _AMOUNTS:
        return column.removesuffix("_minor")
    return "state" if column == "receipt_state" else column
