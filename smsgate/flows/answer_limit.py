"""
How often the gateway answers one person apart from order and STOP texts.

Two machines that answer each other fall silent after ANSWERS_A_DAY texts.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import date, datetime
from typing import Final

ANSWERS_A_DAY: Final = 2
PERSONS_MAX: Final = 200_000  # ~150 octets each: 30 MB; the oldest are forgotten first


class AnswerLimit:
    """Counts per MSISDN and UTC day; in memory, so a restart allows two more."""

    def __init__(self) -> None:
        self._counts: OrderedDict[int, tuple[date, int]] = OrderedDict()

    def take(self, msisdn: int, at: datetime) -> bool:
        """Return whether one more answer may go to this person today, and count it."""
        day = at.date()
        last, count = self._counts.get(msisdn, (day, 0))
        if last != day:
            count = 0
        if count >= ANSWERS_A_DAY:
            return False
        self._counts[msisdn] = (day, count + 1)
        self._counts.move_to_end(msisdn)
        if len(self._counts) > PERSONS_MAX:
            self._counts.popitem(last=False)
        return True
