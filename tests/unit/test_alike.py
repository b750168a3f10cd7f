"""Columns whose values are mostly alike."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from smsgate.alike import is_same, made_of_each, of_each

COLUMNS = st.lists(st.sampled_from(["20801", "20810", "26201"]))


@given(COLUMNS)
def test_a_column_is_made_in_its_order_and_each_value_once(column: list[str]) -> None:
    asked: Counter[str] = Counter()

    def last_digit(network: str) -> int:
        asked[network] += 1
        return int(network[-1])

    assert made_of_each(column, last_digit) == [int(network[-1]) for network in column]
    assert asked == Counter(set(column))


@given(COLUMNS.filter(bool))
def test_a_column_is_the_same_where_it_has_one_value(column: list[str]) -> None:
    assert is_same(column) == (len(set(column)) == 1)


def test_the_value_of_one_stands_for_as_many_rows_as_there_are() -> None:
    assert of_each(["20801"] * 3, {"20801": 45_000}) == [45_000] * 3
    assert of_each([], {"20801": 45_000}) == []
