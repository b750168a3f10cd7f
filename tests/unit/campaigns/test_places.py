from __future__ import annotations

import pytest

from smsgate.campaigns.hours import Place
from smsgate.campaigns.places import check_place, place_key
from smsgate.errors import Invalid


@pytest.mark.parametrize(
    ("country", "region", "timezone", "msisdn", "key"),
    [
        ("FR", "", "", "33639980001", ""),  # one clock: the country says it all
        ("DE", "", "", "4915112345678", ""),
        ("ES", "", "", "34612345678", ""),  # several clocks, and a mobile number that tells none of them
        ("US", "", "", "12125550123", "US@America/New_York"),  # the area code is a guess
        ("US", "TX", "", "12125550123", "US-TX"),  # an address wins
        ("US", "TX", "America/Denver", "12125550123", "US-TX@America/Denver"),
        ("FR", "57", "", "33639980001", "FR-57"),
        ("", "", "", "33639980001", ""),
    ],
)
def test_a_place_is_kept_as_far_as_it_is_known(
    country: str, region: str, timezone: str, msisdn: str, key: str
) -> None:
    assert place_key(country, region, timezone, msisdn) == key
    assert not key or Place.of(key).country == country


@pytest.mark.parametrize(
    ("region", "timezone", "pointer"), [("XX", "", "/region"), ("", "Mars/Olympus", "/timezone")]
)
def test_a_place_that_does_not_exist_is_refused(region: str, timezone: str, pointer: str) -> None:
    check_place("US", "TX", "America/Chicago")
    with pytest.raises(Invalid) as caught:
        check_place("US", region, timezone)
    assert (caught.value.code, caught.value.pointer) == ("place_invalid", pointer)


@pytest.mark.parametrize("region", ["75@x", "75+5", "idf", "\0", "12345"])
def test_what_is_no_region_of_any_country_is_refused_where_no_table_has_the_regions(region: str) -> None:
    check_place("FR", "75C", "Europe/Paris")
    with pytest.raises(Invalid) as caught:
        check_place("FR", region, "")
    assert (caught.value.code, caught.value.pointer) == ("place_invalid", "/region")
