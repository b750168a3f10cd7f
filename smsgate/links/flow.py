"""How much an account may write now: the windows of its binds, one rate over all, and two lanes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from smsgate.flows.records import Lane
from smsgate.protocol.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smsgate.links.connection import Connection
    from smsgate.links.profile import CarrierProfile

# Of a high rate so much is written at once: a write for each token costs more than the message itself.
PORTION_S: Final = 0.005
PIECE_MIN: Final = 50  # of a slice; smaller pieces cost more writes than the even load of binds is worth
ROOM_SLACK_S: Final = 0.001  # rounding must not wake the sender just before the token is whole


class Flow:
    def __init__(self, profile: CarrierProfile, clock: Callable[[], float]) -> None:
        self._profile = profile
        self._clock = clock
        self.throttle = Throttle(profile.rate_per_s, profile.burst, clock(), start_per_s=profile.start_per_s)

    def adopt(self, profile: CarrierProfile) -> None:
        """Go on by another contract; a new rate begins with what the old one had left, or owed."""
        old, self._profile = self._profile, profile
        if (old.rate_per_s, old.burst) != (profile.rate_per_s, profile.burst):
            now = self._clock()
            left = self.throttle.level(now)
            self.throttle = Throttle(profile.rate_per_s, profile.burst, now, start_per_s=profile.start_per_s)
            self.throttle.owe(max(0.0, self.throttle.level(now) - left), now)

    def room(self, senders: Sequence[Connection], lane: Lane) -> int:
        """Return how many segments may be written now."""
        now = self._clock()
        tokens, least = self.throttle.available(now), 1
        if lane is Lane.BULK:
            tokens -= self._rate_reserve(now)
            least = self._portion(now)
        if tokens < least:
            return 0  # whatever the windows say; at a high rate this is asked at each read
        window = sum([sender.room() for sender in senders])
        if lane is Lane.BULK:
            window -= self._window_reserve(senders)
        return max(0, min(window, tokens))

    def room_at(self, senders: Sequence[Connection], lane: Lane) -> float | None:
        """Return when the rate gives room again; None when it does and the windows do not."""
        now = self._clock()
        wanted = self._portion(now) + self._rate_reserve(now) if lane is Lane.BULK else 1
        at = self.throttle.next_at(wanted, now)
        if at > now:
            return at + ROOM_SLACK_S  # the windows are looked at then
        reserve = self._window_reserve(senders) if lane is Lane.BULK else 0
        return None if sum([sender.room() for sender in senders]) <= reserve else at

    def fitting(self, segments: Sequence[int], lane: Lane) -> int:
        """
        Return how many messages of so many segments each the rate gives room for, in their order.

        One at least: what makes more segments than the bucket holds goes alone, and the rest of it is owed.
        """
        now = self._clock()
        left = self.throttle.available(now)
        if lane is Lane.BULK:
            left -= self._rate_reserve(now)
        for place, each in enumerate(segments):
            left -= each
            if left < 0:
                return max(1, place)
        return len(segments)

    def submit(self, senders: Sequence[Connection], bodies: Sequence[bytes], slots: Sequence[int]) -> int:
        """Write over the binds, as many as rate and windows let through; return how many these are."""
        granted = self.throttle.take(len(bodies), self._clock())
        start = 0
        # Fullest first, each at most its even share: the last one always has room for the rest.
        by_room = sorted(senders, key=lambda sender: sender.room())
        few = by_room[-max(1, granted // PIECE_MIN) :]
        if sum([sender.room() for sender in few]) >= granted:
            by_room = few
        for position, sender in enumerate(by_room):
            stop = start + min((granted - start) // (len(by_room) - position), sender.room())
            if stop > start:
                start += sender.submit(bodies[start:stop], slots[start:stop])
        self.throttle.give_back(granted - start)
        return start

    def slow_down(self, response_s: float) -> None:
        self.throttle.slow_down(self._clock(), response_s)

    def congestion(self, state: int) -> None:
        self.throttle.congestion(state, self._clock())

    def rate(self) -> float:
        return self.throttle.rate(self._clock())

    def _window_reserve(self, senders: Sequence[Connection]) -> int:
        return _reserve(self._profile.interactive_share, self._profile.window_max * len(senders))

    def _portion(self, now: float) -> int:
        """Return how many tokens campaigns wait for; at most what the bucket can hold beside the reserve."""
        most = int(self.throttle.burst(now)) - self._rate_reserve(now)
        return max(1, min(int(self.throttle.rate(now) * PORTION_S), most))

    def _rate_reserve(self, now: float) -> int:
        """Return how many of the rate's tokens campaigns leave free; a low rate's bucket holds few."""
        return _reserve(self._profile.interactive_share, int(self.throttle.burst(now)))


def _reserve(share: float, whole: int) -> int:
    """Return what campaigns leave free of `whole`: at least 1 when there is a share, never all."""
    return min(max(1, math.ceil(round(share * whole, 6))), whole - 1) if share > 0 else 0
