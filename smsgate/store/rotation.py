"""Whose turn it is, claim by claim, where more are waiting than a claim has room for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

SERVED_MAX: Final = 10_000  # stamps that are kept: who loses its own was served longest ago, and stays first
NEVER: Final = 0  # stamps are greater


class Rotation:
    """
    Who was served longest ago comes first in the next claim.

    Who comes first gets what division leaves over, so whoever always came first would have most, and the last
    ones nothing. Each has a stamp of its own: not everybody waits for the same carrier, and one place in the
    order of ids, moved by each claim, would let one carrier's claims decide whose turn it is at another.
    """

    def __init__(self, column: str) -> None:
        """`column` has the ids."""
        self._column = column
        self._served: dict[int, int] = {}  # id -> number of its last turn; the oldest first
        self._turns = NEVER

    def begun(self, rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
        """Return the rows in the order of their turns."""
        column, served = self._column, self._served
        return sorted(rows, key=lambda row: (served.get(row[column], NEVER), row[column]))

    def got_rest(
        self, row: asyncpg.Record, messages: Sequence[asyncpg.Record], now: datetime, *, could_go: bool
    ) -> None:
        """
        Note who was given more than its even part.

        Where nothing `could_go` for want of a carrier's room, what is over is no turn. Else it is one: who
        has much of it takes the places of a claim, and others must have theirs.
        """
        if not could_go and all(message["expires_at"] <= now for message in messages):
            return
        self._turns += 1
        self._served.pop(row[self._column], None)
        self._served[row[self._column]] = self._turns
        if len(self._served) > SERVED_MAX:
            del self._served[next(iter(self._served))]


def even_part(limit: int, waiting: int) -> tuple[int, bool]:
    """Return the first one's share of `limit` among so many, and whether it is more than the last one's."""
    even, rest = divmod(limit, waiting)
    return even + (rest > 0), rest > 0
