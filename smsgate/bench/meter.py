"""Time, CPU of this process and of all processes of PostgreSQL, octets of write-ahead log."""

from __future__ import annotations

import math
import os
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Reading:
    wall_s: float
    gateway_cpu_s: float
    database_cpu_s: float
    wal_octets: int


@dataclass(frozen=True, slots=True)
class Used:
    """What lies between two readings; CPU in microseconds per message, WAL in all."""

    wall_s: float
    per_second: int
    gateway_cpu_us: float
    database_cpu_us: float
    wal_octets: int


class Meter:
    """`wal_octets` asks the server how far its write-ahead log has come."""

    def __init__(self, data_dir: Path, wal_octets: Callable[[], Awaitable[int]]) -> None:
        self._postmaster = int((data_dir / "postmaster.pid").read_text().splitlines()[0])
        self._wal_octets = wal_octets

    async def read(self) -> Reading:
        wal_octets = await self._wal_octets()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return Reading(time.monotonic(), used.ru_utime + used.ru_stime, self._database_cpu_s(), wal_octets)

    def _database_cpu_s(self) -> float:
        """Add up the server, its children, and its children that have ended (counted by their parent)."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            user, system, children_user, children_system = map(int, fields[11:15])
            if int(path.parent.name) == self._postmaster:
                ticks += user + system + children_user + children_system
            elif int(fields[1]) == self._postmaster:
                ticks += user + system
        return ticks / TICKS_PER_S


def used_between(before: Reading, after: Reading, messages: int) -> Used:
    wall_s = after.wall_s - before.wall_s
    return Used(
        wall_s=round(wall_s, 3),
        per_second=round(messages / wall_s),
        gateway_cpu_us=round((after.gateway_cpu_s - before.gateway_cpu_s) * 1e6 / messages, 1),
        database_cpu_us=round((after.database_cpu_s - before.database_cpu_s) * 1e6 / messages, 1),
        wal_octets=after.wal_octets - before.wal_octets,
    )


def rss_max_mb() -> int:
    """Return the most memory that this process has had, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def rss_now_mb() -> float:
    """Return the memory that this process has now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the smallest value that `percent` of all do not exceed; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
