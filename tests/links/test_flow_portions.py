"""A high rate is written in portions, whatever share of it campaigns leave free."""

from __future__ import annotations

from typing import cast

import pytest

from smsgate.flows.records import Lane
from smsgate.links.connection import Connection
from smsgate.links.flow import PORTION_S, Flow
from tests.links.fake_smsc import a_profile


class Wide:
    """A bind whose window is never full."""

    def room(self) -> int:
        return 10_000


BINDS = [cast("Connection", Wide())]


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
