"""Whoever has had least for its weight is next."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.shares import WEIGHT_MAX, Shares

WEIGHTS = st.lists(st.integers(1, WEIGHT_MAX), min_size=2, max_size=8)


def shares_of(count: int) -> Shares[int]:
    shares: Shares[int] = Shares()
    for key in range(count):
        shares.join(key)
    return shares


@given(weights=WEIGHTS, turns=st.integers(1, 2_000))
def test_over_any_number_of_turns_each_has_its_weights_share_give_or_take_one_turn_of_each(
    weights: list[int], turns: int
) -> None:
    shares, had = shares_of(len(weights)), Counter[int]()
    for _ in range(turns):
        key = shares.next()
        shares.charge(key, 1, weights[key])
        had[key] += 1
    for key, weight in enumerate(weights):
        due = turns * weight / sum(weights)
        assert abs(had[key] - due) <= len(weights), (key, had[key], due)


@given(weights=WEIGHTS, amounts=st.lists(st.integers(1, 200), min_size=500, max_size=500))
def test_slices_of_any_size_come_to_the_same_shares(weights: list[int], amounts: list[int]) -> None:
    shares, had = shares_of(len(weights)), Counter[int]()
    for amount in amounts:
        key = shares.next()
        shares.charge(key, amount, weights[key])
        had[key] += amount
    for one, its in enumerate(weights):
        for other, others in enumerate(weights):
            assert had[one] / its - had[other] / others <= 200 * (1 / its + 1 / others)


def test_who_comes_late_is_next_at_once_and_is_given_nothing_for_the_time_before() -> None:
    shares = shares_of(1)
    for _ in range(1_000):
        shares.charge(shares.next(), 1)
    shares.join(7)
    turns = []
    for _ in range(6):
        turns.append(shares.next())
        shares.charge(turns[-1], 1)
    assert turns[:2] in ([0, 7], [7, 0])
    assert Counter(turns) == {0: 3, 7: 3}


def test_who_leaves_for_a_moment_comes_back_with_what_it_has_had_too_much() -> None:
    shares = shares_of(2)
    shares.charge(0, 100)
    shares.leave(0)
    shares.join(0)
    turns = Counter[int]()
    for _ in range(100):
        key = shares.next()
        shares.charge(key, 1)
        turns[key] += 1
    assert turns[1] >= 99


def test_debts_of_those_who_left_are_forgotten_once_the_others_have_had_as_much() -> None:
    shares = shares_of(1)
    for key in range(1, 1_000):
        shares.join(key)
        shares.charge(shares.next(), 1)
        shares.charge(key, 5)
        shares.leave(key)
    for _ in range(2_000):
        shares.charge(shares.next(), 10)
    shares.join(1_000)
    shares.leave(1_000)
    assert not shares._debts
