"""Which of a carrier's hosts to bind at: by priority or spread, and not one that has just failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.links.profile_values import Host


class HostBook:
    """
    The health of one account's hosts, shared by its links; instants are monotonic seconds.

    A host that failed is out of service from the first to the last of `delays_s`, doubling each time that it
    fails anew; one bind heals it.
    """

    def __init__(
        self, hosts: Sequence[Host], use: Literal["priority", "spread"], delays_s: tuple[float, float]
    ) -> None:
        self._hosts = tuple(hosts)
        self._use = use
        self._delays_s = delays_s
        self._out_until: dict[Host, float] = {}
        self._failures: dict[Host, int] = {}

    def order(self, place: int) -> tuple[Host, ...]:
        """Return the hosts as the link in `place` (from 0) prefers them."""
        shift = place % len(self._hosts) if self._use == "spread" else 0
        return self._hosts[shift:] + self._hosts[:shift]

    def choose(self, place: int, now: float) -> Host | None:
        """Return the first host in service; None while all are out."""
        return next((host for host in self.order(place) if not self.is_out(host, now)), None)

    def better(self, place: int, host: Host, now: float) -> Host | None:
        """Return a host in service that the link in `place` prefers to `host`."""
        order = self.order(place)
        before = order[: order.index(host)]
        return next((each for each in before if not self.is_out(each, now)), None)

    def others(self, host: Host, now: float) -> bool:
        """Return whether another host than this one is in service."""
        return any(each != host and not self.is_out(each, now) for each in self._hosts)

    def is_out(self, host: Host, now: float) -> bool:
        return now < self._out_until.get(host, now)

    def back_at(self) -> float:
        """Return when the first host that is out comes back."""
        return min(self._out_until.values(), default=0.0)

    def failed(self, host: Host, now: float) -> None:
        """Take one failure; those of many links within one time out of service count once."""
        if self.is_out(host, now):
            return
        first, last = self._delays_s
        count = self._failures.get(host, 0)
        self._failures[host] = min(count + 1, 30)
        self._out_until[host] = now + min(last, first * 2.0**count)

    def bound(self, host: Host) -> None:
        self._out_until.pop(host, None)
        self._failures.pop(host, None)
