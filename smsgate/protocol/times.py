"""Instants and spans as SMPP writes them. Source: SMPP 3.4 §7.1.1: YYMMDDhhmmsstnnp."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_FORM: Final = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([+R-])")
QUARTERS_MAX: Final = 48  # of an hour, away from UTC
_YEAR_DAYS: Final = 365  # of the relative form, whose years and months are nobody's in particular
_MONTH_DAYS: Final = 30


def absolute_time(at: datetime) -> bytes:
    """Return an aware instant, in UTC."""
    return f"{at.astimezone(UTC):%y%m%d%H%M%S}000+".encode("ascii")


def relative_time(span: timedelta) -> bytes:
    """Return a span of up to 30 days, in days and smaller: months differ in length."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02d}{hours:02d}{minutes:02d}{seconds:02d}000R".encode("ascii")


def read_time(octets: bytes, now: datetime) -> datetime | None:
    """Return the instant that a field names, relative ones from `now`; None: it is no such time."""
    match = _FORM.fullmatch(octets)
    if match is None:
        return None
    years, months, days, hours, minutes, seconds, tenths, quarters = (
        int(part) for part in match.groups()[:8]
    )
    sign = match[9]
    if sign == b"R":
        whole_days = years * _YEAR_DAYS + months * _MONTH_DAYS + days
        return now + timedelta(days=whole_days, hours=hours, minutes=minutes, seconds=seconds)
    if quarters > QUARTERS_MAX:
        return None
    offset = timedelta(minutes=15 * quarters) * (1 if sign == b"+" else -1)
    try:
        return datetime(
            2000 + years, months, days, hours, minutes, seconds, tenths * 100_000, timezone(offset)
        ).astimezone(UTC)
    except ValueError:
        return None
