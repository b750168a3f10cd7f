"""
Until when a buyer may withdraw from a contract made at a distance.

Sources: Directive 2011/83/EU art. 9 (14 days from the day on which the goods are in the buyer's hands);
Code de la consommation L221-18 and L221-19 (the day of delivery does not count; a period that would end on a
Saturday, Sunday or public holiday ends with the next working day; so Regulation 1182/71 art. 3);
United Kingdom: Consumer Contracts Regulations 2013, reg. 30. L221-28 names what is excepted: the merchant
says so with the offer. A buyer who was not told of the right has longer (L221-20), so a late wish is the
shop's to decide, never refused here.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from smsgate.campaigns.hours import holidays_of

WITHDRAWAL_DAYS: Final = 14
_SATURDAY: Final = 5

# The Union, the European Economic Area, the United Kingdom.
COUNTRIES: Final = frozenset((
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV", "LT",
    "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE", "IS", "LI", "NO", "GB",
))  # fmt: skip


def has_right(country: str) -> bool:
    """Return whether a consumer there may withdraw; elsewhere the shop is asked."""
    return country.upper() in COUNTRIES


def withdraw_until(delivered_at: datetime, country: str, timezone: str) -> datetime:
    """Return the last instant of the period for goods that came at `delivered_at`, by the buyer's clock."""
    zone = ZoneInfo(timezone)
    last = delivered_at.astimezone(zone).date() + timedelta(days=WITHDRAWAL_DAYS)
    while last.weekday() >= _SATURDAY or last in holidays_of(country, "", last.year):
        last += timedelta(days=1)
    return datetime.combine(last, time.max, zone)
