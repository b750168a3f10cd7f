"""Cells of other people's files: amounts and instants, exactly or not at all."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Final

from smsgate.billing.periods import zone
from smsgate.errors import Invalid
from smsgate.money import micros_from_text

SHOWN: Final = 40  # characters of a bad cell that a sentence repeats
FRACTION_DIGITS_MAX: Final = 6
CENTS: Final = 100


class Dates(StrEnum):
    """How days are written: 2026-12-01, 01/12/2026 or 12/01/2026 for the first of December."""

    ISO = "iso"
    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


def micros_from_cell(text: str, *, cents: bool = False) -> int:
    """
    Return a decimal with point or comma, without thousands separators, as micros.

    Raises:
        Invalid: both marks, an exponent, a sign of money, or finer than a millionth.
    """
    plain = text.strip()
    if "," in plain:
        if "." in plain or plain.count(",") > 1:
            raise Invalid(f"{text[:SHOWN]!r} has a thousands separator, or two decimal marks")
        plain = plain.replace(",", ".")
    whole, point, fraction = plain.partition(".")
    if len(fraction) > FRACTION_DIGITS_MAX:
        fraction = fraction.rstrip("0")
    micros = micros_from_text(f"{whole}{point if fraction else ''}{fraction}")
    if not cents:
        return micros
    if micros % CENTS:
        raise Invalid(f"{text[:SHOWN]!r} cents is finer than a millionth")
    return micros // CENTS


def instant_from_cell(text: str, dates: Dates, zone_name: str | None) -> datetime:
    """
    Return an instant; what has no offset is in the zone, a plain day at its first moment there.

    Raises:
        Invalid: no date in this way of writing, or no offset and no zone.
    """
    found = _parsed(text.strip(), dates)
    if found is None:
        raise Invalid(
            f"{text[:SHOWN]!r} is no {dates} date: iso is 2026-12-01, dmy 01/12/2026, mdy 12/01/2026"
        )
    if found.tzinfo is not None:
        return found
    if zone_name is None:
        raise Invalid(f"{text[:SHOWN]!r} names no offset: say in which time zone the file's dates are")
    return found.replace(tzinfo=zone(zone_name))


def _parsed(text: str, dates: Dates) -> datetime | None:
    if dates is not Dates.ISO:
        match = re.fullmatch(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})(.*)", text)
        if match is None:
            return None
        day, month = (match[1], match[2]) if dates is Dates.DAY_FIRST else (match[2], match[1])
        text = f"{match[3]}-{month:0>2}-{day:0>2}{match[4]}"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
