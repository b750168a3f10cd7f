"""At most one demonstration works in a state directory: each empties the same database at its start."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from smsgate.errors import SmsgateError
from smsgate.store.embedded_paths import make_state_dir

LOCK_FILE: Final = "demo.lock"


class DemoFailed(SmsgateError):
    """The gateway refused what the demonstration asked for, or another one is in the way."""

    code = "demo_failed"


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """
    Keep other demonstrations out of this directory.

    Raises:
        DemoFailed: one runs here already.
    """
    make_state_dir(state_dir)
    with (state_dir / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoFailed(
                f"a demo runs in {state_dir.absolute()} already: end it first, or start this one elsewhere"
            ) from None
        yield


def runs_in(state_dir: Path) -> bool:
    """Return whether a demonstration runs in this directory now."""
    try:
        with (state_dir / LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no demonstration ever was here, or none of ours
        return False
    return False
