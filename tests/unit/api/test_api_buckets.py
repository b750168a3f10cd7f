from __future__ import annotations

from smsgate.api.buckets import Buckets


def test_one_second_worth_may_come_at_once_and_then_as_time_passes() -> None:
    buckets = Buckets(5)
    assert [buckets.take("a", 10.0).allowed for _ in range(6)] == [True] * 5 + [False]
    assert buckets.take("a", 10.0).retry_after_s == 1
    assert [buckets.take("a", 10.4).allowed for _ in range(3)] == [True, True, False]


def test_a_quiet_hour_saves_up_no_more_than_one_second() -> None:
    buckets = Buckets(5)
    for _ in range(5):
        buckets.take("a", 0.0)
    assert sum(buckets.take("a", 3_600.0).allowed for _ in range(10)) == 5


def test_one_key_costs_another_nothing() -> None:
    buckets = Buckets(1)
    assert buckets.take("a", 0.0).allowed
    assert not buckets.take("a", 0.0).allowed
    assert buckets.take("b", 0.0).allowed


def test_what_is_given_back_can_be_taken_again_and_no_more() -> None:
    buckets = Buckets(1)
    buckets.take("a", 0.0)
    buckets.give_back("a", 0.0)
    buckets.give_back("a", 0.0)
    assert buckets.take("a", 0.0).allowed
    assert not buckets.take("a", 0.0).allowed


def test_the_number_of_buckets_is_bounded_and_the_one_unused_longest_goes() -> None:
    buckets = Buckets(1, buckets_max=2)
    for key in ("a", "b", "a", "c"):
        buckets.take(key, 0.0)
    assert not buckets.take("a", 0.0).allowed
    assert buckets.take("b", 0.0).allowed
