"""Amounts in another currency: exact ratios of whole numbers, rounded once. Currencies are never added."""

from __future__ import annotations

from typing import Final, NamedTuple

from smsgate.errors import Invalid
from smsgate.money import micros_per_minor, round_half_away

RATE_DIGITS_MAX: Final = 18  # of each side of the point: more is no exchange rate


class Ratio(NamedTuple):
    numerator: int
    denominator: int

    @property
    def inverse(self) -> Ratio:
        return Ratio(self.denominator, self.numerator)


# Regulation (EC) 1103/97: francs are divided by the fixed rate, never multiplied by a rounded inverse of it.
EUR_PER_FRF: Final = Ratio(100_000, 655_957)


def ratio_from_text(text: str) -> Ratio:
    """
    Read a plain decimal above zero, such as "0.91825", exactly.

    Raises:
        Invalid: code `rate_invalid`.
    """
    whole, point, fraction = text.partition(".")
    plain = (whole + fraction).isascii() and whole.isdecimal() and (fraction.isdecimal() if point else True)
    if not plain or max(len(whole), len(fraction)) > RATE_DIGITS_MAX or not int(whole + fraction):
        raise Invalid(f"{text[:40]!r} is no exchange rate", code="rate_invalid")
    denominator: int = 10 ** len(fraction)
    return Ratio(int(whole + fraction), denominator)


def ratio_to_text(ratio: Ratio) -> str:
    """Write what `ratio_from_text` read: (91825, 100000) is "0.91825"."""
    digits = len(str(ratio.denominator)) - 1
    assert ratio.denominator == 10**digits
    whole, fraction = divmod(ratio.numerator, ratio.denominator)
    return f"{whole}.{fraction:0{digits}d}" if digits else str(whole)


def converted(amount_minor: int, currency: str, other: str, rate: Ratio) -> int:
    """Return minor units of `other`; `rate` is how many of its units one unit of `currency` gives."""
    micros = amount_minor * micros_per_minor(currency)
    return round_half_away(micros * rate.numerator, rate.denominator * micros_per_minor(other))


def converted_after(before_minor: int, amount_minor: int, currency: str, other: str, rate: Ratio) -> int:
    """
    Return what the next part of an amount comes to, of which `before_minor` were converted before.

    What is converted up to now is rounded, and what it has more than before is this part's: so all parts make
    what the whole makes.
    """
    up_to_now = converted(before_minor + amount_minor, currency, other, rate)
    return up_to_now - converted(before_minor, currency, other, rate)


def euros_of_francs(francs_micros: int) -> int:
    """Return cents of an amount in millionths of a franc, rounded once."""
    scale = EUR_PER_FRF.denominator * micros_per_minor("EUR")
    return round_half_away(francs_micros * EUR_PER_FRF.numerator, scale)
