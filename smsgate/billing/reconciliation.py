"""
Reconciliation: a carrier's records and invoice against what we counted (R17).

Rows are matched by the carrier's message id, inside the carrier's month in the carrier's zone; what lies
outside that month is cut off and named, on either side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.periods import month_bounds
from smsgate.errors import Invalid
from smsgate.money import HUNDRED_PERCENT

PARTS_WITHIN: Final = timedelta(
    hours=1
)  # between two lines of one long message; an id is used again after days
PRICES_MAX: Final = 50_000  # networks and prices of a bill: some 20 MB; real ones have hundreds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from smsgate.billing.periods import Month


class RowClass(StrEnum):
    """Why a row is where it is; each row of the result has exactly one."""

    MATCHED = "matched"
    PRICE_DIFFERS = "price_differs"
    SEGMENTS_DIFFER = "segments_differ"
    NOT_OWED = "not_owed"  # the carrier bills what by its own terms is not charged
    ONLY_OURS = "only_ours"
    ONLY_CARRIER = "only_carrier"
    CUT_OFF = "cut_off"  # one side has it in another month
    DUPLICATE = "duplicate"  # the carrier lists it more than once


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    DISPUTE = "dispute"  # the carrier bills more than the tolerance lets through
    UNDERBILLED = "underbilled"


class TrafficRow(NamedTuple):
    """
    One message as one side has it; `cost_micros` is for all its segments, None when it names none.

    `owed`, of ours: False where nothing is charged by the basis of its price, so no bill is waited for.
    """

    message_id: str
    at: datetime
    segments: int
    cost_micros: int | None
    network: str = ""
    owed: bool = True

    @property
    def unit_micros(self) -> int | None:
        """Return the price of a segment; None when it names none, or one that is no whole micros."""
        if self.cost_micros is None or not self.segments or self.cost_micros % self.segments:
            return None
        return self.cost_micros // self.segments


class Tolerance(NamedTuple):
    """The larger of a share of our cost (millionths of a percent) and an amount."""

    share_micros: int
    amount_micros: int


class ReconciledRow(NamedTuple):
    message_id: str
    row_class: RowClass
    our_micros: int | None
    carrier_micros: int | None


class JudgedRow(NamedTuple):
    row_class: RowClass
    mine: TrafficRow | None
    other: TrafficRow | None


class PriceKey(NamedTuple):
    """A network with our price of a segment and the carrier's; None: that side has none."""

    network: str
    our_unit: int | None
    their_unit: int | None


@dataclass(slots=True)
class PriceSums:
    our_segments: int = 0
    our_micros: int = 0
    their_segments: int = 0
    their_micros: int = 0


@dataclass(slots=True)
class Matching:
    """
    Sums over pairs, which may come one by one and in any order; the rows themselves are handed back.

    Both bounds are instants of the carrier's month. Sums hold what lies inside it, `beyond_micros` what the
    carrier lists outside of it.
    """

    starts_at: datetime
    ends_at: datetime
    our_micros: int = 0
    billed_micros: int = 0
    beyond_micros: int = 0
    counts: Counter[RowClass] = field(default_factory=Counter)
    prices: defaultdict[PriceKey, PriceSums] = field(default_factory=lambda: defaultdict(PriceSums))

    def take(
        self, mine: TrafficRow | None, other: TrafficRow | None, repeats: Sequence[TrafficRow] = ()
    ) -> list[JudgedRow]:
        """Judge a message that either side or both have; `repeats` are the carrier's further rows of it."""
        judged = [JudgedRow(RowClass.DUPLICATE, None, row) for row in repeats]
        if other is not None or (mine is not None and mine.owed):
            judged.append(JudgedRow(self._class_of(mine, other), mine, other))
        for row in judged:
            self.counts[row.row_class] += 1
            self._add(row)
        return judged

    def _add(self, row: JudgedRow) -> None:
        # A pair lies where the carrier has it: its clock decides about its month.
        mine, other = row.mine, row.other
        lying = other or mine
        assert lying is not None
        if not self.starts_at <= lying.at < self.ends_at:
            self.beyond_micros += 0 if other is None else other.cost_micros or 0
            return
        owed = mine if mine is not None and mine.owed else None
        named = owed or mine or other
        assert named is not None
        sums = self._sums_of(
            PriceKey(
                named.network,
                None if owed is None else owed.unit_micros,
                None if other is None else other.unit_micros,
            )
        )
        if owed is not None:
            self.our_micros += owed.cost_micros or 0
            sums.our_micros += owed.cost_micros or 0
            sums.our_segments += owed.segments
        if other is not None:
            self.billed_micros += other.cost_micros or 0
            sums.their_micros += other.cost_micros or 0
            sums.their_segments += other.segments

    def _sums_of(self, key: PriceKey) -> PriceSums:
        if key not in self.prices and len(self.prices) >= PRICES_MAX:
            raise Invalid(
                f"it has more than {PRICES_MAX} networks and prices: are the right columns read?",
                code="bill_invalid",
            )
        return self.prices[key]

    def _class_of(self, mine: TrafficRow | None, other: TrafficRow | None) -> RowClass:
        lying = other or mine
        assert lying is not None
        if not self.starts_at <= lying.at < self.ends_at:
            return RowClass.CUT_OFF
        if mine is None or other is None:
            return RowClass.ONLY_OURS if other is None else RowClass.ONLY_CARRIER
        if not mine.owed:
            return RowClass.MATCHED if other.cost_micros == 0 else RowClass.NOT_OWED
        if mine.segments != other.segments:
            return RowClass.SEGMENTS_DIFFER
        if other.cost_micros is not None and mine.cost_micros != other.cost_micros:
            return RowClass.PRICE_DIFFERS
        return RowClass.MATCHED


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`our_micros` is our cost inside the carrier's month, `invoiced_micros` what the carrier asks for it."""

    rows: tuple[ReconciledRow, ...]
    our_micros: int
    invoiced_micros: int
    allowed_micros: int  # rounded down: what is equal to the tolerance is judged exactly
    verdict: Verdict

    @property
    def difference_micros(self) -> int:
        return self.invoiced_micros - self.our_micros

    @property
    def counts(self) -> Counter[RowClass]:
        return Counter(row.row_class for row in self.rows)


