"""A directory of files that can be made again: each is kept for a time, and all together up to a size."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

DIRECTORY_MODE: Final = 0o700


def make_room(directory: Path, oldest: datetime, octets_max: int) -> int:
    """
    Remove what is older than `oldest`, and the oldest of what is too much; who reads one reads on.

    Returns how many files went.
    """
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    files: list[tuple[float, int, Path]] = []
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir():
                continue
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    gone = 0
    left = sum(size for _at, size, _path in files)
    for at, size, path in sorted(files):
        if at < oldest.timestamp() or left > octets_max:
            path.unlink(missing_ok=True)
            left -= size
            gone += 1
    return gone


class FileHousekeeping:
    """Run `step` about once an hour in the process whose files they are; by the rules' names."""

    def __init__(self, keepers: Mapping[str, Callable[[], Awaitable[int]]]) -> None:
        self._keepers = keepers
        self.removed: Counter[str] = Counter()  # since the start

    async def step(self) -> bool:
        """Do one run of a loop."""
        gone = {name: await keep_house() for name, keep_house in self._keepers.items()}
        self.removed.update(gone)
        if any(gone.values()):
            log.info("files_removed", **gone)
        return False
