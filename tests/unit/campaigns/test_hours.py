"""The rules of hours against the clock: every row, a whole year, both changes of summer time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgate.campaigns.hours import (
    HoursRule,
    Place,
    Verdict,
    holidays_of,
    hours,
    hours_rules,
    is_region,
    is_zone,
    rules_at,
    zones_of,
)
from smsgate.campaigns.tables import table

PARIS, NEW_YORK, CHICAGO = ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York"), ZoneInfo("America/Chicago")
FRANCE = Place("FR")
EVERY_UNCERTAIN = frozenset(rule.id for rule in hours_rules() if not rule.certain)


def at(zone: ZoneInfo, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def allowed(place: Place, zone: ZoneInfo, text: str, waived: frozenset[str] = frozenset()) -> bool:
    return hours(place, at(zone, text), waived).allowed


def place_of(rule: HoursRule) -> Place:
    """Return a place where the rule holds, with one clock."""
    country = min(rule.countries - {"*"}, default="ZZ")
    region = min(rule.regions, default="")
    return Place(country, region, (zones_of(Place(country, region))[0].key,))


@pytest.mark.parametrize("rule", hours_rules(), ids=lambda rule: rule.id)
def test_every_row_has_its_source_and_a_sentence_and_an_id_of_its_own(rule: HoursRule) -> None:
    assert [each.id for each in hours_rules()].count(rule.id) == 1
    assert rule.source
    assert rule.says.endswith(".")
    assert (
        rule.url.startswith("https://") or rule.url.startswith("http://webserver.rilin") or not rule.certain
    )
    assert rule.since < rule.until
    assert "url" in table("law", "hours.toml")["rule"][0]


@pytest.mark.parametrize("rule", hours_rules(), ids=lambda rule: rule.id)
def test_every_row_holds_at_each_border_of_its_windows_on_each_day_of_a_year(rule: HoursRule) -> None:
    """A minute before a window opens, when it opens, a minute before it closes, when it closes."""
    place = place_of(rule)
    waived = EVERY_UNCERTAIN - {rule.id}
    zone = zones_of(place)[0]
    for offset in range(365):
        day = max(rule.since, date(2026, 1, 1)) + timedelta(days=offset)
        holiday = day in holidays_of(place.country, place.region, day.year)
        mine = rule.windows(day, holiday=holiday)
        standing = [w for each in rules_at(place, waived) for w in each.windows(day, holiday=holiday)]
        for minute in {border for w in mine for border in (w.begin - 1, w.begin, w.end - 1, w.end, 720)}:
            if 0 <= minute < 24 * 60:
                moment = datetime.combine(day, time(minute // 60, minute % 60), zone)
                expected = all(window.holds(minute) for window in standing)
                assert hours(place, moment, waived).allowed is expected, (day, minute)


@pytest.mark.parametrize("place", [FRANCE, Place("DE"), Place("GB"), Place("US", "TX"), Place("US", "RI"),
                                   Place("US", "", ("America/New_York",)), Place("JP"), Place("ZZ")],
                         ids=lambda place: place.key)  # fmt: skip
def test_through_a_whole_year_a_verdict_holds_until_it_says_and_turns_then(place: Place) -> None:
    """From verdict to verdict: what is forbidden becomes allowed exactly at `until`."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    opened = 0
    while now < datetime(2027, 1, 1, tzinfo=UTC):
        verdict = hours(place, now)
        assert verdict.until > now
        middle = now + (verdict.until - now) / 2
        assert hours(place, middle).allowed is verdict.allowed
        assert hours(place, verdict.until - timedelta(seconds=1)).allowed is verdict.allowed
        assert (verdict.rule is None) is verdict.allowed
        if not verdict.allowed:
            assert hours(place, verdict.until).allowed
            assert verdict.until - now <= timedelta(days=6)
            opened += 1
        now = verdict.until
    assert 200 <= opened <= 366


