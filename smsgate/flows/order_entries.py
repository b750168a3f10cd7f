"""What the database holds about an order or a consent, as the entries of its proof: one for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol

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
AMOUNTS_KEPT: Final = 1_024  # written last; orders of one offer have few prices and totals
_TIME: Final = -1
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


@dataclass(frozen=True, slots=True)
class ProofRows:
    """Columns by their names; each row has those of its statement in store/sql/order_proof.sql."""

    order: list[Row] = field(default_factory=list)  # one; none: the proof of a consent
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


def entries_of(rows: ProofRows, public_ids: PublicIds) -> list[Entry]:
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


# Of each kind of entry: the column of its time, and those that tell it from others of its kind.
_TOLD_BY: Final = {
    "consent": ("occurred_at", ("consent_id",)),
    "offer": ("created_at", ("offer_id", "version")),
    "offer_terms": ("created_at", ("offer_id", "version")),
    "offer_message": ("at", ("message_id",)),
    "reply": ("received_at", ("inbound_id",)),
    "order": ("created_at", ("order_id",)),
    "order_step": ("at", ("sequence",)),
    "text": ("at", ("message_id",)),
    "submitted": ("sent_at", ("message_id", "segment")),
    "receipt": ("received_at", ("message_id", "segment", "received_at", "receipt_state")),
    "event": ("created_at", ("event_id",)),
    "delivery": ("at", ("event_id", "endpoint_id")),
}


class Entries:
    """Makes entries of many orders: what a kind's columns become is found once, and so are offers."""

    def __init__(self, public_ids: PublicIds) -> None:
        self._public_ids = public_ids
        self._plans: dict[tuple[str, ...], _Plan] = {}  # by the kind and all columns
        self._offers: dict[tuple[str, int], Entry] = {}  # by the row, which orders of one offer share

    def of(self, rows: ProofRows) -> list[Entry]:
        """Return an entry for each row, in no order."""
        entry = self._entry
        entries = [entry("order", row) for row in rows.order]
        entries += [entry("consent", row) for row in rows.consent]
        entries += [self._offer("offer", row) for row in rows.offer]
        entries += [self._offer("offer_terms", row) for row in rows.offer_terms]
        entries += [entry("offer_message", row) for row in rows.offer_message]
        entries += [entry("reply", row) for row in rows.reply]
        entries += [entry("order_step", row) for row in rows.order_step]
        entries += [entry("text", row) for row in rows.text]
        entries += [entry("submitted", row) for row in rows.submitted]
        entries += [entry("receipt", row) for row in rows.receipt]
        entries += [entry("event", row) for row in rows.event]
        entries += [entry("delivery", row) for row in rows.delivery]
        return entries

    def _offer(self, kind: str, row: Row) -> Entry:
        made = self._offers.get((kind, id(row)))
        if made is None:
            made = self._entry(kind, row)
            self._offers[kind, id(row)] = made
        return made

    def _entry(self, kind: str, row: Row) -> Entry:
        plan = self._plans.get(columns := (kind, *row.keys()))
        if plan is None:
            plan = self._plans[columns] = self._plan(kind, row.keys())
        values = list(plan.values(row))
        for place, convert in plan.converts:
            if (value := values[place]) is not None:
                values[place] = convert(value)
        for place in plan.amounts:
            if (value := values[place]) is not None:
                values[place] = _amount(value, row["currency"])
        when = instant(row[plan.at])
        if len(plan.told_by) == 1:
            id_ = str(values[plan.told_by[0]])
        else:
            id_ = "/".join([when if place == _TIME else str(values[place]) for place in plan.told_by])
        return Entry(kind, when, dict(zip(plan.names, values, strict=True)), id_)

    def _plan(self, kind: str, columns: Iterable[str]) -> _Plan:
        at, told_by = _TOLD_BY[kind]
        kept = sorted(
            (_name(column), column) for column in columns if column not in _LEFT_OUT and column != at
        )
        places = {column: place for place, (_, column) in enumerate(kept)}
        converts = [(place, self._convert(column)) for column, place in places.items()]
        return _Plan(
            at,
            itemgetter(*places),
            [name for name, _ in kept],
            [(place, convert) for place, convert in converts if convert is not None],
            [place for column, place in places.items() if column in _AMOUNTS],
            [_TIME if column == at else places[column] for column in told_by],
        )

    def _convert(self, column: str) -> Callable[[Any], object] | None:
        """Return how a column's values are written; None: as they are, or by their row."""
        if column in _IDS:
            return partial(self._public_ids.encode, _IDS[column])
        return _WRITTEN.get(column)


class _Plan(NamedTuple):
    """What becomes of the columns of a statement, by their places in the order of the names."""

    at: str
    values: Callable[[Row], tuple[Any, ...]]
    names: Sequence[str]  # sorted, as they are written where an entry is hashed
    converts: Sequence[tuple[int, Callable[[Any], object]]]
    amounts: Sequence[int]
    told_by: Sequence[int]  # _TIME: by the time


@lru_cache(AMOUNTS_KEPT)
def _amount(minor: int, currency: str) -> str:
    return minor_to_text(minor, currency)


def _number(msisdn: int) -> str:
    return f"+{msisdn}"


def _state(state: int) -> str:
    return ReceiptState(state).name.lower()


_WRITTEN: Final[Mapping[str, Callable[[Any], object]]] = {
    "evidence": orjson.loads, "detail": orjson.loads, "data": orjson.loads,
    "raw": bytes.hex, "tlvs": bytes.hex, "smsc_id": bytes.hex, "error": bytes.hex,
    "recorded_at": instant, "expires_at": instant, "placed_at": instant, "delivered_at": instant,
    "msisdn": _number,
    "receipt_state": _state,
}  # fmt: skip


def _name(column: str) -> str:
    if column in _IDS:
        return column.removesuffix("_id")
    if column in _AMOUNTS:
        return column.removesuffix("_minor")
    return "state" if column == "receipt_state" else column
