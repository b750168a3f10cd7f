"""Minimums are versions: what a new one changes is what every month says before and after."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.commitments import Commitment, Stretch, commitment_changes, minimum_in
from smsgate.billing.periods import Month
from smsgate.errors import Invalid

FIRST, MONTHS = Month(2026, 10), 30


def month(number: int) -> Month:
    found = FIRST
    for _ in range(number):
        found = found.next()
    return found


@st.composite
def commitments(draw: st.DrawFn) -> Commitment:
    first = draw(st.integers(0, 20))
    last = draw(st.none() | st.integers(first, 24))
    minimum = draw(st.sampled_from((0, 1_000, 2_000)))
    currency = draw(st.sampled_from(("EUR", "EUR", "USD")))
    return Commitment(currency, minimum, month(first), None if last is None else month(last))


@given(st.lists(commitments(), max_size=6), commitments())
def test_the_differences_say_of_every_month_what_changes_and_of_no_other(
    before: list[Commitment], new: Commitment
) -> None:
    stretches = commitment_changes(before, new)
    told: dict[int, Stretch] = {}
    for stretch in stretches:
        for number in range(MONTHS):
            if stretch.first <= month(number) and (stretch.last is None or month(number) <= stretch.last):
                assert told.setdefault(number, stretch) is stretch
    for number in range(MONTHS):
        old = minimum_in(before, new.currency, month(number))
        now = minimum_in([*before, new], new.currency, month(number))
        assert (old != now) == (number in told)
        if number in told:
            assert (told[number].old_minor, told[number].new_minor) == (old, now)
    assert all(a.old_minor != b.old_minor or a.last != b.first for a, b in pairwise(stretches))


@given(st.integers(0, 500))
def test_the_month_before_the_next_one_is_the_same(number: int) -> None:
    assert month(number).next().previous() == month(number)


def test_a_minimum_ends_not_before_it_begins_and_is_not_below_zero() -> None:
    with pytest.raises(Invalid, match="2026-10 is before 2026-11"):
        Commitment("EUR", 1, month(1), month(0))
    with pytest.raises(Invalid, match="not below zero"):
        Commitment("EUR", -1, month(1))
