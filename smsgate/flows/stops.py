"""
STOPs of the last minutes.

A claim reads consent when it commits; a STOP can come between that and the write to the socket. So
every STOP is put here once it is committed, and the sending flow looks here before the octets exist.
Older STOPs need no entry: a claim made after them does not choose the number.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

# A chunk can wait this long in memory between its claim and its last write (slow carrier, link down).
KEEP_S: Final = 24 * 3600
# 72 octets an entry: 36 MB at most; when full the oldest goes, and `overflowed` tells the operator.
ENTRIES_MAX: Final = 500_000


class RecentStops:
    """
    Set of (merchant_id, msisdn), and of (sender number, msisdn), with an age; bounded.

    A text that reads as STOP holds its sender number at once, before its transaction; the merchants that
    it concerns follow with the commit.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[int | str, int], float] = OrderedDict()
        self.overflowed = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def add(self, whose: int | str, msisdn: int, now: float) -> None:
        """Remember a STOP towards a merchant (id) or a sender number (text); `now` in monotonic seconds."""
        key = (whose, msisdn)
        self._entries[key] = now
        self._entries.move_to_end(key)
        while self._entries:
            oldest = next(iter(self._entries))
            if len(self._entries) > ENTRIES_MAX:
                self.overflowed += 1
            elif self._entries[oldest] > now - KEEP_S:
                return
            del self._entries[oldest]

    def remove(self, whose: int | str, msisdn: int) -> None:
        """Forget a STOP: the person asked to get messages again."""
        self._entries.pop((whose, msisdn), None)
