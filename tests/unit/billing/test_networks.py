from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.networks import Network, NetworkTable, default_table, is_network
from smsgate.errors import Invalid

ROWS = [
    ("33", "208*", "FR"),
    ("336", "20801", "FR"),
    ("33612", "20810", "FR"),
    ("1", "310*", "US"),
    ("1876", "338*", "JM"),
]


@pytest.mark.parametrize(
    ("msisdn", "mccmnc", "country"),
    [
        ("33612345678", "20810", "FR"),
        ("33611345678", "20801", "FR"),
        ("33712345678", "208*", "FR"),
        ("18765551234", "338*", "JM"),
        ("12125551234", "310*", "US"),
        ("4470", "*", ""),
        ("", "*", ""),
    ],
)
def test_the_longest_known_prefix_wins(msisdn: str, mccmnc: str, country: str) -> None:
    table = NetworkTable.from_rows(ROWS)
    assert table.network_of(msisdn) == Network(mccmnc, country)


@given(st.lists(st.one_of(st.integers(1, 10**15 - 1), st.integers(33_600_000_000, 33_799_999_999))))
def test_a_column_of_numbers_has_each_ones_network(msisdns: list[int]) -> None:
    for table in (NetworkTable.from_rows(ROWS), default_table(), NetworkTable.from_rows([])):
        expected = [table.network_of(str(msisdn)).mccmnc for msisdn in msisdns]
        assert table.column(msisdns) == expected == table.column(msisdns)


@pytest.mark.parametrize(
    "row",
    [
        ("+33", "208*", "FR"),
        ("33", "2081", "FR"),
        ("", "208*", "FR"),
        ("33", "20", "FR"),
        ("9" * 16, "*", ""),
    ],
)
def test_a_row_that_is_none_is_refused(row: tuple[str, str, str]) -> None:
    with pytest.raises(Invalid):
        NetworkTable.from_rows([row])


def test_a_prefix_that_stands_twice_is_refused() -> None:
    with pytest.raises(Invalid):
        NetworkTable.from_rows([("33", "208*", "FR"), ("33", "20801", "FR")])


@pytest.mark.parametrize(
    ("msisdn", "country", "mcc"),
    [
        ("33612345678", "FR", "208"),
        ("33700000000", "FR", "208"),
        ("447700900123", "GB", "234"),
        ("46701740605", "SE", "240"),
        ("4915112345678", "DE", "262"),
        ("34612345678", "ES", "214"),
        ("393331234567", "IT", "222"),
        ("32470123456", "BE", "206"),
        ("41791234567", "CH", "228"),
        ("31612345678", "NL", "204"),
        ("351912345678", "PT", "268"),
        ("12025550123", "US", "310"),
        ("14165550123", "CA", "302"),
        ("18765550123", "JM", "338"),
        ("77011234567", "KZ", "401"),
        ("79161234567", "RU", "250"),
    ],
)
def test_the_table_that_ships_knows_the_country_of_common_numbers(
    msisdn: str, country: str, mcc: str
) -> None:
    network = default_table().network_of(msisdn)
    assert network.country == country
    assert network.mccmnc.startswith(mcc)
    assert is_network(network.mccmnc)
