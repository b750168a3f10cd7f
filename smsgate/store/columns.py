"""Rows as the parallel arrays that set-wise statements take."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any


def columns(rows: Sequence[object], *names: str) -> list[list[Any]]:
    """Return one list per attribute, in the order of the rows; a name may be dotted."""
    return [list(map(attrgetter(name), rows)) for name in names]
