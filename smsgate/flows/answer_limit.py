"""
How often the gateway answers one person apart from order and STOP texts.

Two machines that answer each other fall silent after ANSWERS_A_DAY texts, or HELPS_A_DAY if they ask for
help.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import date, datetime
from typing import Final

ANSWERS_A_DAY: Final = 2
HELPS_A_DAY: Final = 10  # HELP works in every state and on each day; machines that help each other end, too
PERSONS_MAX: Final = 200_000  # ~150 octets each: 30 MB; the oldest are forgotten first


class AnswerLimit:
    """Counts per MSISDN and UTC day; in memory, so a restart allows as many again."""

    def __init__(self) -> None:
        self._counts: OrderedDict[int, tuple[date, int]] = OrderedDict()

    def given(self, msisdn: int, at: datetime) -> int:
        """Return how many answers this person had today."""
        day, count = self._counts.get(msisdn, (None, 0))
        return count if day == at.date() else 0

    def count(self, msisdn: int, at: datetime) -> None:
        """Count one answer, once it is certain to go out."""
        self._counts[msisdn] = (at.date(), self.given(msisdn, at) + 1)
        self._counts.move_to_end(msisdn)
        if len(self._counts) > PERSONS_MAX:
            self._counts.popitem(last=False)
