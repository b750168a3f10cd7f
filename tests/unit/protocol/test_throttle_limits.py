"""The throttle against models of SMSCs, in simulated time: limits that nobody told, and queues that fill."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

import pytest

from smsgate.protocol.throttle import Throttle

STEP_S = 0.005


class Limiter(Protocol):
    def take(self, count: int, now: float) -> int: ...


class Bucket:
    """Takes `limit` a second, and what it saved up of `burst_s` seconds."""

    def __init__(self, limit: float, burst_s: float) -> None:
        self.limit, self.tokens, self.at = limit, max(1.0, limit * burst_s), 0.0
        self.burst = self.tokens

    def take(self, count: int, now: float) -> int:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.limit)
        self.at = now
        passed = min(count, int(self.tokens + 1e-6))
        self.tokens -= passed
        return passed


class CalendarSecond:
    """Counts anew at each second of its clock, as many SMSCs do."""

    def __init__(self, limit: float) -> None:
        self.limit, self.second, self.count = int(limit), 0, 0

    def take(self, count: int, now: float) -> int:
        if int(now) != self.second:
            self.second, self.count = int(now), 0
        passed = min(count, self.limit - self.count)
        self.count += passed
        return passed


class Seen(NamedTuple):
    accepted: int
    refused: int


def drive(
    throttle: Throttle, smsc: Limiter, *, delay_s: float, seconds: float, measure_from_s: float
) -> Seen:
    """Send all that the throttle gives; refusals come back `delay_s` later. Count after `measure_from_s`."""
    refusals = deque([0] * round(delay_s / STEP_S))
    accepted = refused = 0
    for step in range(1, round(seconds / STEP_S)):
        now = step * STEP_S
        if refusals.popleft():
            throttle.slow_down(now, delay_s)
        taken = throttle.take(100_000, now)
        passed = smsc.take(taken, now)
        refusals.append(taken - passed)
        if now >= measure_from_s:
            accepted += passed
            refused += taken - passed
    return Seen(accepted, refused)


def limiters(limit: float) -> list[Limiter]:
    return [Bucket(limit, 0.1), Bucket(limit, 1.0), CalendarSecond(limit)]


@pytest.mark.parametrize("delay_s", [0.02, 0.4])
@pytest.mark.parametrize("limit", [10, 30, 100, 1_000, 5_000])
def test_an_adaptive_rate_finds_95_percent_of_a_limit_that_nobody_told_within_a_minute(
    limit: int, delay_s: float
) -> None:
    for smsc in limiters(limit):
        throttle = Throttle(10_000, 1_000, now=0.0, start_per_s=10)
        seen = drive(throttle, smsc, delay_s=delay_s, seconds=120.0, measure_from_s=60.0)
        assert seen.accepted >= 0.95 * limit * 60, smsc
        assert seen.refused <= 0.02 * seen.accepted, smsc


@pytest.mark.parametrize("configured", [30, 36, 60, 300])
def test_a_rate_configured_too_high_gives_way_within_5_seconds(configured: int) -> None:
    """M16: below 2 % refused after 5 s, and at least 90 % of the 30/s used."""
    for smsc in limiters(30):
        throttle = Throttle(configured, max(2, configured // 10), now=0.0)
        seen = drive(throttle, smsc, delay_s=0.05, seconds=65.0, measure_from_s=5.0)
        assert seen.accepted >= 0.9 * 30 * 60, smsc
        assert seen.refused < 0.02 * seen.accepted, smsc


class RisesAfterAMinute(Bucket):
    def take(self, count: int, now: float) -> int:
        if now >= 60.0:
            self.limit, self.burst = 400.0, 40.0
        return super().take(count, now)


def test_a_limit_that_rises_is_found_again() -> None:
    throttle = Throttle(1_000, 100, now=0.0, start_per_s=10)
    seen = drive(throttle, RisesAfterAMinute(50, 0.1), delay_s=0.05, seconds=150.0, measure_from_s=130.0)
    assert seen.accepted >= 0.9 * 400 * 20


@pytest.mark.parametrize("configured", [60, 80, 120])
def test_congestion_states_steer_the_rate_and_no_submit_is_ever_refused(configured: int) -> None:
    """S2: a queue of 3 s behind a limit of 60/s tells how full it is; 0x58 would come when it is full."""
    limit, room = 60.0, 180.0
    throttle = Throttle(configured, configured // 10, now=0.0)
    queue = sent = 0.0
    states = deque([0] * 5)  # answers take 100 ms
    worst = 0.0
    for step in range(1, round(120 / STEP_S)):
        now = step * STEP_S
        if step % 4 == 0:
            throttle.congestion(states.popleft(), now)
            states.append(min(100, int(100 * queue / room)))
        taken = throttle.take(1_000, now)
        sent += taken
        queue = max(0.0, queue + taken - limit * STEP_S)
        worst = max(worst, queue)
    assert worst < room
    assert sent >= 0.9 * limit * 120
