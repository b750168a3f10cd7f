"""
Money in integers.

Prices, ledger and message rows hold micros: 1_000_000 micros are one major unit of the currency
(2**63 micros are 9.2e12 units). Documents and shops speak minor units (cents). No float anywhere.
"""

from __future__ import annotations

from typing import Final

from smsgate.errors import Invalid

MICROS_PER_UNIT: Final = 1_000_000
# ISO 4217 minor units of the currencies that we bill in; a currency that is not here is refused.
MINOR_DIGITS: Final[dict[str, int]] = {
    "EUR": 2, "GBP": 2, "USD": 2, "SEK": 2, "NOK": 2, "DKK": 2, "CHF": 2, "PLN": 2, "CZK": 2, "TRY": 2,
    "RON": 2, "HUF": 2, "BGN": 2, "MAD": 2, "TND": 3, "CAD": 2, "AUD": 2, "JPY": 0,
}  # fmt: skip


def check_currency(code: str) -> str:
    """
    Return `code` when it is an ISO 4217 code we bill in.

    Raises:
        Invalid: any other text.
    """
    if code not in MINOR_DIGITS:
        known = ", ".join(sorted(MINOR_DIGITS))
        raise Invalid(f"currency {code!r} is not one of {known}", code="currency_unknown")
    return code


def micros_from_text(text: str) -> int:
    """
    Read a decimal such as "0.045" or "-12" as micros, exactly.

    Raises:
        Invalid: not a plain decimal, or more than 6 digits after the point.
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, point, fraction = digits.partition(".")
    plain = (whole + fraction).isascii() and whole.isdecimal() and (fraction.isdecimal() if point else True)
    if not plain or len(fraction) > 6 or len(whole) > 12:
        raise Invalid(f"{text!r} is not an amount with at most 6 decimals", code="amount_invalid")
    return sign * (int(whole) * MICROS_PER_UNIT + int(fraction.ljust(6, "0") or "0"))


def micros_to_text(micros: int, digits_min: int = 2) -> str:
    """Write micros as a decimal with at least `digits_min` and at most 6 decimals: 45000 is "0.045"."""
    whole, fraction = divmod(abs(micros), MICROS_PER_UNIT)
    tail = f"{fraction:06d}".rstrip("0").ljust(digits_min, "0")
    return f"{'-' if micros < 0 else ''}{whole}{'.' + tail if tail else ''}"


def minor_to_text(minor: int, currency: str) -> str:
    """Write minor units with the currency's decimals: (1990, "EUR") is "19.90"."""
    digits = MINOR_DIGITS[check_currency(currency)]
    whole, fraction = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}{f'.{fraction:0{digits}d}' if digits else ''}"
