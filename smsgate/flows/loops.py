"""
Loops that never end by themselves: a step, then a nudge or a pause.

A database that is away is waited for; any other error ends the process, for its supervisor to start it
anew: a loop that died in silence is what operators of other gateways suffer from most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.errors import StoreUnavailable

log = structlog.get_logger(__name__)

AWAY_RETRY_S: Final = 0.2
AWAY_RETRY_MAX_S: Final = 5.0


class Loop:
    """One endless loop; `beat_at` (monotonic seconds) tells the operator that it lives."""

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[bool]],
        clock: Clock,
        *,
        interval_s: float,
        wake: asyncio.Event | None = None,
    ) -> None:
        """`step` returns whether to go on at once; otherwise `wake` or `interval_s` starts the next."""
        self.name = name
        self.interval_s = interval_s
        self.beat_at = clock.monotonic()
        self._step = step
        self._clock = clock
        self._wake = wake or asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        away_s = AWAY_RETRY_S
        while not self._stopping:
            self._wake.clear()
            try:
                more = await self._step()
            except StoreUnavailable as exc:
                log.warning("loop_waits_for_store", loop=self.name, error=str(exc), retry_s=away_s)
                await asyncio.sleep(away_s)
                away_s = min(away_s * 2, AWAY_RETRY_MAX_S)
                continue
            away_s = AWAY_RETRY_S
            self.beat_at = self._clock.monotonic()
            if more:
                await asyncio.sleep(0)
            elif not self._stopping:
                # Not wait_for: in Python 3.11 it drops a cancellation that meets a wake-up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.interval_s):
                        await self._wake.wait()

    def stop(self) -> None:
        """End after the step that runs."""
        self._stopping = True
        self._wake.set()

    def nudge(self) -> None:
        self._wake.set()
