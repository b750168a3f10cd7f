"""
When marketing may reach a person: dated rules of the person's place, on the person's own clock.

The rules are data (`law/hours.toml`) with their sources. All that are in force at a place hold together; a
place that is not known well enough gets what is allowed everywhere that it could be. Receipts, STOP
confirmations and whatever else an order needs are not marketing and wait for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from heapq import merge
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from smsgate.campaigns.tables import table

DAYS_AHEAD: Final = 15  # the longest run of Sundays and holidays anywhere is far shorter
NOBODY_WAIVES: Final[frozenset[str]] = frozenset()
_REGION: Final = re.compile(r"[A-Z0-9]{1,3}")  # as ISO 3166-2 has them
_DAYS: Final = ("mon_fri",) * 5 + ("saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a person is, as far as it is known; `key` is how a subscriber's row holds it.

    `region` is an ISO 3166-2 code without its country ("TX"), "" when unknown; `zones` are IANA names, empty
    when they follow from country and region.
    """

    country: str
    region: str = ""
    zones: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        region = f"-{self.region}" if self.region else ""
        return f"{self.country}{region}" + (f"@{'+'.join(self.zones)}" if self.zones else "")

    @classmethod
    def of(cls, key: str) -> Place:
        """Return the place that `key` names."""
        head, _, zones = key.partition("@")
        country, _, region = head.partition("-")
        return cls(country, region, _zone_names(zones))


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes of the local day: [begin, end). An empty one lets nothing out."""

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        return self.begin <= minute < self.end


@dataclass(frozen=True, slots=True)
class HoursRule:
    id: str
    countries: frozenset[str]
    regions: frozenset[str]  # empty: the whole country
    since: date
    until: date
    days: tuple[Window | None, ...]  # Monday first; None: not restricted
    holiday: Window | None
    certain: bool
    says: str
    source: str
    url: str

    def windows(self, day: date, *, holiday: bool) -> list[Window]:
        """Return what must hold on a local day; empty: the rule says nothing about it."""
        if not self.since <= day < self.until:
            return []
        mine = [self.days[day.weekday()], self.holiday if holiday else None]
        return [window for window in mine if window is not None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`until`: allowed until then, at least; or not before then. `rule` is what forbids now."""

    allowed: bool
    until: datetime
    rule: HoursRule | None = None


@cache
def hours_rules() -> tuple[HoursRule, ...]:
    return tuple(_rule(row) for row in table("law", "hours.toml")["rule"])


def rules_at(place: Place, waived: AbstractSet[str] = NOBODY_WAIVES) -> tuple[HoursRule, ...]:
    """Return every rule that can hold at a place, whatever the day; an unknown region could be any."""
    mine = [
        rule
        for rule in hours_rules()
        if place.country in rule.countries
        and (not rule.regions or not place.region or place.region in rule.regions)
    ]
    if not mine:
        mine = [rule for rule in hours_rules() if "*" in rule.countries]
    return tuple(rule for rule in mine if rule.certain or rule.id not in waived)


def hours(place: Place, at: datetime, waived: AbstractSet[str] = NOBODY_WAIVES) -> Verdict:
    """
    Return whether marketing may reach somebody at `place` at `at`, and until when that holds.

    `waived` are ids of uncertain rules that the operator does not follow; a certain one always holds.
    """
    assert at.tzinfo is not None
    at = at.astimezone(UTC)
    rules = rules_at(place, waived)
    zones = zones_of(place)
    forbidding = _forbidding(place, rules, zones, at)
    if forbidding is None:
        return Verdict(allowed=True, until=_closes(place, rules, zones, at))
    for candidate in _openings(place, rules, zones, at):
        if _forbidding(place, rules, zones, candidate) is None:
            return Verdict(allowed=False, until=candidate, rule=forbidding)
    return Verdict(allowed=False, until=at + timedelta(days=DAYS_AHEAD), rule=forbidding)


@lru_cache(maxsize=10_000)
def zones_of(place: Place) -> tuple[ZoneInfo, ...]:
    """
    Return every clock that the person may live by; UTC for a country that no table has.

    A name that this machine does not know (other machines may have newer tables) says nothing: one such row
    must not stop the claim of its neighbours.
    """
    regions = table("law", "hours.toml")["zones"].get(place.country, {})
    names = (
        (place.zones if all(map(is_zone, place.zones)) else ())
        or tuple(regions.get(place.region, ()))
        or _zones_of_country().get(place.country, ("UTC",))
    )
    return tuple(ZoneInfo(name) for name in names)


def is_zone(name: str) -> bool:
    """Return whether `name` is an IANA time zone that this machine knows."""
    return name in _known_zones()


def is_region(country: str, region: str) -> bool:
    """Return whether a country has this region; of a country without a table, whether it could have."""
    known = table("law", "hours.toml")["zones"].get(country)
    return _REGION.fullmatch(region) is not None if known is None else region in known


