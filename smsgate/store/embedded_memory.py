"""How much memory the embedded PostgreSQL keeps pages in: by what the machine, or its container, has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SHARE: Final = 4  # a quarter, as PostgreSQL's manual (20.4.1) advises for a machine that serves a database
MIB: Final = 1 << 20
BUFFERS_MIN: Final = 128 * MIB  # PostgreSQL's own default
# Some ten million people: a campaign reads them in the order of their numbers, and they lie in that of their
# coming, so what does not fit is read once a message.
BUFFERS_MAX: Final = 4_096 * MIB
# Where a container's limit stands: control groups of version 2, and of version 1. Without a limit the newer
# says "max", and the older a number beyond all memory.
LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def shared_buffers(memory_octets: int) -> str:
    """Return PostgreSQL's `shared_buffers` for so much memory, in its MB (2^20 octets)."""
    octets = min(max(memory_octets // SHARE, BUFFERS_MIN), BUFFERS_MAX)
    return f"{octets // MIB}MB"


def memory_octets(limits: tuple[Path, ...] = LIMITS) -> int:
    """Return the memory that this machine has, or what its container may use when that is less."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in limits:
        try:
            found.append(int(path.read_text("ascii")))
        except (OSError, ValueError):
            continue
    return min(found)
