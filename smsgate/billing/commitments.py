"""
Minimums per month and currency (R11).

They are versions that never change; of those that cover a month the newest one holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from smsgate.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.billing.periods import Month


@dataclass(frozen=True, slots=True)
class Commitment:
    """A minimum net per month, from `first` to `last`, both included; None: no beginning, no end."""

    currency: str
    minimum_minor: int
    first: Month | None = None
    last: Month | None = None

    def __post_init__(self) -> None:
        if self.minimum_minor < 0:
            raise Invalid("a minimum is not below zero", code="commitment_invalid")
        if self.first is not None and self.last is not None and self.last < self.first:
            raise Invalid(f"{self.last} is before {self.first}", code="commitment_invalid")

    def covers(self, month: Month) -> bool:
        return (self.first is None or self.first <= month) and (self.last is None or month <= self.last)


class Stretch(NamedTuple):
    """Months from `first` to `last`, both included, whose minimum changes; minor units."""

    first: Month
    last: Month | None
    old_minor: int
    new_minor: int


def minimum_in(commitments: Sequence[Commitment], currency: str, month: Month) -> int:
    """Return the minimum of a month, 0 without; `commitments` are in the order in which they were made."""
    held = [each for each in commitments if each.currency == currency and each.covers(month)]
    return held[-1].minimum_minor if held else 0


def commitment_changes(commitments: Sequence[Commitment], new: Commitment) -> tuple[Stretch, ...]:
    """Return what `new`, which has a beginning, would change; months of one old minimum are one stretch."""
    assert new.first is not None
    borders = {new.first}
    for each in commitments:
        if each.currency == new.currency:
            found = each.first, None if each.last is None else each.last.next()
            borders |= {
                month for month in found if month is not None and month > new.first and new.covers(month)
            }
    starts = sorted(borders)
    ends = [*(month.previous() for month in starts[1:]), new.last]
    stretches: list[Stretch] = []
    for first, last in zip(starts, ends, strict=True):
        old = minimum_in(commitments, new.currency, first)
        if stretches and stretches[-1].old_minor == old:
            stretches[-1] = stretches[-1]._replace(last=last)
        else:
            stretches.append(Stretch(first, last, old, new.minimum_minor))
    return tuple(each for each in stretches if each.old_minor != each.new_minor)