def has_one_clock(country: str) -> bool:
    return len(_zones_of_country().get(country, ("UTC",))) == 1


@lru_cache(maxsize=2_000)
def holidays_of(country: str, region: str, year: int) -> frozenset[date]:
    """Return public holidays; where the region is unknown, those of any region that it could be."""
    import holidays  # noqa: PLC0415  # a tenth of a second, which no command but the gateway's needs

    try:
        whole = holidays.country_holidays(country, years=year)
    except NotImplementedError:
        return frozenset()
    if region in whole.subdivisions:
        return frozenset(holidays.country_holidays(country, subdiv=region, years=year))
    listed: list[str] | None = table("law", "hours.toml")["holidays"].get(country)
    could_be = whole.subdivisions if listed is None else listed
    days = set(whole)
    for each in could_be:
        days.update(holidays.country_holidays(country, subdiv=each, years=year))
    return frozenset(days)


def _forbidding(
    place: Place, rules: tuple[HoursRule, ...], zones: tuple[ZoneInfo, ...], at: datetime
) -> HoursRule | None:
    """Return the rule that forbids an instant; of several, the first in the table."""
    for rule in rules:
        for zone in zones:
            local = at.astimezone(zone)
            day, minute = local.date(), local.hour * 60 + local.minute
            if not all(window.holds(minute) for window in _windows(place, rule, day)):
                return rule
    return None


def _windows(place: Place, rule: HoursRule, day: date) -> list[Window]:
    return rule.windows(day, holiday=rule.holiday is not None and _is_holiday(place, rule, day))


def _is_holiday(place: Place, rule: HoursRule, day: date) -> bool:
    """A rule of some regions knows their holidays alone."""
    could_be = (place.region,) if place.region else tuple(rule.regions) or ("",)
    return any(day in holidays_of(place.country, region, day.year) for region in could_be)


def _openings(
    place: Place, rules: tuple[HoursRule, ...], zones: tuple[ZoneInfo, ...], at: datetime
) -> Iterator[datetime]:
    """Yield the instants after `at` at which a window opens or a day begins, in order."""
    return merge(*(_openings_by(place, rules, zone, at) for zone in zones))


def _openings_by(
    place: Place, rules: tuple[HoursRule, ...], zone: ZoneInfo, at: datetime
) -> Iterator[datetime]:
    for ahead in range(DAYS_AHEAD):
        day = at.astimezone(zone).date() + timedelta(days=ahead)
        minutes = {window.begin for rule in rules for window in _windows(place, rule, day)}
        found = sorted({_instant(day, minute, zone) for minute in minutes | {0}})
        yield from (instant for instant in found if instant > at)


def _closes(
    place: Place, rules: tuple[HoursRule, ...], zones: tuple[ZoneInfo, ...], at: datetime
) -> datetime:
    """Return the first end of a window, or of the local day, after `at`."""
    ends: list[datetime] = []
    for zone in zones:
        day = at.astimezone(zone).date()
        minutes = {window.end for rule in rules for window in _windows(place, rule, day)}
        ends += [_instant(day, minute, zone) for minute in minutes | {24 * 60}]
    return min(end for end in ends if end > at)


def _instant(day: date, minute: int, zone: ZoneInfo) -> datetime:
    whole, rest = divmod(minute, 24 * 60)
    clock = time(rest // 60, rest % 60)
    return datetime.combine(day + timedelta(days=whole), clock, zone).astimezone(UTC)


def _rule(row: dict[str, Any]) -> HoursRule:
    return HoursRule(
        id=row["id"],
        countries=frozenset(row["countries"]),
        regions=frozenset(row.get("regions", ())),
        since=row["from"],
        until=row.get("to", date.max),
        days=tuple(_window(row.get(name)) for name in _DAYS),
        holiday=_window(row.get("holiday")),
        certain=row["certain"],
        says=row["says"],
        source=row["source"],
        url=row["url"],
    )


def _window(text: str | None) -> Window | None:
    if text is None:
        return None
    if not text:
        return Window(0, 0)
    begin, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    return Window(begin, end)


def _zone_names(joined: str) -> tuple[str, ...]:
    """Return the names in a key: of a zone with a plus (Etc/GMT+5) what is behind it is all digits."""
    names: list[str] = []
    for part in joined.split("+") if joined else ():
        if names and part.isdigit():
            names[-1] += f"+{part}"
        else:
            names.append(part)
    return tuple(names)


@cache
def _known_zones() -> frozenset[str]:
    """Once for all: each call of the library's reads every file of the tables."""
    return frozenset(available_timezones())


@cache
def _zones_of_country() -> dict[str, tuple[str, ...]]:
    """Return the IANA zones of every ISO 3166 country. Source: tzdata's zone.tab."""
    lines = (files("tzdata") / "zoneinfo" / "zone.tab").read_text("utf-8").splitlines()
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            found[country] = (*found.get(country, ()), zone)
    return found
