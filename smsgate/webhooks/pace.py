"""
How much may be sent where: so many requests at once, so many a second to one host, and less to who fails.

A host is bounded over all merchants: endpoints of many merchants must not become a flood for one victim. An
endpoint that fails again and again is left in peace for a while, and only that endpoint: others on the same
host may be well.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

ENTRIES_MAX: Final = 10_000  # hosts, and endpoints, that are remembered; the longest unused is forgotten
FAILURES_FREE: Final = 3  # failures in a row before an endpoint is held
HOLD_FIRST_S: Final = 2.0
HOLD_MAX_S: Final = 300.0
RETRY_AFTER_HOLD_MAX_S: Final = 3_600.0

MERCHANT_SHARE: Final = 4  # one merchant takes a quarter of all slots at most

EndpointKey = tuple[int, int]  # merchant, endpoint


@dataclass(slots=True)
class _Host:
    tokens: float
    filled_at: float
    in_flight: int = 0


@dataclass(slots=True)
class _Endpoint:
    failures: int = 0
    held_until: float = 0.0


@dataclass(slots=True)
class Pace:
    """Times are monotonic seconds."""

    concurrency: int
    per_host: int
    per_host_per_s: int
    in_flight: int = 0
    _merchants: Counter[int] = field(default_factory=Counter)  # in flight
    _hosts: OrderedDict[str, _Host] = field(default_factory=OrderedDict)
    _endpoints: OrderedDict[EndpointKey, _Endpoint] = field(default_factory=OrderedDict)

    @property
    def per_merchant(self) -> int:
        """Requests of one merchant at once: slow receivers of one must leave slots to the others."""
        return max(1, self.concurrency // MERCHANT_SHARE)

    def held(self, endpoint: EndpointKey, now: float) -> bool:
        return self.held_s(endpoint, now) > 0

    def held_s(self, endpoint: EndpointKey, now: float) -> float:
        """Return how long an endpoint is still held."""
        state = self._endpoints.get(endpoint)
        return 0.0 if state is None else max(0.0, state.held_until - now)

    def room(self, host: str, endpoint: EndpointKey, now: float) -> int:
        """Return how many requests may start now, for an endpoint that is not held."""
        entry = self._host(host, now)
        room = min(
            self.concurrency - self.in_flight,
            self.per_merchant - self._merchants[endpoint[0]],
            self.per_host - entry.in_flight,
            int(entry.tokens),
        )
        state = self._endpoints.get(endpoint)
        if state is not None and state.failures >= FAILURES_FREE:
            room = min(room, 1)  # after a hold one request finds out whether it is well again
        return max(0, room)

    def started(self, host: str, merchant_id: int, count: int, now: float) -> None:
        entry = self._host(host, now)
        entry.in_flight += count
        entry.tokens -= count
        self._merchants[merchant_id] += count
        self.in_flight += count

    def ended(self, host: str, merchant_id: int) -> None:
        self.in_flight -= 1
        self._merchants[merchant_id] -= 1
        if not self._merchants[merchant_id]:
            del self._merchants[merchant_id]
        self._hosts[host].in_flight -= 1

    def succeeded(self, endpoint: EndpointKey) -> None:
        self._endpoints.pop(endpoint, None)

    def failed(self, endpoint: EndpointKey, now: float, retry_after_s: float | None = None) -> None:
        state = self._endpoints.setdefault(endpoint, _Endpoint())
        self._endpoints.move_to_end(endpoint)
        hold_s = 0.0
        if now >= state.held_until:  # requests that were under way together fail once
            state.failures += 1
        if state.failures >= FAILURES_FREE and now >= state.held_until:
            hold_s = min(HOLD_MAX_S, HOLD_FIRST_S * 2.0 ** min(state.failures - FAILURES_FREE, 16))
        hold_s = max(hold_s, min(retry_after_s or 0.0, RETRY_AFTER_HOLD_MAX_S))
        state.held_until = max(state.held_until, now + hold_s)
        if len(self._endpoints) > ENTRIES_MAX:
            self._endpoints.popitem(last=False)

    def _host(self, host: str, now: float) -> _Host:
        entry = self._hosts.get(host)
        if entry is None:
            entry = self._hosts[host] = _Host(float(self.per_host_per_s), now)
            self._forget()
        entry.tokens = min(
            float(self.per_host_per_s), entry.tokens + (now - entry.filled_at) * self.per_host_per_s
        )
        entry.filled_at = now
        self._hosts.move_to_end(host)
        return entry

    def _forget(self) -> None:
        if len(self._hosts) > ENTRIES_MAX:
            idle = next((name for name, entry in self._hosts.items() if not entry.in_flight), None)
            if idle is not None:
                del self._hosts[idle]
