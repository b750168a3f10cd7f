"""A directory of files that can be made again: each is kept for a time, and all together up to a size."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Final

DIRECTORY_MODE: Final = 0o700


def make_room(directory: Path, oldest: datetime, octets_max: int) -> None:
    """Remove what is older than `oldest`, and the oldest of what is too much; who reads one reads on."""
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    files: list[tuple[float, int, Path]] = []
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir():
                continue
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    left = sum(size for _at, size, _path in files)
    for at, size, path in sorted(files):
        if at < oldest.timestamp() or left > octets_max:
            path.unlink(missing_ok=True)
            left -= size
