"""What is stored of one message's money, as `explaining` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from smsgate.billing.periods import Month
    from smsgate.billing.prices import Direction, PriceItem
    from smsgate.billing.vat import Vat, VatHistory


@dataclass(frozen=True, slots=True)
class Priced:
    """A published price, and from when until when its version is in force; None: no newer one stands yet."""

    item: PriceItem
    list_name: str
    version: int
    currency: str
    effective_from: datetime
    effective_until: datetime | None
    is_first: bool = False  # of its list: it prices what is older than the list, too


class Posted(NamedTuple):
    """A posting that holds the charge, alone or among others like it, which its sums are of."""

    name: str
    at: datetime
    messages: int
    segments: int
    amount_micros: int


class GivenBack(NamedTuple):
    name: str  # of the posting
    at: datetime
    reason: str


class Receipt(NamedTuple):
    """The first final one, by time of arrival."""

    state: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PartFacts:
    """
    One part of a message as it is stored; a reply is one part.

    `refusal` says why the carrier did not take it, "" when it did. `postings` are those that may hold the
    charge: one, where the database still tells which.
    """

    part: int
    segments: int
    taken_at: datetime
    refusal: str
    carrier: str
    sell: Priced | None
    sell_micros: int
    cost: Priced | None = None
    cost_micros: int = 0
    receipt: Receipt | None = None
    postings: tuple[Posted, ...] = ()
    given_back: GivenBack | None = None


class Cut(NamedTuple):
    """What is recorded from `cut_at` on is not the month's any more; `closed`: its documents are written."""

    month: Month
    cut_at: datetime
    closed: bool


class BilledLine(NamedTuple):
    """A line that bills an item's segments of one month; `credits` are (number, quantity)."""

    item_id: int
    number: str
    doc_type: str
    month: Month
    issued_on: date
    line: int
    quantity: int
    unit_micros: int
    net: str
    currency: str
    vat: Vat
    credits: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ExplainFacts:
    """
    `month_segments`: what was charged so far of an item with a ladder, in the month of acceptance.

    `first_month` is the first one that is billed, cut or to be cut; older charges fall into it.
    """

    direction: Direction
    accepted_at: datetime
    zone_name: str
    parts: Sequence[PartFacts]
    cuts: Sequence[Cut] = ()  # in their order
    lines: Sequence[BilledLine] = ()
    month_segments: Mapping[int, int] = field(default_factory=dict)
    vat: VatHistory | None = None
    first_month: Month | None = None