def whole_messages(ours: Sequence[TrafficRow], theirs: Sequence[TrafficRow]) -> list[TrafficRow]:
    """
    Return the carrier's rows of one id, those of a message's parts as one; both sides are in order of time.

    A carrier may write a line for each part of what it took as one message. Lines that follow each other
    are taken together until they have as many segments as our message; what is beyond is listed too often.
    """
    lines, whole = list(theirs), []
    for mine in ours:
        if not lines:
            break
        row = lines.pop(0)
        while lines and _are_parts(mine, row, lines[0]):
            row = _together(row, lines.pop(0))
        whole.append(row)
    return [*whole, *lines]


def _are_parts(mine: TrafficRow, row: TrafficRow, following: TrafficRow) -> bool:
    return (
        row.segments + following.segments <= mine.segments
        and following.network == row.network
        and following.at - row.at <= PARTS_WITHIN
    )


def _together(row: TrafficRow, following: TrafficRow) -> TrafficRow:
    named = row.cost_micros is not None and following.cost_micros is not None
    return row._replace(
        segments=row.segments + following.segments,
        cost_micros=(row.cost_micros or 0) + (following.cost_micros or 0) if named else None,
    )


def judge(our_micros: int, invoiced_micros: int, tolerance: Tolerance) -> tuple[Verdict, int]:
    """Return the verdict and the allowed difference; a difference equal to the tolerance is accepted."""
    if min(tolerance) < 0:
        raise Invalid("a tolerance is below zero", code="tolerance_invalid")
    allowed = max(our_micros * tolerance.share_micros, tolerance.amount_micros * HUNDRED_PERCENT)
    difference = (invoiced_micros - our_micros) * HUNDRED_PERCENT
    verdict = Verdict.ACCEPTED
    if difference > allowed:
        verdict = Verdict.DISPUTE
    elif -difference > allowed:
        verdict = Verdict.UNDERBILLED
    return verdict, allowed // HUNDRED_PERCENT


def judge_file(matching: Matching, tolerance: Tolerance) -> tuple[Verdict, int]:
    """
    Return the verdict on what a file asks by its rows, where nobody says what the invoice asks.

    Rows of other months are asked for, too: what they come to must be tolerated, with what the month's own
    rows are too dear.
    """
    ours, billed = matching.our_micros, matching.billed_micros
    verdict, allowed = judge(ours, billed, tolerance)
    if verdict is Verdict.ACCEPTED:
        asked = max(ours, billed) + max(0, matching.beyond_micros)
        verdict = judge(ours, asked, tolerance)[0]
    return verdict, allowed


def reconcile(
    ours: Iterable[TrafficRow],
    theirs: Iterable[TrafficRow],
    *,
    month: Month,
    carrier_zone: str,
    tolerance: Tolerance,
    invoiced_micros: int | None = None,
) -> Reconciliation:
    """
    Match both sides by id; our own repeats count once, the carrier's are named.

    `invoiced_micros` None takes the sum of the carrier's rows, repeats included.
    """
    own: dict[str, TrafficRow] = {}
    for row in sorted(ours, key=_in_time):
        own.setdefault(row.message_id, row)
    carrier: defaultdict[str, list[TrafficRow]] = defaultdict(list)
    for row in sorted(theirs, key=_in_time):
        carrier[row.message_id].append(row)
    matching = Matching(*month_bounds(month, carrier_zone))
    found: list[ReconciledRow] = []
    for message_id in own.keys() | carrier.keys():
        mine = own.get(message_id)
        others = whole_messages([] if mine is None else [mine], carrier.get(message_id, []))
        found += [
            ReconciledRow(
                message_id,
                judged.row_class,
                None if judged.mine is None else judged.mine.cost_micros,
                None if judged.other is None else judged.other.cost_micros,
            )
            for judged in matching.take(mine, others[0] if others else None, others[1:])
        ]
    if invoiced_micros is None:
        invoiced = matching.billed_micros
        verdict, allowed = judge_file(matching, tolerance)
    else:
        invoiced = invoiced_micros
        verdict, allowed = judge(matching.our_micros, invoiced, tolerance)
    return Reconciliation(tuple(sorted(found, key=_by_id)), matching.our_micros, invoiced, allowed, verdict)


def _in_time(row: TrafficRow) -> tuple[datetime, str, int, int]:
    return row.at, row.message_id, row.segments, row.cost_micros or 0


def _by_id(row: ReconciledRow) -> tuple[str, str, int, int]:
    return row.message_id, row.row_class.value, row.our_micros or 0, row.carrier_micros or 0
