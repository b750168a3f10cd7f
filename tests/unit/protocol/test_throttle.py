from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.protocol.throttle import RATE_MIN_SHARE, Throttle

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
    assert throttle.rate(11.0) == pytest.approx(95)
    assert 95 < throttle.rate(15.0) < 100
    assert throttle.rate(60.0) == 100


def test_refusals_without_end_never_stop_the_connector() -> None:
    throttle = Throttle(100, 1, now=0.0)
    for second in range(1, 60):
        throttle.slow_down(float(second) * 0.4)
    assert throttle.rate(24.0) == pytest.approx(100 * RATE_MIN_SHARE)
    assert throttle.next_at(1, 24.0) < 26.0


def test_what_was_not_sent_is_given_back_up_to_the_burst() -> None:
    throttle = Throttle(1, 10, now=0.0)
    assert throttle.take(10, 0.0) == 10
    throttle.give_back(4)
    assert throttle.take(10, 0.0) == 4
    throttle.give_back(1_000)
    assert throttle.take(1_000, 0.0) == 10


@pytest.mark.parametrize("carrier_burst", [3, 30])
@pytest.mark.parametrize("configured", [30, 60, 300])
def test_an_unannounced_limit_is_found_and_used(configured: int, carrier_burst: int) -> None:
    """A carrier that takes 30/s, answers 20 ms later, and refuses what is above."""
    limit, step, delay = 30.0, 0.01, 2
    throttle = Throttle(configured, configured, now=0.0)
    tokens, accepted, refused = float(carrier_burst), 0, 0
    answers = [False] * delay  # whether a refusal arrives in that step
    for tick in range(1, 6_000):
        now = tick * step
        tokens = min(float(carrier_burst), tokens + limit * step)
        if answers.pop(0):
            throttle.slow_down(now)
        taken = throttle.take(10, now)
        passed = min(taken, int(tokens + 1e-6))
        tokens -= passed
        answers.append(taken > passed)
        if now > 5.0:
            accepted += passed
            refused += taken - passed
    assert accepted >= 0.9 * limit * 55
    assert refused < 0.02 * accepted