def test_france_follows_both_charters_until_the_old_one_is_waived() -> None:
    assert not allowed(FRANCE, PARIS, "2026-11-24T07:59:59")
    assert allowed(FRANCE, PARIS, "2026-11-24T08:00")
    assert allowed(FRANCE, PARIS, "2026-11-24T21:29:59")
    assert not allowed(FRANCE, PARIS, "2026-11-24T21:30")
    assert not allowed(FRANCE, PARIS, "2026-11-22T12:00")  # a Sunday
    assert not allowed(FRANCE, PARIS, "2026-07-14T12:00")  # a holiday on a Tuesday
    assert allowed(FRANCE, PARIS, "2026-11-22T12:00", frozenset({"fr-af2m-2024"}))
    assert allowed(FRANCE, PARIS, "2026-07-14T12:00", frozenset({"fr-af2m-2024"}))
    assert not allowed(FRANCE, PARIS, "2026-11-22T21:30", frozenset({"fr-af2m-2024", "fr-af2m-2026"}))


def test_the_charter_of_a_day_is_that_of_its_date() -> None:
    assert allowed(FRANCE, PARIS, "2025-11-25T21:45")  # 2024's charter: until 22:00
    assert not allowed(FRANCE, PARIS, "2026-11-24T21:45")
    assert allowed(FRANCE, PARIS, "2025-12-31T21:45")
    assert not allowed(FRANCE, PARIS, "2026-01-02T21:45")


def test_before_any_table_of_a_country_nothing_is_known_and_nothing_is_forbidden_by_it() -> None:
    """The rules of hours are dated: of a day before the first one they say nothing."""
    assert hours(FRANCE, at(PARIS, "2020-05-05T03:00")).allowed


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2026-03-28", "07:00", "20:30"),  # winter: UTC+1
        ("2026-03-30", "06:00", "19:30"),  # the Monday after the clocks went forward
        ("2026-10-24", "06:00", "19:30"),
        ("2026-10-26", "07:00", "20:30"),  # and after they went back
    ],
)
def test_hours_follow_the_change_of_summer_time(day: str, opens: str, closes: str) -> None:
    midnight = at(PARIS, f"{day}T00:00")
    verdict = hours(FRANCE, midnight)
    assert verdict.until == datetime.fromisoformat(f"{day}T{opens}+00:00")
    assert hours(FRANCE, verdict.until).until == datetime.fromisoformat(f"{day}T{closes}+00:00")


def test_over_a_weekend_with_a_change_of_summer_time_the_next_instant_is_mondays() -> None:
    verdict = hours(FRANCE, at(PARIS, "2026-03-28T22:00"))
    assert verdict.until == at(PARIS, "2026-03-30T08:00").astimezone(UTC)
    assert verdict.rule is not None
    assert verdict.rule.id == "fr-af2m-2024"


def test_in_the_united_states_the_state_holds_besides_the_federal_rule() -> None:
    texas, california = Place("US", "TX", ("America/Chicago",)), Place("US", "CA")
    assert not allowed(texas, CHICAGO, "2026-11-24T08:30")
    assert allowed(texas, CHICAGO, "2026-11-24T20:59")
    assert not allowed(texas, CHICAGO, "2026-11-22T11:59")  # Sunday before noon
    assert allowed(texas, CHICAGO, "2026-11-22T12:00")
    assert allowed(california, ZoneInfo("America/Los_Angeles"), "2026-11-22T08:00")
    assert not allowed(california, ZoneInfo("America/Los_Angeles"), "2026-11-22T21:00")
    assert not allowed(texas, CHICAGO, "2026-11-24T21:00", EVERY_UNCERTAIN)  # nobody waives federal law


def test_a_state_with_two_clocks_lets_out_only_what_both_allow() -> None:
    """El Paso is an hour behind Houston: 9:00 there is 10:00 here, and 21:00 here is 20:00 there."""
    assert not allowed(Place("US", "TX"), CHICAGO, "2026-11-24T09:30")
    assert allowed(Place("US", "TX"), CHICAGO, "2026-11-24T10:00")
    assert not allowed(Place("US", "TX"), CHICAGO, "2026-11-24T21:00")
    assert allowed(Place("US", "TX", ("America/Chicago",)), CHICAGO, "2026-11-24T09:30")


