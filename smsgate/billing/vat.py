"""
VAT: which category and rate, and the amounts per category and rate.

Categories are letters of UNCL 5305 as EN 16931 uses them. This is no tax advice: an accountant confirms the
table of `category_of`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.errors import Invalid
from smsgate.money import HUNDRED_PERCENT, round_half_away

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

FRANCE: Final = frozenset({"FR", "MC"})  # Monaco is France for VAT
_EU_CODES: Final = "AT BE BG CY CZ DE DK EE EL ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
EU: Final = frozenset(_EU_CODES.split())
# VAT numbers begin with the country, but for these (ISO 3166): of the United Kingdom only Northern Ireland
# has numbers of the EU's form.
VAT_PREFIXES: Final = {"GR": "EL", "MC": "FR", "GB": "XI"}
EXEMPTION_REVERSE_CHARGE: Final = "VATEX-EU-AE"
EXEMPTION_OUT_OF_SCOPE: Final = "VATEX-EU-O"
NO_RATE: Final = -1


class Vat(NamedTuple):
    """`rate_micros` is in millionths of a percent; NO_RATE is none at all, which is not a rate of zero."""

    category: str
    rate_micros: int

    @property
    def has_rate(self) -> bool:
        return self.rate_micros >= 0

    @property
    def is_outside(self) -> bool:
        """Return whether it is category O, which no document may have beside another (BR-O-11 to BR-O-14)."""
        return self.category == "O"


class VatRow(NamedTuple):
    vat: Vat
    basis_minor: int
    amount_minor: int


class VatHistory:
    """What a merchant's services are taxed with, by the day from which it holds."""

    __slots__ = ("_from", "_vats")

    def __init__(self, entries: Iterable[tuple[date, Vat]]) -> None:
        ordered = sorted(entries)
        self._from = [day for day, _vat in ordered]
        self._vats = [vat for _day, vat in ordered]
        if len(set(self._from)) != len(self._from):
            raise Invalid("two VAT rates hold from the same day", code="vat_invalid")

    @property
    def entries(self) -> list[tuple[date, Vat]]:
        """Return what holds from which day, in order."""
        return list(zip(self._from, self._vats, strict=True))

    def on(self, day: date) -> Vat:
        """
        Return what holds on a day of the merchant's own calendar.

        Raises:
            Invalid: code `vat_unknown`; a rate is never guessed.
        """
        position = bisect_right(self._from, day)
        if not position:
            raise Invalid(f"no VAT rate is known for {day}", code="vat_unknown")
        return self._vats[position - 1]


def vat_amount(basis_minor: int, vat: Vat) -> int:
    """Return the VAT on a basis, rounded once, half away from zero."""
    return round_half_away(basis_minor * max(vat.rate_micros, 0), HUNDRED_PERCENT)


def vat_rows(amounts: Iterable[tuple[Vat, int]]) -> tuple[VatRow, ...]:
    """Add rounded lines up by category and rate and tax each sum once; in order of category and rate."""
    sums: defaultdict[Vat, int] = defaultdict(int)
    for vat, net_minor in amounts:
        sums[vat] += net_minor
    return tuple(VatRow(vat, basis, vat_amount(basis, vat)) for vat, basis in sorted(sums.items()))


def vat_prefix(country: str) -> str:
    """Return what VAT numbers of a country begin with."""
    return VAT_PREFIXES.get(country, country)


class VatDecision(NamedTuple):
    """`exemption` is a code of the VATEX list, "" for category S; `reason` is for people."""

    category: str
    exemption: str
    reason: str


def category_of(country: str, *, business: bool, number_valid: bool) -> VatDecision:
    """
    Return how a French seller taxes a service to a customer there (ISO 3166; VAT's EL for Greece too).

    Raises:
        Invalid: code `vat_refused`: a consumer outside France and Monaco is not served.
    """
    if country in FRANCE:
        return VatDecision("S", "", "the customer is in France or Monaco")
    if not business:
        raise Invalid("consumers outside France and Monaco are not served", code="vat_refused")
    if country not in EU:
        return VatDecision("O", EXEMPTION_OUT_OF_SCOPE, "a business outside the EU")
    if number_valid:
        return VatDecision("AE", EXEMPTION_REVERSE_CHARGE, "an EU business with a valid VAT number")
    return VatDecision("S", "", "an EU business without a valid VAT number")
