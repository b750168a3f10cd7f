"""
STOPs of the last hours, and campaigns that ended in them.

A claim reads consent when it commits; a STOP can come between that and the write to the socket. So
every STOP is put here once it is committed, and the sending flow looks here before the octets exist
(`last_look.py`). It holds what was read until then and nothing else, for a claim made after it does not
choose the number; so no START lifts it (docs/decisions/0065). What was read longer than `HOLD_MAX_S` ago is
read anew. The same holds of a campaign whose offer was withdrawn.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Final

from smsgate.campaigns.offer_states import Drop

# A claim is written from for so long after consent was read; then (slow carrier, link down, database away)
# it is given back, and whoever claims it reads consent anew.
HOLD_MAX_S: Final = 3600.0
# Longer than the hold, so that every STOP since a claim is here as long as the claim is written from.
KEEP_S: Final = 2 * HOLD_MAX_S
# 150 octets an entry: 75 MB at most.
ENTRIES_MAX: Final = 500_000
# What goes when it is full, oldest first. All at once, for each time voids every claim in memory.
OVERFLOW_DROP: Final = ENTRIES_MAX // 10
_NOBODY: Final[frozenset[int]] = frozenset()
_NONE: Final[Mapping[int, float]] = {}
ENDED_MAX: Final = 100_000  # campaigns, of 150 octets each; what is forgotten voids what was read before


class RecentStops:
    """
    Set of (merchant_id, msisdn), and of (sender number, msisdn), with an age; bounded.

    A text that reads as STOP holds its sender number at once, undecided, before its transaction; the
    merchants that it concerns follow with the commit. An entry holds marketing. Whether a text that needs no
    consent to offers may still go is not known here: the database is asked about whoever said something.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[int | str, int], float] = OrderedDict()
        self._held: dict[int | str, dict[int, float]] = {}
        self._undecided: dict[str, set[int]] = {}
        self._waiting: OrderedDict[tuple[str, int], float] = OrderedDict()  # the same, by age
        self._ended: OrderedDict[tuple[int, int], tuple[Drop, float]] = OrderedDict()  # by age
        self.overflowed = 0  # how often STOPs were forgotten before their time, or may not have been heard

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries or key in self._waiting

    def held(self, whose: int | str) -> Mapping[int, float]:
        """
        Return when each number's last STOP to a merchant (id) or a sender number (text) came, monotonic s.

        No marketing for which consent was read by then may leave to it.
        """
        return self._held.get(whose, _NONE)

    def undecided(self, sender: str) -> AbstractSet[int]:
        """Return the numbers whose STOP to this sender number waits for its commit."""
        return self._undecided.get(sender, _NOBODY)

    def since(self, merchant_id: int, msisdn: int, at: float) -> bool:
        """Return whether this person took something back from the merchant at or after `at` (monotonic)."""
        return self._entries.get((merchant_id, msisdn), float("-inf")) >= at

    def add(self, whose: int | str, msisdn: int, now: float, *, marketing: bool = True) -> None:
        """
        Remember a STOP towards a merchant (id) or a sender number (text); `now` in monotonic seconds.

        With `marketing` False what was taken back is another consent: offers go on.
        """
        key = (whose, msisdn)
        self._entries[key] = now
        if marketing:
            self._held.setdefault(whose, {})[msisdn] = now
        self._entries.move_to_end(key)
        if len(self._entries) > ENTRIES_MAX:
            self.overflowed += 1
            for oldest in list(islice(self._entries, OVERFLOW_DROP)):
                self._forget(*oldest)
        self.forget_old(now)

    def forget_old(self, now: float) -> None:
        """Forget STOPs that are older than all that was read, also where no other comes."""
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest] > now - KEEP_S:
                return
            self._forget(*oldest)

    def hold(self, sender: str, msisdn: int, now: float) -> None:
        """Hold everything that a person may refuse from this sender number, until its STOP is decided."""
        self._undecided.setdefault(sender, set()).add(msisdn)
        self._waiting[sender, msisdn] = now
        self._waiting.move_to_end((sender, msisdn))
        if len(self._waiting) > ENTRIES_MAX:
            self.overflowed += 1
            for oldest in list(islice(self._waiting, OVERFLOW_DROP)):
                self.release(*oldest)
        while self._waiting[oldest := next(iter(self._waiting))] <= now - KEEP_S:
            self.release(*oldest)

    def release(self, sender: str, msisdn: int) -> None:
        """End what `hold` began, and nothing that was decided."""
        self._waiting.pop((sender, msisdn), None)
        if (undecided := self._undecided.get(sender)) is not None:
            undecided.discard(msisdn)
            if not undecided:
                del self._undecided[sender]

    def end(self, merchant_id: int, campaign_id: int, why: Drop, now: float) -> None:
        """Remember that nothing more of a campaign may leave."""
        self._ended[merchant_id, campaign_id] = why, now
        self._ended.move_to_end((merchant_id, campaign_id))
        if len(self._ended) > ENDED_MAX:
            self.overflowed += 1
            self._ended.popitem(last=False)
        while next(iter(self._ended.values()))[1] <= now - KEEP_S:
            self._ended.popitem(last=False)

    def ended(self, merchant_id: int, campaign_id: int) -> Drop | None:
        """Return why nothing more of a campaign may leave, if so."""
        found = self._ended.get((merchant_id, campaign_id))
        return None if found is None else found[0]

    def missed(self) -> None:
        """Void all consent that was read before: STOPs of other processes may not have been heard."""
        self.overflowed += 1

    def _forget(self, whose: int | str, msisdn: int) -> None:
        self._entries.pop((whose, msisdn), None)
        if (held := self._held.get(whose)) is not None:
            held.pop(msisdn, None)
            if not held:
                del self._held[whose]
