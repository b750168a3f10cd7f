"""
Reconciliation: a carrier's records and invoice against what we counted (R17).

Rows are matched by the carrier's message id, inside the carrier's month in the carrier's zone; what lies
outside that month is cut off and named, on either side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from smsgate.billing.periods import month_bounds
from smsgate.errors import Invalid
from smsgate.money import HUNDRED_PERCENT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from smsgate.billing.periods import Month


class RowClass(StrEnum):
    """Why a row is where it is; each row of the result has exactly one."""

    MATCHED = "matched"
    PRICE_DIFFERS = "price_differs"
    SEGMENTS_DIFFER = "segments_differ"
    ONLY_OURS = "only_ours"
    ONLY_CARRIER = "only_carrier"
    CUT_OFF = "cut_off"  # one side has it in another month
    DUPLICATE = "duplicate"  # the carrier lists it more than once


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    DISPUTE = "dispute"  # the carrier bills more than the tolerance lets through
    UNDERBILLED = "underbilled"


class TrafficRow(NamedTuple):
    """One message as one side has it; `cost_micros` is for all its segments, None when it names none."""

    message_id: str
    at: datetime
    segments: int
    cost_micros: int | None


class Tolerance(NamedTuple):
    """The larger of a share of our cost (millionths of a percent) and an amount."""

    share_micros: int
    amount_micros: int


class ReconciledRow(NamedTuple):
    message_id: str
    row_class: RowClass
    our_micros: int | None
    carrier_micros: int | None


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
    start, end = month_bounds(month, carrier_zone)
    own: dict[str, TrafficRow] = {}
    for row in sorted(ours, key=_in_time):
        own.setdefault(row.message_id, row)
    carrier: dict[str, TrafficRow] = {}
    found: list[ReconciledRow] = []
    billed = 0
    for row in sorted(theirs, key=_in_time):
        inside = start <= row.at < end
        billed += (row.cost_micros or 0) if inside else 0
        if row.message_id in carrier:
            found.append(ReconciledRow(row.message_id, RowClass.DUPLICATE, None, row.cost_micros))
        else:
            carrier[row.message_id] = row
    our_cost = 0
    for message_id in sorted(own.keys() | carrier.keys()):
        mine, other = own.get(message_id), carrier.get(message_id)
        # A pair lies where the carrier has it: its clock decides about its month.
        at = other.at if other is not None else mine.at if mine is not None else start
        inside = start <= at < end
        if inside and mine is not None:
            our_cost += mine.cost_micros or 0
        found.append(
            ReconciledRow(
                message_id,
                _class_of(mine, other, start, end),
                None if mine is None else mine.cost_micros,
                None if other is None else other.cost_micros,
            )
        )
    invoiced = billed if invoiced_micros is None else invoiced_micros
    verdict, allowed = judge(our_cost, invoiced, tolerance)
    return Reconciliation(tuple(sorted(found, key=_by_id)), our_cost, invoiced, allowed, verdict)


def _class_of(mine: TrafficRow | None, other: TrafficRow | None, start: datetime, end: datetime) -> RowClass:
    if mine is None or other is None:
        alone = mine or other
        assert alone is not None
        if not start <= alone.at < end:
            return RowClass.CUT_OFF
        return RowClass.ONLY_OURS if other is None else RowClass.ONLY_CARRIER
    if not start <= other.at < end:
        return RowClass.CUT_OFF
    if mine.segments != other.segments:
        return RowClass.SEGMENTS_DIFFER
    if other.cost_micros is not None and mine.cost_micros != other.cost_micros:
        return RowClass.PRICE_DIFFERS
    return RowClass.MATCHED


def _in_time(row: TrafficRow) -> tuple[datetime, str, int, int]:
    return row.at, row.message_id, row.segments, row.cost_micros or 0


def _by_id(row: ReconciledRow) -> tuple[str, str, int, int]:
    return row.message_id, row.row_class.value, row.our_micros or 0, row.carrier_micros or 0
