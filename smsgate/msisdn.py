"""
MSISDNs: E.164 digits without the plus, as SMPP carries them with TON 1, NPI 1.

`normalize` costs some microseconds where a number is written plainly, and a hundred where it is not: it
belongs to imports and opt-ins, never to the sending path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, timezone

from smsgate.errors import Invalid
from smsgate.numbering import plain_mobile

INPUT_CHARACTERS_MAX: Final = 40  # the longest written form ("+", 15 digits, separators) with room to spare
# Satellite and international networks, shared cost: the plan calls some of them mobile, and they cost euros.
DENIED_CALLING_CODES: Final = frozenset({870, 878, 881, 882, 883, 888, 979, 991})
MOBILE_AREA_CODES: Final = ("1", "55")  # North America, Brazil: mobile numbers have a place there
AREA_DIGITS: Final = 7  # country code, area code and a little: what tells the clock
MOBILE_CAPABLE: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
# Mobile ranges that Arcep and Ofcom keep for films and examples. Nobody has them, so demonstrations and
# tests may use them; the numbering plan lists them as unassigned.
FICTION_RANGES: Final = (("3363998", 11), ("447700900", 12))
# Numbers of simulated phones. ITU-T E.164 keeps the calling code 999 for later: no network has it. What
# follows are six digits of the test merchant whose phone it is, and two of the phone.
SIMULATED_CODE: Final = 999
SIMULATED_PHONES: Final = 100  # of a test merchant
SIMULATED_BLOCKS: Final = 1_000_000
_FIRST_SIMULATED: Final = SIMULATED_CODE * SIMULATED_BLOCKS * SIMULATED_PHONES
_END_OF_SIMULATED: Final = _FIRST_SIMULATED + SIMULATED_BLOCKS * SIMULATED_PHONES
_SIMULATED: Final = re.compile(r"999[0-9]{8}", re.ASCII)

_E164: Final = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_WRITTEN: Final = re.compile(r"\+?[0-9 ()./\-\u00a0\u202f\u2011]+", re.ASCII)


def is_e164(text: str) -> bool:
    """Return whether `text` has the form of an MSISDN: 7 to 15 ASCII digits, no leading zero, no plus."""
    return _E164.fullmatch(text) is not None


def is_simulated(msisdn: int) -> bool:
    """Return whether it is a simulated phone's: no carrier may ever see it."""
    return msisdn // (SIMULATED_BLOCKS * SIMULATED_PHONES) == SIMULATED_CODE


def any_simulated(msisdns: Sequence[int]) -> bool:
    """Return whether one of these is a simulated phone's; most columns lie beyond their block as a whole."""
    if not msisdns or max(msisdns) < _FIRST_SIMULATED or min(msisdns) >= _END_OF_SIMULATED:
        return False
    return any(map(is_simulated, msisdns))


def simulated_phone(block: int, phone: int) -> int:
    """Return the number of one of a test merchant's phones."""
    assert 0 <= block < SIMULATED_BLOCKS
    assert 0 <= phone < SIMULATED_PHONES
    return (SIMULATED_CODE * SIMULATED_BLOCKS + block) * SIMULATED_PHONES + phone


def is_fiction(msisdn: str) -> bool:
    """Return whether the number is kept for films and examples: nobody owns it."""
    return any(msisdn.startswith(prefix) and len(msisdn) == length for prefix, length in FICTION_RANGES)


def normalize(text: str, default_region: str | None = None) -> str:
    """Return the digits of `number_and_region`, which says what is taken and refused."""
    return number_and_region(text, default_region)[0]


def number_and_region(text: str, default_region: str | None = None) -> tuple[str, str]:
    """
    Return the E.164 digits of a number as people write it, and its region; "" where no country has it.

    Without `default_region` (ISO 3166, such as "FR") the number must be international: "+33...", "0033..." or
    "33...". With it, national forms are read as that country's, and international ones need "+" or "00".

    Raises:
        Invalid: code `msisdn_invalid`; no number, no mobile-capable number, or a denied calling code.
    """
    plain = plain_mobile(text, default_region) if len(text) <= INPUT_CHARACTERS_MAX else None
    if plain is not None and _calling_code_allowed(plain.digits):
        return plain
    digits = _by_library(text, default_region)
    return digits, region_of(digits) or ""


def _calling_code_allowed(digits: str) -> bool:
    return int(digits[:3]) not in DENIED_CALLING_CODES  # all of them have three digits


def _by_library(text: str, default_region: str | None) -> str:
    written = text.strip()
    if len(written) > INPUT_CHARACTERS_MAX or not _WRITTEN.fullmatch(written):
        raise _refusal(text, "holds characters that no phone number has")
    if written.startswith("00"):
        written = f"+{written[2:]}"
    elif default_region is None and not written.startswith("+"):
        written = f"+{written}"
    if written.startswith("+999") and _SIMULATED.fullmatch(digits := re.sub(r"\D", "", written)):
        return digits
    try:
        number = phonenumbers.parse(written, default_region)
    except NumberParseException:
        raise _refusal(text, "is no phone number") from None
    digits = f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    if number.country_code in DENIED_CALLING_CODES:
        raise _refusal(text, f"belongs to +{number.country_code}, which is never served")
    if is_fiction(digits):
        return digits
    if not phonenumbers.is_valid_number(number):
        raise _refusal(text, "is not in its country's numbering plan")
    if phonenumbers.number_type(number) not in MOBILE_CAPABLE:
        raise _refusal(text, "is not a mobile number")
    return digits


def region_of(msisdn: str) -> str | None:
    """Return the ISO 3166 region of an E.164 number, or None when no country has it."""
    try:
        number = phonenumbers.parse(f"+{msisdn}", None)
    except NumberParseException:
        return None
    calling_code = number.country_code or 0
    region = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        calling_code
    )
    return region if isinstance(region, str) and region.isalpha() and region != "ZZ" else None


@lru_cache(maxsize=20_000)
def _zones_of_prefix(prefix: str, length: int) -> tuple[str, ...]:
    number = phonenumbers.parse(f"+{prefix.ljust(length, '0')}", None)
    return tuple(timezone.time_zones_for_geographical_number(number))


def zones_of_number(msisdn: str) -> tuple[str, ...]:
    """
    Return the IANA zones of an E.164 number's area code; empty where mobile numbers have none.

    A guess: people move and take their number along.
    """
    if not msisdn.startswith(MOBILE_AREA_CODES):
        return ()
    try:
        return _zones_of_prefix(msisdn[:AREA_DIGITS], len(msisdn))
    except NumberParseException:
        return ()


def mask(msisdn: str) -> str:
    """Write a number for logs and screens: two digits at each end, the rest as stars."""
    return f"{msisdn[:2]}{'*' * (len(msisdn) - 4)}{msisdn[-2:]}" if len(msisdn) > 4 else "*" * len(msisdn)


def _refusal(text: str, why: str) -> Invalid:
    return Invalid(f"{mask(text.strip()[:INPUT_CHARACTERS_MAX])} {why}", code="msisdn_invalid")
