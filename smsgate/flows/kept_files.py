"""A directory of files that can be made again: each is kept for a time, and all together up to a size."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog

from smsgate.clock import Clock

log = structlog.get_logger(__name__)

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
SCRATCH: Final = ".scratch-"  # how the names of directories begin in which files are made


@dataclass(frozen=True, slots=True)
class KeptFile:
    path: Path
    sha256: str
    octets: int
    made_at: datetime
    manifest: dict[str, Any]  # what is told of it; empty: nothing


class KeptFiles:
    """
    Whoever makes one holds `one` meanwhile: there is room for it then.

    Processes that share the directory let each other's scratch alone: its maker holds a lock on it, which the
    kernel drops when the maker dies.
    """

    def __init__(self, directory: Path, kept: timedelta, octets_max: int, clock: Clock) -> None:
        self.directory = directory
        self.one = asyncio.Lock()
        self._kept = kept
        self._octets_max = octets_max
        self._clock = clock

    def is_over(self, made_at: datetime) -> bool:
        return self._clock.now() - made_at >= self._kept

    @contextlib.asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        """Lend an empty directory to make a file in; it is gone afterwards."""
        path, held = await asyncio.to_thread(_make_scratch, self.directory)
        try:
            yield path
        finally:
            try:
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
            finally:
                os.close(held)

    async def make_room(self) -> int:
        """
        Remove what is too old, the oldest of what is too much, and scratch whose maker is dead.

        Who reads one reads on. Returns how many files went.
        """
        assert self.one.locked()
        return await asyncio.to_thread(self._make_room)

    async def keep_house(self) -> int:
        """Do so unless one is being made; return how many files went."""
        if self.one.locked():
            return 0
        async with self.one:
            return await self.make_room()

    def _make_room(self) -> int:
        self.directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        oldest = (self._clock.now() - self._kept).timestamp()
        files: list[tuple[float, int, Path]] = []
        for path in self.directory.iterdir():
            if path.is_dir():
                if path.name.startswith(SCRATCH):
                    _remove_if_nobodys(path)
                continue
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        gone = 0
        left = sum(size for _at, size, _path in files)
        for at, size, path in sorted(files):
            if at < oldest or left > self._octets_max:
                path.unlink(missing_ok=True)
                left -= size
                gone += 1
        return gone


def _make_scratch(directory: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=directory))
        try:
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # another process looked in before the lock was had
            continue
        fcntl.flock(held, fcntl.LOCK_SH)
        if path.is_dir():
            return path, held
        os.close(held)


def _remove_if_nobodys(path: Path) -> None:
    """Remove a scratch directory unless its maker lives."""
    try:
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it is gone, or somebody else's
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except OSError:  # its maker lives; or the file system has no locks
        return
    finally:
        os.close(held)


class FileHousekeeping:
    """Run `step` about once an hour in the process whose files they are; by the rules' names."""

    def __init__(self, kept: Mapping[str, KeptFiles]) -> None:
        self._kept = kept
        self.removed: Counter[str] = Counter()  # since the start

    async def step(self) -> bool:
        """Do one run of a loop; a directory that cannot be swept is told and left until the next run."""
        gone: dict[str, int] = {}
        for name, files in self._kept.items():
            try:
                gone[name] = await files.keep_house()
            except OSError as exc:  # files in the way must not end a process that answers merchants
                log.warning("files_not_removed", rule=name, directory=str(files.directory), error=str(exc))
        self.removed.update(gone)
        if any(gone.values()):
            log.info("files_removed", **gone)
        return False