def test_an_unknown_state_gets_what_every_state_allows() -> None:
    unknown = Place("US", "", ("America/New_York",))
    assert not allowed(unknown, NEW_YORK, "2026-11-24T09:59")
    assert allowed(unknown, NEW_YORK, "2026-11-24T10:00")
    assert not allowed(unknown, NEW_YORK, "2026-11-24T18:00")
    assert not allowed(unknown, NEW_YORK, "2026-11-22T13:00")
    wherever = Place("US")  # from Maine to Hawaii
    assert allowed(wherever, NEW_YORK, "2026-11-24T16:00")
    assert not allowed(wherever, NEW_YORK, "2026-11-24T12:00")


@given(
    st.sampled_from(["AL", "CT", "FL", "KY", "MI", "MS", "PA", "RI", "TX", "CA"]),
    st.integers(0, 365 * 24 * 60),
)
@settings(max_examples=200)
def test_what_an_unknown_state_allows_every_state_allows(region: str, minute: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    clock = ("America/Chicago",)
    if hours(Place("US", "", clock), moment).allowed:
        assert hours(Place("US", region, clock), moment).allowed


def test_a_country_without_a_table_gets_the_strictest_hours_and_says_so() -> None:
    verdict = hours(Place("JP"), at(ZoneInfo("Asia/Tokyo"), "2026-11-24T20:00"))
    assert verdict == Verdict(allowed=False, until=verdict.until, rule=rules_at(Place("JP"))[0])
    assert "No rule is known" in rules_at(Place("JP"))[0].says
    assert verdict.until == at(ZoneInfo("Asia/Tokyo"), "2026-11-25T09:00").astimezone(UTC)


def test_holidays_are_those_of_the_region_and_of_every_region_when_it_is_unknown() -> None:
    good_friday = date(2026, 4, 3)
    assert good_friday in holidays_of("FR", "57", 2026)
    assert good_friday not in holidays_of("FR", "75C", 2026) or good_friday in holidays_of("FR", "", 2026)
    assert good_friday in holidays_of("FR", "", 2026)
    assert date(2026, 5, 22) not in holidays_of(
        "FR", "", 2026
    )  # of Martinique, which is a country of its own
    assert holidays_of("ZZ", "", 2026) == frozenset()


@pytest.mark.parametrize(
    "place", [FRANCE, Place("US", "TX"), Place("US", "", ("America/Denver", "America/Chicago"))]
)
def test_a_key_names_the_place_that_made_it(place: Place) -> None:
    assert Place.of(place.key) == place


@pytest.mark.parametrize("zone", sorted(available_timezones()))
def test_a_key_names_every_zone_that_this_machine_knows_also_one_with_a_plus(zone: str) -> None:
    alone, beside = Place("US", "TX", (zone,)), Place("US", "", ("America/Denver", zone, "Asia/Tokyo"))
    assert Place.of(alone.key) == alone
    assert Place.of(beside.key) == beside
    assert hours(alone, datetime(2026, 11, 24, tzinfo=UTC)).until


@pytest.mark.parametrize("zones", [("5",), ("Mars/Olympus",), ("../etc/passwd",), ("America",)])
def test_a_place_whose_clocks_nobody_knows_has_those_of_its_country(zones: tuple[str, ...]) -> None:
    assert zones_of(Place("US", "", zones)) == zones_of(Place("US"))
    assert zones_of(Place("US", "TX", zones)) == zones_of(Place("US", "TX"))
    assert zones_of(Place("US", "", ("America/Denver", *zones))) == zones_of(Place("US"))


def test_a_region_of_a_country_without_a_table_has_the_form_of_one() -> None:
    assert is_region("FR", "75C")
    assert not any(is_region("FR", region) for region in ("75@x", "FR-57", "idf", "12345", "75\n", "٤"))


def test_every_clock_of_the_tables_exists_and_every_state_has_one() -> None:
    states = table("law", "hours.toml")["zones"]["US"]
    assert len(states) == 51
    assert all(is_zone(name) for names in states.values() for name in names)
    regions = {region for rule in hours_rules() for region in rule.regions}
    assert regions <= set(states)
    assert is_region("US", "TX")
    assert not is_region("US", "XX")
    assert is_region("FR", "57")
