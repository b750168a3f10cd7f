"""
Tiers: prices by quantity, of one item of one price list version in one month.

Units are charged segments. Tiers are computed from counts at the close, so the order of messages within a
close cannot matter.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from smsgate.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from smsgate.billing.vat import Vat


class LadderMode(StrEnum):
    GRADUATED = "graduated"  # each unit at the price of its step
    VOLUME = "volume"  # all units at the price of the step that the total reaches


class Step(NamedTuple):
    """`first` is the first unit of the step, from 1 on."""

    first: int
    unit_micros: int


@dataclass(frozen=True, slots=True)
class Ladder:
    mode: LadderMode
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        firsts = [step.first for step in self.steps]
        if not firsts or firsts[0] != 1 or firsts != sorted(set(firsts)):
            raise Invalid("the steps of a ladder begin at unit 1 and rise", code="price_invalid")
        if any(step.unit_micros < 0 for step in self.steps):
            raise Invalid("a step has a negative price", code="price_invalid")

    def unit_at(self, unit: int) -> int:
        """Return the price of the step that this unit, counted from 1, stands on."""
        assert unit >= 1
        return self.steps[self._position(unit)].unit_micros

    def stretches(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield (unit_micros, quantity) for the units `first` to `last`, both included."""
        while first <= last:
            position = self._position(first)
            following = self.steps[position + 1].first if position + 1 < len(self.steps) else last + 1
            end = min(last, following - 1)
            yield self.steps[position].unit_micros, end - first + 1
            first = end + 1

    def _position(self, unit: int) -> int:
        return bisect_right(self.steps, unit, key=lambda step: step.first) - 1


def ladder_to_json(ladder: Ladder) -> str:
    """Return {"mode": "graduated", "steps": [[1, 50000], [101, 40000]]}: first units and micros."""
    return json.dumps({"mode": ladder.mode.value, "steps": ladder.steps})


def ladder_from_json(text: str) -> Ladder:
    """
    Read what `ladder_to_json` wrote.

    Raises:
        Invalid: code `price_invalid`.
    """
    try:
        told = json.loads(text)
        steps = tuple(Step(first, unit_micros) for first, unit_micros in told["steps"])
        mode = LadderMode(told["mode"])
        whole = all(type(number) is int for step in steps for number in step)
    except (KeyError, TypeError, ValueError) as exc:
        raise Invalid(f"{text[:80]!r} is no ladder", code="price_invalid") from exc
    if not whole:
        raise Invalid("steps are whole units and whole micros", code="price_invalid")
    return Ladder(mode, steps)


def tier_changes(
    ladder: Ladder, before: Mapping[Vat, int], added: Mapping[Vat, int]
) -> list[tuple[Vat, int, int]]:
    """
    Return what a close bills as (vat, unit_micros, quantity): `before` is billed and `added` comes to it.

    Quantities below zero give back. Graduated: the next units, VAT groups in their order, or the last ones
    when they are given back. Volume: the difference alone, or all units again when the step has changed.

    Raises:
        Invalid: code `ledger_mismatch`: more is given back than was billed.
    """
    total = sum(before.values())
    changes: Counter[tuple[Vat, int]] = Counter()
    if total + sum(added.values()) < 0:
        raise Invalid("more segments are reversed than were charged", code="ledger_mismatch")
    if ladder.mode is LadderMode.GRADUATED:
        # Those who give come first, so that no count falls below zero on the way.
        for vat, quantity in sorted(added.items(), key=lambda pair: (pair[1] < 0, pair[0])):
            reached = total + quantity
            sign = 1 if quantity > 0 else -1
            for unit_micros, units in ladder.stretches(min(total, reached) + 1, max(total, reached)):
                changes[vat, unit_micros] += sign * units
            total = reached
    else:
        after = Counter(dict(before))
        after.update(added)
        for counts, sign in ((before, -1), (after, 1)):
            reached = sum(counts.values())
            for vat, quantity in counts.items():
                if quantity:
                    changes[vat, ladder.unit_at(max(reached, 1))] += sign * quantity
    return [
        (vat, unit_micros, quantity) for (vat, unit_micros), quantity in sorted(changes.items()) if quantity
    ]
