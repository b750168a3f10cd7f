"""
Months in the merchant's own IANA zone, start included, end excluded, and when they close.

A closed month's documents never change: what is recorded at or after its close instant belongs to the
earliest month that is still open.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from smsgate.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

# Receipts come within 72 hours of their message; a day more lets the slowest carrier's file arrive.
CLOSE_DELAY: Final = timedelta(hours=96)
FIRST_YEAR: Final = 1992  # of the first SMS: books in francs are older than the euro's notes
LAST_YEAR: Final = 2100


@dataclass(frozen=True, slots=True, order=True)
class Month:
    year: int
    month: int

    def __post_init__(self) -> None:
        if not (1 <= self.month <= 12 and FIRST_YEAR <= self.year <= LAST_YEAR):
            raise Invalid(f"{self.year}-{self.month} is no month", code="month_invalid")

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def parse(cls, text: str) -> Month:
        """
        Read "2026-11".

        Raises:
            Invalid: code `month_invalid`.
        """
        year, dash, month = text.partition("-")
        plain = (
            text.isascii() and year.isdecimal() and month.isdecimal() and len(year) == 4 and len(month) == 2
        )
        if not dash or not plain:
            raise Invalid(f"{text[:20]!r} is no month such as 2026-11", code="month_invalid")
        return cls(int(year), int(month))

    def next(self) -> Month:
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def previous(self) -> Month:
        return Month(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    @property
    def last_day(self) -> date:
        following = self.next()
        return date(following.year, following.month, 1) - timedelta(days=1)


def zone(name: str) -> ZoneInfo:
    """
    Return the IANA zone.

    Raises:
        Invalid: code `zone_unknown`.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"{name[:40]!r} is no IANA time zone", code="zone_unknown") from None


def month_bounds(month: Month, zone_name: str) -> tuple[datetime, datetime]:
    """Return (starts_at, ends_at) in UTC; a month may have an hour more or less."""
    local = zone(zone_name)
    following = month.next()
    start = datetime(month.year, month.month, 1, tzinfo=local)
    end = datetime(following.year, following.month, 1, tzinfo=local)
    return start.astimezone(UTC), end.astimezone(UTC)


def day_bounds(day: date, zone_name: str) -> tuple[datetime, datetime]:
    """Return (starts_at, ends_at) in UTC of a calendar day; it may have an hour more or less."""
    local = zone(zone_name)
    following = day + timedelta(days=1)
    start, end = (datetime(each.year, each.month, each.day, tzinfo=local) for each in (day, following))
    return start.astimezone(UTC), end.astimezone(UTC)


def month_of(instant: datetime, zone_name: str) -> Month:
    assert instant.tzinfo is not None
    local = instant.astimezone(zone(zone_name))
    return Month(local.year, local.month)


def local_date(instant: datetime, zone_name: str) -> date:
    """Return the calendar day in the zone: days of caps and of VAT rates are the merchant's own."""
    assert instant.tzinfo is not None
    return instant.astimezone(zone(zone_name)).date()


class Closes:
    """When one merchant's months close: one without a recorded instant CLOSE_DELAY after its end."""

    __slots__ = ("_instants", "zone_name")

    def __init__(self, zone_name: str, instants: Mapping[Month, datetime]) -> None:
        assert all(instant.tzinfo is not None for instant in instants.values())
        self.zone_name = zone_name
        self._instants = dict(instants)

    def close_at(self, month: Month) -> datetime:
        recorded = self._instants.get(month)
        return month_bounds(month, self.zone_name)[1] + CLOSE_DELAY if recorded is None else recorded

    def period_of(self, origin: Month, recorded_at: datetime) -> Month:
        """
        Return the month whose document takes an event of month `origin` that was recorded then (R9).

        Raises:
            Invalid: code `month_invalid`; everything up to the last month there is was closed by then.
        """
        period = origin
        while recorded_at >= self.close_at(period):
            period = period.next()
        return period
