"""
STOPs of the last hours.

A claim reads consent when it commits; a STOP can come between that and the write to the socket. So
every STOP is put here once it is committed, and the sending flow looks here before the octets exist.
Older STOPs need no entry: a claim made after them does not choose the number, and no claim is written from
for longer than `HOLD_MAX_S`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Final

from smsgate.flows.batches import Batch
from smsgate.flows.ports import StopSet

# A chunk is written from for so long after consent was read; then (slow carrier, link down, database away)
# it is given back, and whoever claims it reads consent anew.
HOLD_MAX_S: Final = 3600.0
# Longer than the hold, so that every STOP since a claim is here as long as the claim is written from.
KEEP_S: Final = 2 * HOLD_MAX_S
# 150 octets an entry: 75 MB at most.
ENTRIES_MAX: Final = 500_000
# What goes when it is full, oldest first. All at once, for each time voids every claim in memory.
OVERFLOW_DROP: Final = ENTRIES_MAX // 10
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
        self.overflowed = 0  # how often STOPs were forgotten before their time

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
        if len(self._entries) > ENTRIES_MAX:
            self.overflowed += 1
            for oldest in list(islice(self._entries, OVERFLOW_DROP)):
                self.remove(*oldest)
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest] > now - KEEP_S:
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


def stopped_among(stops: StopSet, batch: Batch, indexes: Sequence[int]) -> list[int]:
    """Return those of a batch's messages whose recipient must not be written to any more."""
    merchant, sender = stops.held(batch.merchant_id), stops.held(batch.sender)
    if not merchant and not sender:
        return []
    msisdns = batch.msisdns
    return [i for i in indexes if msisdns[i] in merchant or msisdns[i] in sender]
