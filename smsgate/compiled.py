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

    They count when each was made of the very source that lies here: after an upgrade that forgot them a
    reply is read by the new rules, if slower.
    """
    if _SPEC is None or _SPEC.origin is None:
        return []
    below = Path(_SPEC.origin).parent
    try:
        digests = json.loads(below.joinpath("sources.json").read_bytes())
        ours = {name: digest for name, digest in digests.items() if name.startswith(f"{room.name}/")}
        sources = {name: room.parent.joinpath(f"{name}.py").read_bytes() for name in ours}
    except (OSError, ValueError):  # not there, or not whole
        return []
    if not ours or any(hashlib.sha256(sources[name]).hexdigest() != digest for name, digest in ours.items()):
        return []
    _rooms.add(room.name)
    return [str(below / room.name)]


def compiled_parts() -> list[str]:
    """Return what of this process is compiled, for the log: "pump", and rooms whose modules were taken."""
    return ["pump"] * COMPILED + sorted(_rooms)
