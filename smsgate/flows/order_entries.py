"""What the database holds about an order or a consent, as the entries of its proof: one for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from json.encoder import encode_basestring
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol

import orjson

from smsgate.flows.records import STATUS_UNKNOWN
from smsgate.money import minor_to_text
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.proof_chain import Entry
from smsgate.security.proof_stamps import Content
from smsgate.security.public_ids import Kind, PublicIds

# Of entries of one instant: what was agreed and offered first, what is told last.
RANKS: Final = (
    "consent", "offer", "offer_terms", "offer_message", "reply", "order", "order_step", "text", "submitted",
    "receipt", "event", "delivery", "stamp",
)  # fmt: skip
AMOUNTS_KEPT: Final = 1_024  # written last; orders of one offer have few prices and totals
# Of rows, in the order in which their entries are made.
KINDS: Final = (
    "order", "consent", "offer", "offer_terms", "offer_message", "reply", "order_step", "text", "submitted",
    "receipt", "event", "delivery",
)  # fmt: skip
STAMPED: Final = KINDS[:-1]
_SHARED: Final = frozenset({"offer", "offer_terms"})
_NULL: Final = "null"
_TIME: Final = -1
INSTANTS_KEPT: Final = 1_024  # written last; an order shares its instant with its step, reply and events


class Row(Protocol):
    """What a mapping and a row of the database have in common."""

    def __getitem__(self, column: str, /) -> Any: ...
    def __len__(self) -> int: ...
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


@dataclass(slots=True)  # not frozen: one is made for each order, and a frozen one takes 4 us
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
    """
    Makes entries of many orders: what a kind's columns become is found once, and so are offers.

    Rows of one kind come from one statement, whose columns they all have.
    """

    def __init__(self, public_ids: PublicIds) -> None:
        self._public_ids = public_ids
        self._plans: dict[tuple[str, int], _Plan] = {}  # by the kind and the number of columns
        self._offers: dict[tuple[str, int], Content] = {}  # by the row, which orders of one offer share

    def of(self, rows: ProofRows) -> list[Entry]:
        """Return an entry for each row, in no order."""
        return [self._entry(kind, row) for kind in KINDS for row in getattr(rows, kind)]

    def contents(self, orders: Sequence[ProofRows]) -> list[list[Content]]:
        """
        Return what stamps hash of the entries of each order, without making them.

        What a row is not written as once and for all is left out: a delivery counts its attempts, and an
        outcome that is not known may still become known.
        """
        found: list[list[Content]] = [[] for _ in orders]
        for kind in STAMPED:
            rows = [(place, row) for place, order in enumerate(orders) for row in getattr(order, kind)]
            if kind == "submitted":
                rows = [each for each in rows if each[1]["status"] != STATUS_UNKNOWN]
            if not rows:
                continue
            make = self._of_offers if kind in _SHARED else self._contents
            for (place, _), content in zip(rows, make(kind, [row for _, row in rows]), strict=True):
                found[place].append(content)
        return found

    def _of_offers(self, kind: str, rows: Sequence[Row]) -> list[Content]:
        new = {id(row): row for row in rows if (kind, id(row)) not in self._offers}
        if new:
            made = zip(new, self._contents(kind, [*new.values()]), strict=True)
            self._offers |= {(kind, place): content for place, content in made}
        return [self._offers[kind, id(row)] for row in rows]

    def _contents(self, kind: str, rows: Sequence[Row]) -> list[Content]:
        """Return what `content_of` returns of the entry of each row: by columns, in a third of the time."""
        plan = self._plan(kind, rows[0])
        columns = [
            write(column)
            for write, column in zip(plan.writes, zip(*map(plan.values, rows), strict=True), strict=True)
        ]
        for place, amounts in plan.amounts:
            texts = [(row[amounts], row["currency"]) for row in rows]
            columns[place] = [
                _NULL if minor is None else f'"{_amount(minor, currency)}"' for minor, currency in texts
            ]
        at = plan.at
        times = [instant(row[at]) for row in rows]
        told_by = [
            times if place == _TIME else [text.strip('"') for text in columns[place]]
            for place in plan.told_by
        ]
        ids = told_by[0] if len(told_by) == 1 else map("/".join, zip(*told_by, strict=True))
        octets = plan.octets
        return [
            Content(kind, id_, (octets % (when, *written, id_)).encode())
            for when, id_, *written in zip(times, ids, *columns, strict=True)
        ]

    def _entry(self, kind: str, row: Row) -> Entry:
        plan = self._plan(kind, row)
        values = list(plan.values(row))
        for place, convert in plan.converts:
            if (value := values[place]) is not None:
                values[place] = convert(value)
        for place, _ in plan.amounts:
            if (value := values[place]) is not None:
                values[place] = _amount(value, row["currency"])
        when = instant(row[plan.at])
        id_ = "/".join([when if place == _TIME else str(values[place]) for place in plan.told_by])
        return Entry(kind, when, dict(zip(plan.names, values, strict=True)), id_)

    def _plan(self, kind: str, row: Row) -> _Plan:
        plan = self._plans.get((kind, len(row)))
        if plan is None:
            plan = self._plans[kind, len(row)] = self._planned(kind, row.keys())
        return plan

    def _planned(self, kind: str, columns: Iterable[str]) -> _Plan:
        at, told_by = _TOLD_BY[kind]
        kept = sorted(
            (_name(column), column) for column in columns if column not in _LEFT_OUT and column != at
        )
        names = [name for name, _ in kept]
        places = {column: place for place, (_, column) in enumerate(kept)}
        converts = [self._convert(column) for column in places]
        body = ",".join([f'"{name}":%s' for name in names])
        return _Plan(
            at,
            itemgetter(*places),
            names,
            [(place, convert) for place, convert in enumerate(converts) if convert is not None],
            [_json if convert is None else partial(_converted, convert) for convert in converts],
            f'{{"at":"%s","body":{{{body}}},"id":"%s","kind":"{kind}"}}',
            [(place, column) for column, place in places.items() if column in _AMOUNTS],
            [_TIME if column == at else places[column] for column in told_by],
        )

    def _convert(self, column: str) -> Callable[[Any], object] | None:
        """Return how a column's values are written; None: as they are, or by their row."""
        if column in _IDS:
            return self._public_ids.encoder(_IDS[column])
        return _WRITTEN.get(column)


class _Plan(NamedTuple):
    """What becomes of the columns of a statement, by their places in the order of the names."""

    at: str
    values: Callable[[Row], tuple[Any, ...]]
    names: Sequence[str]  # sorted, as they are written where an entry is hashed
    converts: Sequence[tuple[int, Callable[[Any], object]]]
    writes: Sequence[Callable[[Sequence[Any]], list[str]]]  # each value as `canonical` writes it
    octets: str  # an entry as it is hashed, but for its time, its values and its id
    amounts: Sequence[tuple[int, str]]
    told_by: Sequence[int]  # _TIME: by the time; the rest are numbers, or texts without a character to escape


def _json(column: Sequence[Any]) -> list[str]:
    """Return the values of a column as JSON, as orjson writes it; most columns are of one type."""
    types = {*map(type, column)}
    if types == {str}:
        return [*map(encode_basestring, column)]
    if types == {int}:
        return [*map(str, column)]
    return [orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() for value in column]


def _converted(convert: Callable[[Any], object], column: Sequence[Any]) -> list[str]:
    if None in column:
        return _json([None if value is None else convert(value) for value in column])
    return _json([*map(convert, column)])


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
