"""
A disk that fills up: stop before PostgreSQL must.

PostgreSQL ends with a panic when it cannot write its log, and starts again only when there is room. So below
a floor the gateway takes nothing new and lets nothing grow: what was sent still gets its outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

log = structlog.get_logger(__name__)

LOW_FACTOR: Final = 4  # an alarm, while there is time to do something: so many times the floor are left
AGAIN_FACTOR: Final = 1.25  # so much above the floor before work is taken again: not to and fro


class DiskSpace(NamedTuple):
    """In octets; `free` is what an ordinary user may still write."""

    free: int
    total: int


class DiskGuard:
    """Looks again and again; `full` says that nothing new may be taken."""

    def __init__(
        self, read: Callable[[], DiskSpace], floor_octets: int, on_change: Callable[[bool], None]
    ) -> None:
        """`read` may block; `on_change` is told when `full` changes."""
        self._read = read
        self._floor = floor_octets
        self._on_change = on_change
        self._low = False
        self.full = False
        self.space = DiskSpace(0, 0)

    async def step(self) -> bool:
        """Look once; one step of a loop."""
        try:
            self.space = await asyncio.to_thread(self._read)
        except OSError as exc:
            log.warning("disk_not_read", error=str(exc))
            return False
        free = self.space.free
        self._say_low(low=free < LOW_FACTOR * self._floor)
        full = free < self._floor * (AGAIN_FACTOR if self.full else 1.0)
        if full is not self.full:
            self.full = full
            report = log.error if full else log.warning
            report("disk_full" if full else "disk_has_room", free_mib=free >> 20, floor_mib=self._floor >> 20)
            self._on_change(full)
        return False

    def _say_low(self, *, low: bool) -> None:
        if low and not self._low:
            log.warning("disk_low", free_mib=self.space.free >> 20, floor_mib=self._floor >> 20)
        self._low = low
