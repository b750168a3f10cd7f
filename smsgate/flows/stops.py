"""
STOPs of the last minutes.

A claim reads consent when it commits; a STOP can come between that and the write to the socket. So
every STOP is put here once it is committed, and the sending flow looks here before the octets exist.
Older STOPs need no entry: a claim made after them does not choose the number.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set as AbstractSet
from typing import Final

# A chunk can wait this long in memory between its claim and its last write (slow carrier, link down).
KEEP_S: Final = 24 * 3600
# 150 octets an entry: 75 MB at most; when full the oldest goes, and `overflowed` tells the operator.
ENTRIES_MAX: Final = 500_000
_NOBODY: Final[frozenset[int]] = frozenset()


class RecentStops:
    """
    Set of (merchant_id, msisdn), and of (sender number, msisdn), with an age; bounded.

    A text that reads as STOP holds its sender number at once, before its transaction; the merchants that
    it concerns follow with the commit.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[int | str, int], float] = OrderedDict()
        self._held: dict[int | str, set[int]] = {}
        self.overflowed = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def held(self, whose: int | str) -> AbstractSet[int]:
        """Return the numbers that a merchant (id) or a sender number (text) must not write to."""
        return self._held.get(whose, _NOBODY)

    def add(self, whose: int | str, msisdn: int, now: float) -> None:
        """Remember a STOP towards a merchant (id) or a sender number (text); `now` in monotonic seconds."""
        key = (whose, msisdn)
        self._entries[key] = now
        self._held.setdefault(whose, set()).add(msisdn)
        self._entries.move_to_end(key)
        while self._entries:
            oldest = next(iter(self._entries))
            if len(self._entries) > ENTRIES_MAX:
                self.overflowed += 1
            elif self._entries[oldest] > now - KEEP_S:
                return
            self.remove(*oldest)

    def remove(self, whose: int | str, msisdn: int) -> None:
        """Forget a STOP: the person asked to get messages again."""
        if self._entries.pop((whose, msisdn), None) is None:
            return
        held = self._held[whose]
        held.discard(msisdn)
        if not held:
            del self._held[whose]
