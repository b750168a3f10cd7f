from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgate.billing.prices import Direction, PriceBook, PriceItem, PriceVersion
from smsgate.billing.rating import rate_columns
from smsgate.errors import Invalid

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # 1 October in Paris
CHANGE = datetime(2026, 10, 20, 10, tzinfo=UTC)
MT, MO = Direction.MT, Direction.MO


def a_book() -> PriceBook:
    return PriceBook(
        1,
        "EUR",
        [
            PriceVersion(2, CHANGE, [PriceItem(20, MT, "20801", 46_999), PriceItem(21, MT, "*", 0)]),
            PriceVersion(
                1,
                OCTOBER,
                [
                    PriceItem(10, MT, "20801", 44_000),
                    PriceItem(11, MT, "208", 45_000),
                    PriceItem(12, MT, "310260", 9_000),
                    PriceItem(13, MO, "*", 1_000),
                ],
            ),
        ],
    )


@pytest.mark.parametrize(
    ("instant", "version"),
    [
        (OCTOBER - timedelta(microseconds=1), None),
        (OCTOBER, 1),
        (CHANGE - timedelta(microseconds=1), 1),
        (CHANGE, 2),
    ],
)
def test_a_version_holds_from_its_start_included_to_the_next_excluded(
    instant: datetime, version: int | None
) -> None:
    found = a_book().version_at(instant)
    assert (None if found is None else found.version) == version


@pytest.mark.parametrize(
    ("direction", "network", "item"),
    [
        (MT, "20801", 10),
        (MT, "20810", 11),
        (MT, "208*", 11),
        (MT, "310260", 12),
        (MT, "310*", None),
        (MT, "*", None),
        (MO, "20801", 13),
        (MO, "*", 13),
    ],
)
def test_the_exact_network_goes_before_its_country_and_that_before_the_rest(
    direction: Direction, network: str, item: int | None
) -> None:
    found = a_book().lookup(OCTOBER, direction, network)
    assert (None if found is None else found.item_id) == item


def test_nothing_falls_back_to_an_older_version_and_zero_is_a_price() -> None:
    found = a_book().lookup(CHANGE, MT, "20810")
    assert found is not None
    assert (found.item_id, found.unit_micros) == (21, 0)
    assert a_book().lookup(CHANGE, MO, "20801") is None


@pytest.mark.parametrize("network", ["2080", "20", "208*", "", "abc", "2080123", "٢٠٨"])
def test_a_network_that_is_none_cannot_be_priced(network: str) -> None:
    with pytest.raises(Invalid):
        PriceItem(1, MT, network, 1)


def test_negative_and_absurd_prices_and_doubles_are_refused() -> None:
    for micros in (-1, 10**10):
        with pytest.raises(Invalid):
            PriceItem(1, MT, "*", micros)
    with pytest.raises(Invalid):
        PriceVersion(1, OCTOBER, [PriceItem(1, MT, "*", 1), PriceItem(2, MT, "*", 2)])
    with pytest.raises(Invalid):
        PriceBook(1, "EUR", [PriceVersion(1, OCTOBER, []), PriceVersion(2, OCTOBER, [])])
    with pytest.raises(Invalid):
        PriceBook(1, "XXX", [])


def test_a_batch_is_priced_by_columns_and_what_has_no_price_is_refused_alone() -> None:
    rated = rate_columns(a_book().version_at(OCTOBER), MT, ["20801", "310*", "20820", "20801"], [1, 1, 2, 3])
    assert rated.item_ids == [10, None, 11, 10]
    assert rated.micros == [44_000, 0, 90_000, 132_000]
    assert rated.reasons == [None, "price_missing", None, None]
    assert rated.total_micros == 266_000


def test_one_number_of_segments_may_stand_for_all() -> None:
    rated = rate_columns(a_book().version_at(OCTOBER), MT, ["20801", "20801"], 2)
    assert rated.micros == [88_000, 88_000]


def test_without_a_version_everything_is_refused() -> None:
    rated = rate_columns(None, MT, ["20801", "*"], 1)
    assert rated.reasons == ["price_missing", "price_missing"]
    assert rated.total_micros == 0
