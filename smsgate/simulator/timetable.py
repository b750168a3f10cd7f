"""What is to happen later, in the order of its time: one loop timer for all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Final

TICK_S: Final = 0.005  # what falls due within a tick happens together: one write instead of many


class Timetable:
    """Callables by loop time; those of one instant run in the order in which they were added."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Run `call` in `delay_s` seconds, or up to TICK_S later; never before the caller returns."""
        if self._closed:
            return
        due = self._loop.time() + delay_s
        heappush(self._entries, (due, next(self._numbers), call))
        self._arm()

    def close(self) -> None:
        """Forget everything; later calls of `after` do nothing."""
        self._closed = True
        self._entries.clear()
        self._disarm()

    def _arm(self) -> None:
        first = self._entries[0][0]
        # Rounded up to a tick, but for what is due now: an answer without latency need not wait.
        at = first if first <= self._loop.time() else first - first % TICK_S + TICK_S
        if self._timer is None or at < self._timer_at:
            self._disarm()
            self._timer = self._loop.call_at(at, self._run)
            self._timer_at = at

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        now = self._loop.time()
        entries = self._entries
        try:
            while entries and entries[0][0] <= now:
                _, _, call = heappop(entries)
                call()
        finally:
            if entries:
                self._arm()
