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
        tokens = self._tokens(lane)
        if not tokens:
            return 0  # whatever the windows say; at a high rate this is asked at each read
        return self._within([sender.room() for sender in senders], tokens, lane)

    def _tokens(self, lane: Lane) -> int:
        """Return how many segments the rate lets a lane write now; 0: not as many as it waits for."""
        now = self._clock()
        tokens, least = self.throttle.available(now), 1
        if lane is Lane.BULK:
            tokens -= self._rate_reserve(now)
            least = self._portion(now)
        return tokens if tokens >= least else 0

    def _within(self, rooms: Sequence[int], tokens: int, lane: Lane) -> int:
        """Return how many of so many segments the binds' windows let a lane write."""
        window = sum(rooms)
        if lane is Lane.BULK:
            window -= self._window_reserve(len(rooms))
        return max(0, min(window, tokens))

    def room_at(self, senders: Sequence[Connection], lane: Lane) -> float | None:
        """Return when the rate gives room again; None when it does and the windows do not."""
        now = self._clock()
        wanted = self._portion(now) + self._rate_reserve(now) if lane is Lane.BULK else 1
        at = self.throttle.next_at(wanted, now)
        if at > now:
            return at + ROOM_SLACK_S  # the windows are looked at then
        reserve = self._window_reserve(len(senders)) if lane is Lane.BULK else 0
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

    def submit(
        self,
        senders: Sequence[Connection],
        bodies: Sequence[bytes],
        slots: Sequence[int],
        lane: Lane,
        segments: Sequence[int] = (),
    ) -> int:
        """
        Write over the binds, as many as rate and windows let through; return how many these are.

        `segments` is how many each message makes; () stands for one each.
        """
        rooms = [sender.room() for sender in senders]  # looked at once: there may be many binds and one text
        count = min(len(bodies), self._within(rooms, self._tokens(lane), lane))
        if segments:
            count = self.fitting(segments[:count], lane)
        granted = self.throttle.take(count, self._clock())
        start = 0
        chosen = _chosen(rooms, granted)
        for position, place in enumerate(chosen):
            # Each at most its even share: the last one always has room for the rest.
            stop = start + min((granted - start) // (len(chosen) - position), rooms[place])
            if stop > start:
                start += senders[place].submit(bodies[start:stop], slots[start:stop])
        self.throttle.give_back(granted - start)
        if segments and (more := sum(segments[:start]) - start):
            self.throttle.owe(more, self._clock())
        return start

    def slow_down(self, response_s: float) -> None:
        self.throttle.slow_down(self._clock(), response_s)

    def congestion(self, state: int) -> None:
        self.throttle.congestion(state, self._clock())

    def rate(self) -> float:
        return self.throttle.rate(self._clock())

    def _window_reserve(self, binds: int) -> int:
        return _reserve(self._profile.interactive_share, self._profile.window_max * binds)

    def _portion(self, now: float) -> int:
        """Return how many tokens campaigns wait for; at most what the bucket can hold beside the reserve."""
        most = int(self.throttle.burst(now)) - self._rate_reserve(now)
        return max(1, min(int(self.throttle.rate(now) * PORTION_S), most))

    def _rate_reserve(self, now: float) -> int:
        """Return how many of the rate's tokens campaigns leave free; a low rate's bucket holds few."""
        return _reserve(self._profile.interactive_share, int(self.throttle.burst(now)))


def _chosen(rooms: Sequence[int], count: int) -> list[int]:
    """
    Return the places of the binds that write `count` messages, in the order of their rooms.

    They are those with the most room, one for each PIECE_MIN; all where these have too little.
    """
    pieces, most = max(1, count // PIECE_MIN), max(rooms)
    if pieces == 1 and most >= count:
        return [rooms.index(most)]
    by_room = sorted(range(len(rooms)), key=rooms.__getitem__)
    few = by_room[-pieces:]
    return few if sum([rooms[place] for place in few]) >= count else by_room


def _reserve(share: float, whole: int) -> int:
    """Return what campaigns leave free of `whole`: at least 1 when there is a share, never all."""
    return min(max(1, math.ceil(round(share * whole, 6))), whole - 1) if share > 0 else 0
