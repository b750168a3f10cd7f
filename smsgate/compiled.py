"""
The compiled pump, where it is installed (`make fast`): what plain Python does per message, in C.

Plain Python is the reference, and does everything without it (docs/decisions/0039).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

COMPILED = find_spec("smsgate_fast") is not None

if TYPE_CHECKING or COMPILED:
    from smsgate_fast import pump
else:
    pump = None

__all__ = ["COMPILED", "pump"]
