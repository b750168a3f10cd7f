"""Files that commands read and write."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from smsgate.cli.exits import UsageRefused

FILE_MODE: Final = 0o640  # what a merchant pays is not for everybody on the machine


def unreadable(source: str | Path, error: OSError) -> UsageRefused:
    """Return the refusal of a file that was named to be read, in the words of every command."""
    return UsageRefused(f"{source} cannot be read: {error.strerror}.")


def write_whole(path: Path, octets: bytes) -> None:
    """
    Write the file whole or not at all; an older one is replaced.

    Raises:
        UsageRefused: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
        Path(name).chmod(FILE_MODE)
        Path(name).replace(path)
    except OSError as exc:
        raise UsageRefused(f"{path} cannot be written: {exc.strerror}.") from exc
