"""The place of a subscriber, as it is kept beside the number: an address wins, the number is only a guess."""

from __future__ import annotations

from functools import cache

from smsgate.campaigns.hours import Place, is_region, is_zone, zones_of
from smsgate.errors import Invalid
from smsgate.msisdn import zones_of_number


def place_key(country: str, region: str, timezone: str, msisdn: str) -> str:
    """
    Return `Place.key` of a subscriber; "" when the country alone says it all.

    Without an address and a time zone, a country of several clocks gets those of the number's area code.
    """
    zones: tuple[str, ...] = (timezone,) if timezone else ()
    if not region and not zones:
        known = _clocks(country)
        if len(known) == 1:
            return ""
        guessed = tuple(sorted(known.intersection(zones_of_number(msisdn))))
        zones = guessed if len(guessed) < len(known) else ()
    return Place(country, region, zones).key if region or zones else ""


@cache
def _clocks(country: str) -> frozenset[str]:
    return frozenset(zone.key for zone in zones_of(Place(country)))


def check_place(country: str, region: str, timezone: str) -> None:
    """
    Refuse a region or a time zone that does not exist.

    Raises:
        Invalid: code `place_invalid`, with the pointer of the field.
    """
    if region and not is_region(country, region):
        raise Invalid(f"{country} has no region {region}", code="place_invalid", pointer="/region")
    if timezone and not is_zone(timezone):
        raise Invalid(f"{timezone} is no IANA time zone", code="place_invalid", pointer="/timezone")
