"""
Money in integers.

Prices, ledger and message rows hold micros: 1_000_000 micros are one major unit of the currency
(2**63 micros are 9.2e12 units). Documents and shops speak minor units (cents). No float anywhere.
"""

from __future__ import annotations

from typing import Final

from smsgate.errors import Invalid

MICROS_PER_UNIT: Final = 1_000_000
# ISO 4217 exponents: most currencies have two decimals. FRF is historic, for documents in francs.
_CODES_BY_DIGITS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
        "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP FRF GBP "
        "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP "
        "LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR "
        "NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
        "SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR "
        "ZMW ZWG "
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_DIGITS: Final[dict[str, int]] = {
    code: digits for digits, codes in _CODES_BY_DIGITS.items() for code in codes.split()
}
PERCENT_MICROS: Final = 1_000_000  # a rate of 1 %: rates are read in millionths of a percent
HUNDRED_PERCENT: Final = 100 * PERCENT_MICROS


def check_currency(code: str) -> str:
    """
    Return `code` when it is an ISO 4217 code.

    Raises:
        Invalid: any other text.
    """
    if code not in MINOR_DIGITS:
        raise Invalid(f"currency {code[:10]!r} is no ISO 4217 code, such as EUR", code="currency_unknown")
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


def minor_from_text(text: str, currency: str) -> int:
    """
    Read a decimal in the currency's own decimals as minor units: ("19.90", "EUR") is 1990.

    Raises:
        Invalid: no plain decimal, or finer than the currency's minor unit.
    """
    scale = micros_per_minor(currency)
    micros = micros_from_text(text)
    if micros % scale:
        raise Invalid(f"{text!r} is finer than the minor unit of {currency}", code="amount_invalid")
    return micros // scale


def micros_per_minor(currency: str) -> int:
    """Return how many micros one minor unit is: 10,000 for EUR, 1,000,000 for JPY."""
    minor_per_unit: int = 10 ** MINOR_DIGITS[check_currency(currency)]
    return MICROS_PER_UNIT // minor_per_unit


def round_half_away(amount: int, scale: int) -> int:
    """Return `amount` / `scale` as a whole number, halves away from zero: 5/10 is 1, -5/10 is -1."""
    assert scale > 0
    magnitude = (2 * abs(amount) + scale) // (2 * scale)
    return -magnitude if amount < 0 else magnitude
