from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.protocol.throttle import RATE_MIN_PER_S, Throttle

STEPS = st.lists(st.tuples(st.floats(0, 2), st.integers(0, 50)), max_size=60)


@given(st.integers(1, 500), st.integers(1, 500), STEPS)
def test_no_stretch_of_time_gets_more_than_burst_and_rate(
    rate: int, burst: int, steps: list[tuple[float, int]]
) -> None:
    throttle = Throttle(rate, burst, now=0.0)
    now = 0.0
    taken: list[tuple[float, int]] = []
    for pause, wanted in steps:
        now += pause
        got = throttle.take(wanted, now)
        assert 0 <= got <= wanted
        taken.append((now, got))
    for begin in range(len(taken)):
        given_out = 0
        for at, got in taken[begin:]:
            given_out += got
            assert given_out <= burst + rate * (at - taken[begin][0]) + 1e-3


@given(st.integers(1, 1000), st.integers(1, 100), st.integers(1, 200))
def test_what_next_at_promises_is_there(rate: int, burst: int, wanted: int) -> None:
    throttle = Throttle(rate, burst, now=0.0)
    throttle.take(burst, 0.0)
    at = throttle.next_at(wanted, 0.0)
    assert throttle.take(wanted, at) == min(wanted, burst)


def test_the_whole_rate_is_used_in_the_long_run() -> None:
    throttle = Throttle(50, 10, now=0.0)
    sent = sum(throttle.take(10, step * 0.037) for step in range(1, 10_000))
    assert sent >= 0.98 * 50 * 0.037 * 9_999


def test_a_refusal_halves_the_rate_once_and_it_climbs_back_by_itself() -> None:
    throttle = Throttle(100, 100, now=0.0)
    for late in (0.0, 0.05, 0.2):  # one window of refusals
        throttle.slow_down(10.0 + late)
    assert throttle.rate(10.3) == pytest.approx(50)
    assert throttle.take(100, 10.2) <= 10  # the saved burst is gone
    assert throttle.rate(11.0) == pytest.approx(93)
    assert 93 < throttle.rate(25.0) < 100
    assert throttle.rate(60.0) == 100


def test_refusals_that_were_on_their_way_when_we_slowed_down_count_once() -> None:
    """An SMSC that answers after 400 ms still refuses what the old rate sent."""
    throttle = Throttle(100, 10, now=0.0)
    for at in (10.0, 10.2, 10.4, 10.5):
        throttle.slow_down(at, response_s=0.4)
    assert throttle.rate(10.5) == pytest.approx(50)
    throttle.slow_down(10.6, response_s=0.4)
    assert throttle.rate(10.6) == throttle.rate(10.9) < 50


def test_refusals_without_end_never_stop_the_connector() -> None:
    throttle = Throttle(100, 1, now=0.0)
    for second in range(1, 60):
        throttle.slow_down(float(second) * 0.4)
    assert throttle.rate(24.0) == pytest.approx(RATE_MIN_PER_S)
    assert throttle.next_at(1, 24.0) < 26.1


def test_what_was_not_sent_is_given_back_up_to_the_burst() -> None:
    throttle = Throttle(1, 10, now=0.0)
    assert throttle.take(10, 0.0) == 10
    throttle.give_back(4)
    assert throttle.take(10, 0.0) == 4
    throttle.give_back(1_000)
    assert throttle.take(1_000, 0.0) == 10


def test_an_adaptive_rate_climbs_from_its_start_only_while_it_is_used() -> None:
    used, idle = (Throttle(1_000, 100, now=0.0, start_per_s=10) for _ in range(2))
    for step in range(1, 500):
        used.take(100, step * 0.02)
    assert used.rate(10.0) == pytest.approx(10 * 1.25**10, rel=0.05)
    idle.take(1, 0.0)
    assert idle.rate(3_600.0) < 13
    assert idle.burst(3_600.0) == 2  # a low rate saves up no large burst


def test_an_adaptive_rate_never_passes_its_ceiling() -> None:
    throttle = Throttle(50, 10, now=0.0, start_per_s=10)
    for step in range(1, 10_000):
        throttle.take(100, step * 0.02)
    assert throttle.rate(200.0) == 50


def test_congestion_holds_lowers_and_lets_go() -> None:
    throttle = Throttle(100, 10, now=0.0)
    throttle.congestion(85, 1.0)
    assert throttle.rate(5.0) == 100
    throttle.congestion(95, 5.0)
    throttle.congestion(95, 5.1)  # the same news
    assert throttle.rate(5.2) == pytest.approx(75)
    throttle.congestion(89, 6.0)
    assert throttle.rate(9.0) == pytest.approx(75)
    throttle.congestion(100, 9.0)
    assert throttle.rate(9.0) == pytest.approx(37.5)
    throttle.congestion(79, 10.0)
    assert throttle.rate(10.0) == pytest.approx(37.5)
    assert throttle.rate(12.0) == pytest.approx(37.5 * 1.1**2)
    assert throttle.rate(30.0) == 100


def test_a_peer_that_tells_no_congestion_any_more_holds_nothing_any_more() -> None:
    throttle = Throttle(100, 10, now=0.0)
    throttle.congestion(100, 1.0)
    for second in range(2, 40):
        throttle.take(100, float(second))
    assert throttle.rate(40.0) == 100


def test_what_makes_more_segments_than_were_taken_is_waited_for() -> None:
    throttle = Throttle(10, 10, now=0.0)
    assert throttle.take(1, 0.0) == 1
    throttle.owe(14, 0.0)  # one message of fifteen segments: five more than the bucket held
    assert throttle.available(0.0) == 0
    assert throttle.take(3, 0.0) == 0
    assert throttle.next_at(1, 0.0) == pytest.approx(0.6)
    assert throttle.take(3, 0.55) == 0
    assert throttle.take(3, 0.6) == 1
