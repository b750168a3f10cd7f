"""The disk of the embedded database is watched; a server of one's own has alarms of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from smsgate.flows.disk import DiskGuard, DiskSpace
from smsgate.telemetry.metrics import Metrics

LOOK_INTERVAL_S: Final = 1.0  # the fastest sending fills some 20 MB in it


def disk_guard(
    data_dir: Path | None, floor_mib: int, metrics: Metrics, on_change: Callable[[bool], None]
) -> DiskGuard | None:
    """Return what looks at the disk of `data_dir`; None: there is nothing to look at, or nobody wants to."""
    if data_dir is None or not floor_mib:
        return None
    guard = DiskGuard(partial(space_of, data_dir), floor_mib << 20, on_change)
    metrics.gauge("disk_free_bytes", "Room on the embedded database's disk", lambda: guard.space.free)
    metrics.gauge("disk_full", "1: below the floor, nothing new is taken", lambda: float(guard.full))
    return guard


def space_of(directory: Path) -> DiskSpace:
    """
    Return the room on the disk of a directory.

    Raises:
        OSError: it cannot be asked.
    """
    found = os.statvfs(directory)
    return DiskSpace(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
