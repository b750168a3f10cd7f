"""How late the event loop is: the first sign of a process that has too much to do."""

from __future__ import annotations

import asyncio
from typing import Final

from smsgate.clock import Clock

INTERVAL_S: Final = 0.1
ALIVE_LIMIT_S: Final = 5.0  # a loop that did not turn for so long is not alive


class LoopLag:
    """
    Measures by sleeping; `run` it as a task.

    `last_s` is the lag of the last beat, `worst_s` the worst since `take_worst`.
    """

    def __init__(self, clock: Clock, *, interval_s: float = INTERVAL_S) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._worst_s = 0.0
        self.last_s = 0.0
        self.beat_at = clock.monotonic()

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            slept_at = self._clock.monotonic()
            await asyncio.sleep(self._interval_s)
            self.beat_at = self._clock.monotonic()
            self.last_s = max(0.0, self.beat_at - slept_at - self._interval_s)
            self._worst_s = max(self._worst_s, self.last_s)

    def take_worst(self) -> float:
        """Return the worst lag since the last call, for one reader: the metrics."""
        worst, self._worst_s = self._worst_s, 0.0
        return worst

    def alive(self) -> bool:
        """Return whether the loop beat lately; ask from another thread or a request."""
        return self._clock.monotonic() - self.beat_at < ALIVE_LIMIT_S
