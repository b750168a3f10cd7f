"""Whose turn it is, claim by claim, where more are waiting than a claim has room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

FIRST: Final = 0  # ids are greater


class Rotation:
    """
    Round-robin by id: a claim begins after the last one who got what division left over.

    Who comes first gets it, so whoever always came first would have most, and the last ones nothing.
    """

    def __init__(self, column: str) -> None:
        """`column` has the ids, in ascending order."""
        self._column = column
        self._last = FIRST

    def begun(self, rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
        """Return the rows in the order of their turns."""
        column, last = self._column, self._last
        return [
            *(row for row in rows if row[column] > last),
            *(row for row in rows if row[column] <= last),
        ]

    def got_rest(self, row: asyncpg.Record) -> None:
        """Note who was given more than its even part: the next claim begins after it."""
        self._last = row[self._column]


def even_part(limit: int, waiting: int) -> tuple[int, bool]:
    """Return the first one's share of `limit` among so many, and whether it is more than the last one's."""
    even, rest = divmod(limit, waiting)
    return even + (rest > 0), rest > 0
