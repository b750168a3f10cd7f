"""
Where a carrier's bill and our costs differ, by network and price: how much of it is count, how much price.

A bill may name countries or all others where we know networks: our counts then go to the closest name that
the bill has, as a price list is looked up.
"""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from smsgate.billing.reconciliation import PriceKey, PriceSums

ANY: Final = "*"


class Reason(StrEnum):
    SAME = "same"
    COUNT = "count"
    PRICE = "price"
    COUNT_AND_PRICE = "count_and_price"
    ONLY_OURS = "only_ours"
    ONLY_CARRIER = "only_carrier"


class BillLine(NamedTuple):
    """Segments of one network at one price, of either side; `unit_micros` None: the line names no price."""

    network: str
    unit_micros: int | None
    segments: int
    amount_micros: int


class Difference(NamedTuple):
    """One line of the comparison; a side without a price has no line of this kind."""

    network: str
    our_unit: int | None
    their_unit: int | None
    our_segments: int
    their_segments: int
    our_micros: int
    their_micros: int

    @property
    def difference_micros(self) -> int:
        """Return what the carrier bills more than we count; below zero: less."""
        return self.their_micros - self.our_micros

    @property
    def count_micros(self) -> int:
        """Return the part of the difference that the counts make, at our price where we have one."""
        if not self.our_segments:
            return self.their_micros
        if self.our_unit is None:
            return 0
        return (self.their_segments - self.our_segments) * self.our_unit

    @property
    def price_micros(self) -> int:
        """Return the rest of the difference: what prices make, and how the bill rounds."""
        return self.difference_micros - self.count_micros

    @property
    def reason(self) -> Reason:
        if not self.our_segments and not self.our_micros:
            return Reason.ONLY_CARRIER
        if not self.their_segments and not self.their_micros:
            return Reason.ONLY_OURS
        count = self.our_segments != self.their_segments
        if self.price_micros:
            return Reason.COUNT_AND_PRICE if count else Reason.PRICE
        return Reason.COUNT if count else Reason.SAME


def differences_of(prices: Mapping[PriceKey, PriceSums]) -> list[Difference]:
    """Return the lines of pairs that were matched by message."""
    return sorted(
        (
            Difference(*key, sums.our_segments, sums.their_segments, sums.our_micros, sums.their_micros)
            for key, sums in prices.items()
        ),
        key=_in_order,
    )


def compare_lines(ours: Iterable[BillLine], theirs: Iterable[BillLine]) -> list[Difference]:
    """
    Return the lines of a bill that names no messages beside ours.

    Equal network and price stand together; of what is left of a network one price of each side does, too.
    """
    billed = _sums((line, line.network) for line in theirs)
    named = {network for network, _unit in billed}
    counted = _sums((line, closest(line.network, named)) for line in ours)
    found: list[Difference] = []
    left: defaultdict[str, tuple[list[BillLine], list[BillLine]]] = defaultdict(lambda: ([], []))
    for key in counted.keys() | billed.keys():
        mine, other = counted.get(key), billed.get(key)
        if mine is not None and other is not None:
            found.append(_difference(mine, other))
        else:
            for place, line in enumerate((mine, other)):
                if line is not None:
                    left[key[0]][place].append(line)
    for mines, others in left.values():
        if len(mines) == len(others) == 1:
            found.append(_difference(mines[0], others[0]))
        else:
            found += [_difference(line, None) for line in mines]
            found += [_difference(None, line) for line in others]
    return sorted(found, key=_in_order)


def closest(network: str, named: Collection[str]) -> str:
    """Return the bill's name for a network such as "20801" or "208*": itself, its country, or "*"."""
    plain = network if network == ANY else network.removesuffix(ANY)
    for name in (plain, plain[:3], ANY):
        if name in named:
            return name
    return plain


def _sums(lines: Iterable[tuple[BillLine, str]]) -> dict[tuple[str, int | None], BillLine]:
    sums: dict[tuple[str, int | None], BillLine] = {}
    for line, network in lines:
        key = network, line.unit_micros
        before = sums.get(key)
        segments, micros = (0, 0) if before is None else (before.segments, before.amount_micros)
        sums[key] = BillLine(network, line.unit_micros, segments + line.segments, micros + line.amount_micros)
    return sums


def _difference(mine: BillLine | None, other: BillLine | None) -> Difference:
    named = mine or other
    assert named is not None
    return Difference(
        named.network,
        None if mine is None else mine.unit_micros,
        None if other is None else other.unit_micros,
        0 if mine is None else mine.segments,
        0 if other is None else other.segments,
        0 if mine is None else mine.amount_micros,
        0 if other is None else other.amount_micros,
    )


def _in_order(line: Difference) -> tuple[str, int, int]:
    return line.network, line.our_unit or 0, line.their_unit or 0
