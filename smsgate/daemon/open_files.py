"""How many sockets and files the process may have open at once."""

from __future__ import annotations

import resource
from typing import Final

# ESMEs' 2,000 connections, HTTP and the database with room to spare; most shells and containers begin with
# 1,024, where a thousand silent connections from outside would leave none for the database.
OPEN_FILES_WANTED: Final = 65_536


def raise_open_files() -> int:
    """Raise this process's own limit as far as the system lets it, and return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(OPEN_FILES_WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
