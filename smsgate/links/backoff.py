"""How long a link waits after a setback, without a clock: delays that double, with jitter, a kind each."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from smsgate.protocol.commands import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsgate.links.profile_session import RebindDelays

JITTER_SHARE: Final = 0.5  # of a delay: binds that were lost together do not come back together
DOUBLINGS_MAX: Final = 16  # a power of two that is beyond every last delay


class Setback(Enum):
    """Why we are not bound; the value is the key of its delays in `RebindDelays`."""

    LOST = "lost_s"
    REFUSED_TCP = "refused_tcp_s"
    ALREADY_BOUND = "already_bound_s"
    CREDENTIALS = "credentials_s"


BY_STATUS: Final = {
    Status.ALYBND: Setback.ALREADY_BOUND,
    Status.INVPASWD: Setback.CREDENTIALS,
    Status.INVSYSID: Setback.CREDENTIALS,
}
# A setback of these kinds that lasts so long needs a person; wrong credentials do at once. SMSCs say
# "already bound" for up to 2 minutes after a link was lost (docs of several carriers).
ALARM_AFTER_S: Final = {
    Setback.LOST: 60.0,
    Setback.REFUSED_TCP: 60.0,
    Setback.ALREADY_BOUND: 150.0,
    Setback.CREDENTIALS: 0.0,
}


class Backoff:
    """One link's delays and alarms; `random` gives numbers from 0 to 1."""

    def __init__(self, delays: RebindDelays, random: Callable[[], float]) -> None:
        self._delays = delays
        self._random = random
        self._kind: Setback | None = None
        self._count = 0
        self._since = 0.0
        self._told = False

    def bound(self, held_s: float) -> None:
        """Take that a bind ended which had held so long: a stable one starts from the first delay again."""
        if held_s >= self._delays.stable_s:
            self._kind = None

    def delay_s(self, setback: Setback, now: float) -> float:
        """Return how long to wait after one more setback of this kind."""
        if setback is self._kind:
            self._count = min(self._count + 1, DOUBLINGS_MAX)
        else:
            self._kind, self._count, self._since, self._told = setback, 0, now, False
        first, last = getattr(self._delays, setback.value)
        whole: float = min(last, first * 2.0**self._count)
        return self.jittered(whole)

    def jittered(self, seconds: float) -> float:
        return seconds * (1.0 - JITTER_SHARE * self._random())

    def alarm_is_due(self, now: float) -> bool:
        """Return whether this kind of setback has lasted too long, once for each time that it begins."""
        if self._kind is None or self._told:
            return False
        self._told = now - self._since >= ALARM_AFTER_S[self._kind]
        return self._told
