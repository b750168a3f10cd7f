"""
How fast a carrier lets us submit: a token bucket in segments, whose rate follows what the carrier says.

It gives way to throttling answers, to congestion_state, and, when adaptive, climbs by itself to a limit that
nobody told. Instants are seconds of any clock that never goes back. The numbers were chosen by simulation
against limits of 10 to 5,000/s, buckets and calendar seconds, answers after 20 and 400 ms
(tests/unit/protocol/test_throttle_limits.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW_DOWN_FACTOR: Final = 0.5
# Refusals of one window come together and mean one thing; a later one means that half was too much as well.
SAME_REFUSAL_S: Final = 0.3
# ... nor is one later that was on its way when we slowed down: so many response times, and a little.
SAME_REFUSAL_RESPONSES: Final = 1.25
# After a fall the rate stays down, then climbs to just under the rate that was too much ...
HOLD_S: Final = 0.5
RECOVERY_S: Final = 0.5
RECOVERY_SHARE: Final = 0.98
# ... clearly under it when it was refused right after such a climb: then we do not know the limit yet ...
AGAIN_SHARE: Final = 0.93
# ... and from there by this share times the cube of the seconds: 2 % after 15 s, for near the limit each
# overshoot costs refused answers and half a second at half rate ...
PROBE_SHARE_PER_S3: Final = 6e-6
# ... and once so far above the rate that was refused, the limit is another one: ever faster again.
FAR: Final = 1.07
FAR_GROWTH_PER_S: Final = 0.15
START_GROWTH_PER_S: Final = 0.25  # adaptive, before the first refusal: double after 3.1 s
USED_S: Final = 1.0  # an adaptive rate climbs only while the rate is what held sending up, within this time
BURST_MIN: Final = 2  # segments: the least that the bucket holds, however low the rate
# 20 ms of the rate where the bucket holds 0.1 s: longer than the loop's timers are late.
THROTTLED_BURST_SHARE: Final = 0.2
TOKEN_EPSILON: Final = 1e-6  # a token is whole when rounding alone keeps it from 1
RATE_MIN_PER_S: Final = 0.5  # segments: a connector never stops by itself

# congestion_state, SMPP 5.0 §4.8.4.18: 0 idle, 80 to 89 optimum, 90 nearly congested, 100 congested.
CONGESTION_OPTIMUM: Final = 80
CONGESTION_NEAR: Final = 90
CONGESTION_FULL: Final = 100
NEAR_FACTOR: Final = 0.75
LOWER_INTERVAL_S: Final = 0.25  # the peer's queue needs time to show that we went down
CONGESTION_GROWTH_PER_S: Final = 0.1  # below the optimum
CONGESTION_FORGOTTEN_S: Final = 10.0  # a peer that says nothing any more holds nothing any more


class Throttle:
    """
    The rate of one connector, shared by all of its binds.

    Over any t seconds at most `burst + segments_per_s * t` segments are given. The bucket is filled by the
    clock, so a stall of less than `burst / segments_per_s` seconds loses nothing. With `start_per_s` the rate
    is adaptive: it begins there, and `segments_per_s` is its ceiling.
    """

    def __init__(
        self, segments_per_s: float, burst: int, now: float, *, start_per_s: float | None = None
    ) -> None:
        assert segments_per_s > 0
        assert burst >= 1
        self._rate_max = segments_per_s
        self._burst_max = burst
        self._adaptive = start_per_s is not None
        self._undisturbed = not self._adaptive  # the rate is as configured: it never gave way to anything
        self._curve = _growing(start_per_s or segments_per_s, START_GROWTH_PER_S)
        self._age = 0.0  # of the curve; an adaptive one ages in use only, after so many seconds
        self._recovery_s = 0.0
        self._filled_at = now
        self._limited_at = now  # when somebody last wanted more than there was
        self._fell_at: float | None = None
        self._held: float | None = None  # the rate at which congestion_state keeps us
        self._congestion_at = now
        self._lowered_at: float | None = None
        self._tokens = float(burst)
        self._tokens = min(self._tokens, self.burst(now))

    def rate(self, now: float) -> float:
        """Return segments per second at `now`: the configured rate, or less as the carrier wants it."""
        if self._held is not None:
            return self._held
        if self._undisturbed:
            return self._rate_max
        return min(self._rate_max, max(RATE_MIN_PER_S, self._curve(self._age_at(now))))

    def burst(self, now: float) -> float:
        """
        Return how many segments the bucket holds: in proportion to the rate, at least BURST_MIN.

        Less while the carrier throttles: what comes at once may be what it does not take.
        """
        rate = self.rate(now)
        share = 1.0 if self._fell_at is None or rate >= self._rate_max else THROTTLED_BURST_SHARE
        return max(min(BURST_MIN, self._burst_max), self._burst_max * share * rate / self._rate_max)

    def take(self, segments: int, now: float) -> int:
        """Return how many of `segments` may be sent now, 0 to all of them; they count as sent."""
        taken = min(segments, self.available(now))
        self._tokens = max(min(self._tokens, 0.0), self._tokens - taken)
        if self._tokens < 1.0:
            self._limited_at = now
        return taken

    def available(self, now: float) -> int:
        """Return how many segments may be sent now."""
        self._fill(now)
        return max(0, int(self._tokens + TOKEN_EPSILON))

    def level(self, now: float) -> float:
        """Return the segments in the bucket, with parts of one; below 0 what is owed."""
        self._fill(now)
        return self._tokens

    def owe(self, segments: float, now: float) -> None:
        """Take that what was sent makes so many segments more than were taken; the next ones wait for it."""
        self._fill(now)
        self._tokens -= segments
        self._limited_at = now

    def give_back(self, segments: int) -> None:
        """Return what was taken and not sent."""
        self._tokens = min(self.burst(self._filled_at), self._tokens + segments)

    def next_at(self, segments: int, now: float) -> float:
        """Return when `segments` (at most the burst) can be taken; `now` when they can already."""
        self._fill(now)
        missing = min(segments, self.burst(now)) - self._tokens
        if missing <= TOKEN_EPSILON:
            return now
        self._limited_at = now
        return now + missing / self.rate(now)

    def slow_down(self, now: float, response_s: float = 0.0) -> None:
        """
        Take that the carrier answered "throttled": the rate is halved, and climbs back by itself.

        `response_s` is how long the carrier takes to answer now.
        """
        since = None if self._fell_at is None else now - self._fell_at
        same = max(SAME_REFUSAL_S, SAME_REFUSAL_RESPONSES * response_s + 0.05)
        if since is not None and since < same:
            return
        self._fill(now)
        too_much = self.rate(now)
        again = since is not None and since < HOLD_S + RECOVERY_S + 0.2 + 2 * response_s
        share = AGAIN_SHARE if again or since is None else RECOVERY_SHARE
        self._fell_at = now
        self._held = None
        self._begin(_fallen(too_much * SLOW_DOWN_FACTOR, too_much * share), HOLD_S + RECOVERY_S)
        self._tokens = 0.0  # the burst we saved up is what the carrier just refused

    def congestion(self, state: int, now: float) -> None:
        """Take a congestion_state: up below 80, as it is to 89, down from 90. Numbers above 100 are 100."""
        self._fill(now)
        self._congestion_at = now
        rate = self.rate(now)
        if state < CONGESTION_OPTIMUM:
            self._go_on()
        elif state < CONGESTION_NEAR:
            self._held = rate
        elif self._lowered_at is None or now - self._lowered_at >= LOWER_INTERVAL_S:
            factor = SLOW_DOWN_FACTOR if state >= CONGESTION_FULL else NEAR_FACTOR
            self._held = max(RATE_MIN_PER_S, rate * factor)
            self._lowered_at = now
        else:
            self._held = rate

    def _go_on(self) -> None:
        if self._held is not None:
            self._begin(_growing(self._held, CONGESTION_GROWTH_PER_S))
            self._held = None

    def _begin(self, curve: Callable[[float], float], recovery_s: float = 0.0) -> None:
        self._undisturbed = False
        self._curve, self._age, self._recovery_s = curve, 0.0, recovery_s

    def _age_at(self, now: float) -> float:
        passed = max(0.0, now - self._filled_at)
        if self._adaptive and now - self._limited_at > USED_S:
            passed = min(passed, max(0.0, self._recovery_s - self._age))
        return self._age + passed

    def _fill(self, now: float) -> None:
        if now <= self._filled_at:
            return
        if self._held is not None and now - self._congestion_at > CONGESTION_FORGOTTEN_S:
            self._go_on()
        earned = (now - self._filled_at) * self.rate(now)
        if self._held is None:
            self._age = self._age_at(now)
        self._filled_at = now
        self._tokens = min(self.burst(now), self._tokens + earned)


def _growing(start: float, growth_per_s: float) -> Callable[[float], float]:
    # The exponent is bounded, or a curve of days would overflow.
    return lambda age: start * float((1 + growth_per_s) ** min(age, 600.0))


def _fallen(low: float, target: float) -> Callable[[float], float]:
    far_after = float(((FAR - 1) / PROBE_SHARE_PER_S3) ** (1 / 3))

    def rate(age: float) -> float:
        climbing = age - HOLD_S - RECOVERY_S
        if climbing < 0:
            return low + (target - low) * max(0.0, age - HOLD_S) / RECOVERY_S
        if climbing <= far_after:
            return target * (1 + PROBE_SHARE_PER_S3 * climbing**3)
        return target * FAR * float((1 + FAR_GROWTH_PER_S) ** min(climbing - far_after, 600.0))

    return rate
