"""
Credit notes against the lines of one document (R13).

A credit is quantity x the original unit price, rounded; the one that uses up a line takes the rest of the
line, the one that uses up a VAT group takes the rest of its VAT. So all credits together never pass the
document, and equal it when everything is credited.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.vat import Vat, VatRow, vat_amount, vat_rows
from smsgate.errors import DomainError
from smsgate.money import micros_per_minor, round_half_away

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REASON_TOO_MUCH: Final = "quantity exceeds what is left"
REASON_NO_LINE: Final = "no such line"
REASON_NO_QUANTITY: Final = "quantity must not be zero"


class CreditRefused(DomainError):
    """The credit is refused as a whole; the message is the reason."""

    code = "credit_refused"
    http_status = 409


class OriginalLine(NamedTuple):
    """`quantity` may be below zero, for a line that gave something back; its credits are below zero too."""

    line: int
    quantity: int
    unit_micros: int
    net_minor: int
    vat: Vat


class CreditLine(NamedTuple):
    line: int
    quantity: int
    net_minor: int


@dataclass(frozen=True, slots=True)
class Credit:
    lines: tuple[CreditLine, ...]
    net_minor: int
    vat_rows: tuple[VatRow, ...]
    gross_minor: int


class Creditable:
    """What is left to credit of one document; `credit` takes from it, or changes nothing."""

    __slots__ = ("_basis", "_lines", "_quantities", "_scale", "_vat")

    def __init__(self, currency: str, lines: Iterable[OriginalLine]) -> None:
        self._scale = micros_per_minor(currency)
        self._lines = {line.line: line for line in lines}
        self._quantities = {number: line.quantity for number, line in self._lines.items()}
        self._basis = {number: line.net_minor for number, line in self._lines.items()}
        rows = vat_rows((line.vat, line.net_minor) for line in self._lines.values())
        self._vat = {row.vat: row.amount_minor for row in rows}

    def credit(self, asked: Sequence[tuple[int, int]]) -> Credit:
        """
        Credit (line, quantity) pairs; a line may come more than once.

        Raises:
            CreditRefused: a line that is not there, or more than is left; nothing is credited then.
        """
        self._check(asked)
        lines = [self._take(number, quantity) for number, quantity in asked]
        nets: defaultdict[Vat, int] = defaultdict(int)
        for line in lines:
            nets[self._lines[line.line].vat] += line.net_minor
        rows = tuple(VatRow(vat, basis, self._take_vat(vat, basis)) for vat, basis in sorted(nets.items()))
        net = sum(line.net_minor for line in lines)
        return Credit(tuple(lines), net, rows, net + sum(row.amount_minor for row in rows))

    @property
    def left(self) -> list[tuple[int, int]]:
        """Return (line, quantity) of all that is not credited yet."""
        return [(number, quantity) for number, quantity in self._quantities.items() if quantity]

    def _check(self, asked: Sequence[tuple[int, int]]) -> None:
        wanted: Counter[int] = Counter()
        for number, quantity in asked:
            if number not in self._lines:
                raise CreditRefused(REASON_NO_LINE)
            if not quantity:
                raise CreditRefused(REASON_NO_QUANTITY)
            rest = self._quantities[number] - wanted[number]
            if quantity * rest <= 0 or abs(quantity) > abs(rest):
                raise CreditRefused(REASON_TOO_MUCH)
            wanted[number] += quantity

    def _take(self, number: int, quantity: int) -> CreditLine:
        rest = self._basis[number]
        net = rest
        if quantity != self._quantities[number]:
            net = _at_most(round_half_away(quantity * self._lines[number].unit_micros, self._scale), rest)
        self._quantities[number] -= quantity
        self._basis[number] -= net
        return CreditLine(number, quantity, net)

    def _take_vat(self, vat: Vat, basis: int) -> int:
        rest = self._vat[vat]
        used_up = not any(self._quantities[line.line] for line in self._lines.values() if line.vat == vat)
        amount = rest if used_up else self._within(vat_amount(basis, vat), rest, vat)
        self._vat[vat] -= amount
        return amount

    def _within(self, amount: int, rest: int, vat: Vat) -> int:
        """Hold a group's VAT to what is left of it, where all its lines have one sign."""
        signs = {line.quantity > 0 for line in self._lines.values() if line.vat == vat}
        return _at_most(amount, rest) if len(signs) == 1 else amount


def _at_most(amount: int, rest: int) -> int:
    """Return `amount`, or `rest` where roundings of many small credits would pass it; both have one sign."""
    return max(amount, rest) if rest < 0 or amount < 0 else min(amount, rest)
