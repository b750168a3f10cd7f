"""A high rate is written in portions, whatever share of it campaigns leave free."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from smsgate.clock import ManualClock
from smsgate.flows.records import Lane
from smsgate.links.carrier import CarrierAccount
from smsgate.links.connection import Connection
from smsgate.links.flow import PORTION_S, Flow
from tests.links.fake_smsc import a_profile


class Wide:
    """A bind whose window is never full."""

    def room(self) -> int:
        return 10_000

    def submit(self, bodies: Sequence[bytes], slots: Sequence[int]) -> int:
        return len(bodies)


BINDS = [cast("Connection", Wide())]


class Asked(Wide):
    """A bind that counts who asks for its window."""

    def __init__(self) -> None:
        self.times = 0

    def room(self) -> int:
        self.times += 1
        return super().room()


def test_a_spent_rate_asks_no_window() -> None:
    """At a high rate that is so at most reads: 24 windows asked each time were a sixth of the CPU."""
    flow = Flow(a_profile(2775, rate_per_s=38_580, window_max=10_000), lambda: 0.0)
    bind = Asked()
    senders = [cast("Connection", bind)]
    flow.throttle.take(flow.room(senders, Lane.BULK), 0.0)
    asked = bind.times
    assert flow.room(senders, Lane.BULK) == 0
    assert (flow.room_at(senders, Lane.BULK) or 0.0) > 0.0
    assert bind.times == asked


def test_full_windows_are_no_question_of_time_once_the_rate_has_room() -> None:
    now = 0.0
    flow = Flow(a_profile(2775, rate_per_s=100, window_max=10), lambda: now)
    full = cast("Connection", SimpleNamespace(room=lambda: 0))
    flow.throttle.take(flow.room(BINDS, Lane.INTERACTIVE), now)
    at = flow.room_at([full], Lane.INTERACTIVE)
    assert at is not None
    now = at
    assert flow.room([full], Lane.INTERACTIVE) == 0
    assert flow.room_at([full], Lane.INTERACTIVE) is None


@pytest.mark.parametrize("rate", [1, 10, 100, 1_000, 38_580])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("throttled", [False, True])
def test_campaigns_get_room_when_told_and_not_a_message_at_a_time(
    rate: int, share: float, *, throttled: bool
) -> None:
    now = 0.0
    profile = a_profile(2775, rate_per_s=rate, window_max=10_000, interactive_share=share)
    flow = Flow(profile, lambda: now)
    if throttled:
        flow.slow_down(0.01)
    written = 0
    for _ in range(50):
        room = flow.room(BINDS, Lane.BULK)
        flow.throttle.take(room, now)
        written += room
        at = flow.room_at(BINDS, Lane.BULK)
        assert at is not None
        assert at > now
        now = at
        found = flow.room(BINDS, Lane.BULK)
        assert found >= 1
        if not throttled and share <= 0.5:
            assert found >= int(rate * PORTION_S)
    assert written > 0


@pytest.mark.parametrize("each", [1, 2, 8, 255])
def test_long_texts_keep_to_the_rate_in_segments_from_the_first_second_on(each: int) -> None:
    clock = ManualClock(datetime(2026, 11, 27, 12, 0, tzinfo=UTC))
    profile = a_profile(2775, rate_per_s=30, window_max=10_000)
    account = CarrierAccount(profile, 1, clock=clock, random=lambda: 0.5)
    account._senders = BINDS
    written: list[int] = []
    for _ in range(3_000):
        taken = account.submit([b"x"] * 100, range(100), Lane.INTERACTIVE, [each] * 100)
        written.append(taken * each)
        clock.advance(0.02)
    burst = profile.burst + each - 1  # the last message may begin with one token
    assert max(written) <= max(profile.burst, each)
    assert sum(written[:50]) <= 30 + burst
    assert 0.95 * 30 * 60 <= sum(written) <= 30 * 60 + burst


def test_a_change_of_the_rate_forgives_nothing_that_is_owed() -> None:
    flow = Flow(a_profile(2775, rate_per_s=30), lambda: 0.0)
    flow.throttle.owe(700, 0.0)
    owed = flow.throttle.level(0.0)
    flow.adopt(a_profile(2775, rate_per_s=60))
    assert flow.throttle.level(0.0) == owed < -690
