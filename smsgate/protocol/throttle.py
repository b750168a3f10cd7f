"""
How fast a carrier lets us submit: a token bucket in segments, which gives way when the carrier throttles.

Instants are seconds of any clock that never goes back.
"""

from __future__ import annotations

from typing import Final

SLOW_DOWN_FACTOR: Final = 0.5
# Refusals of one window come together and mean one thing; a later one means that half was too much as well.
SAME_REFUSAL_S: Final = 0.3
# After a fall the rate stays down, then climbs to just under the rate that was too much ...
HOLD_S: Final = 0.5
RECOVERY_S: Final = 0.5
RECOVERY_SHARE: Final = 0.95
# ... and from there by this share times the square of the seconds: 5 % after 7 s, double after 32 s. Slow
# near the limit, where each overshoot costs refused answers and half a second at half rate; fast far from it.
PROBE_SHARE_PER_S2: Final = 0.001
TOKEN_EPSILON: Final = 1e-6  # a token is whole when rounding alone keeps it from 1
RATE_MIN_SHARE: Final = 0.01  # of the configured rate: a connector never stops by itself


class Throttle:
    """
    The rate of one connector, shared by all of its binds.

    Over any t seconds at most `burst + rate * t` segments are given. The bucket is filled by the clock, so a
    stall of less than `burst / rate` seconds loses nothing.
    """

    def __init__(self, segments_per_s: float, burst: int, now: float) -> None:
        assert segments_per_s > 0
        assert burst >= 1
        self._rate_max = segments_per_s
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = now
        self._fell_at: float | None = None
        self._low = segments_per_s  # the rate right after the last fall
        self._target = segments_per_s  # just under the rate that was too much

    def rate(self, now: float) -> float:
        """Return segments per second at `now`: the configured rate, or less after a throttling answer."""
        if self._fell_at is None:
            return self._rate_max
        age = now - self._fell_at - HOLD_S
        if age < RECOVERY_S:
            return self._low + (self._target - self._low) * max(0.0, age) / RECOVERY_S
        return min(self._rate_max, self._target * (1 + PROBE_SHARE_PER_S2 * (age - RECOVERY_S) ** 2))

    def take(self, segments: int, now: float) -> int:
        """Return how many of `segments` may be sent now, 0 to all of them; they count as sent."""
        self._fill(now)
        taken = min(segments, int(self._tokens + TOKEN_EPSILON))
        self._tokens = max(0.0, self._tokens - taken)
        return taken

    def available(self, now: float) -> float:
        """Return how many segments may be sent now; the fraction is on its way to the next one."""
        self._fill(now)
        return self._tokens

    def give_back(self, segments: int) -> None:
        """Return what was taken and not sent."""
        self._tokens = min(float(self._burst), self._tokens + segments)

    def next_at(self, segments: int, now: float) -> float:
        """Return when `segments` (at most the burst) can be taken; `now` when they can already."""
        self._fill(now)
        missing = min(segments, self._burst) - self._tokens
        return now if missing <= 0 else now + missing / self.rate(now)

    def slow_down(self, now: float) -> None:
        """Take that the carrier answered "throttled": the rate is halved, and climbs back by itself."""
        if self._fell_at is not None and now - self._fell_at < SAME_REFUSAL_S:
            return
        self._fill(now)
        too_much = self.rate(now)
        self._fell_at = now
        floor = self._rate_max * RATE_MIN_SHARE
        self._low = max(floor, too_much * SLOW_DOWN_FACTOR)
        self._target = max(floor, too_much * RECOVERY_SHARE)
        self._tokens = 0.0  # the burst we saved up is what the carrier just refused

    def _fill(self, now: float) -> None:
        age = now - self._filled_at
        if age > 0:
            self._tokens = min(float(self._burst), self._tokens + age * self.rate(now))
            self._filled_at = now
