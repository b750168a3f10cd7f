"""One timer per carrier, in the event loop: the earliest instant that was asked for rings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from smsgate.clock import Clock

WAIT_MIN_S: Final = 0.001  # a timer that is due at once would ring again and again in one turn of the loop


class Timers:
    def __init__(self, clock: Clock, ring: Callable[[int], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._set: dict[int, tuple[float, asyncio.TimerHandle]] = {}  # loop's second, what rings at it

    def set(self, key: int, at: float) -> None:
        """Ring for `key` at the monotonic second `at`, unless something earlier is set."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(WAIT_MIN_S, at - self._clock.monotonic())
        if key in self._set:
            due, timer = self._set[key]  # uvloop's handle of what is due at once tells no instant
            if due <= when:
                return
            timer.cancel()
        self._set[key] = when, loop.call_at(when, self._rings, key)

    def _rings(self, key: int) -> None:
        del self._set[key]
        self._ring(key)

    def cancel(self) -> None:
        for _, timer in self._set.values():
            timer.cancel()
        self._set.clear()
