"""
What is compiled, where it is installed (`make fast`): the pump of the bulk path, and the reading of replies.

Plain Python is the reference, and does everything without it (docs/decisions/0039 and 0060).
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

_SPEC = find_spec("smsgate_fast")
COMPILED = _SPEC is not None

if TYPE_CHECKING or COMPILED:
    from smsgate_fast import pump
else:
    pump = None

__all__ = ["COMPILED", "compiled_modules", "compiled_parts", "pump"]

_rooms: set[str] = set()  # whose compiled modules were taken


def compiled_modules(room: Path) -> list[str]:
    """
    Return where the compiled modules of a package lie whose sources are in `room`: a directory, or none.

    They count when they were made among the very sources that lie here, since constants of other modules are
    compiled in: after an upgrade that forgot them a reply is read by the new rules, if slower.
    """
    if _SPEC is None or _SPEC.origin is None:
        return []
    below = Path(_SPEC.origin).parent
    try:
        digests = json.loads(below.joinpath("sources.json").read_bytes())
        here = {
            f"{room.name}/{each.name}": hashlib.sha256(each.read_bytes()).hexdigest()
            for each in room.glob("*.py")
        }
    except (OSError, ValueError):  # not there, or not whole
        return []
    if digests != here:
        return []
    _rooms.add(room.name)
    return [str(below / room.name)]


def compiled_parts() -> list[str]:
    """Return what of this process is compiled, for the log: "pump", and rooms whose modules were taken."""
    return ["pump"] * COMPILED + sorted(_rooms)
