"""
System messages that wait: for a phone that the carrier cannot reach now, or for the commit of a STOP.

They go when the carrier tells that the phone is back (alert_notification), or after a while by themselves, or
never once their time is over. Offers do not wait: their moment has passed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from smsgate.flows.batches import Batch

# Messages that wait; each keeps its batch, some kilobytes, in memory. What does not fit is refused as before.
HELD_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Held:
    batch: Batch
    index: int
    due_at: float  # monotonic second at which it goes by itself


class Absent:
    """Which messages wait, by carrier and number; they stay in `Batch.held` meanwhile."""

    def __init__(self, held_max: int = HELD_MAX) -> None:
        self._held_max = held_max
        self._held: dict[tuple[int, int], list[_Held]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def hold(self, batch: Batch, index: int, due_at: float) -> bool:
        """Keep one message back; False: too many wait already, or its batch is over."""
        if self._count >= self._held_max or batch.key is not None or batch.ended is not None:
            return False
        batch.held.add(index)
        key = (batch.carrier_id, batch.msisdns[index])
        self._held.setdefault(key, []).append(_Held(batch, index, due_at))
        self._count += 1
        return True

    def reachable(self, carrier_id: int, msisdn: int) -> list[Batch]:
        """Let go what waits for this number, into `Batch.retry`; return the batches."""
        return self._let_go(self._held.pop((carrier_id, msisdn), []))

    def due(self, now: float) -> list[Batch]:
        """Let go what has waited long enough, and forget what was given up meanwhile."""
        going: list[_Held] = []
        for key, waiting in list(self._held.items()):
            over = [each for each in waiting if each.due_at <= now or each.index not in each.batch.held]
            if over:
                going += over
                rest = [each for each in waiting if each not in over]
                if rest:
                    self._held[key] = rest
                else:
                    del self._held[key]
        return self._let_go(going)

    def _let_go(self, going: Iterable[_Held]) -> list[Batch]:
        batches: dict[int, Batch] = {}
        for held in going:
            batch, index = held.batch, held.index
            self._count -= 1
            if index in batch.held:  # else its time ended while it waited
                batch.held.discard(index)
                batch.put_back([index])
                batches[batch.handle] = batch
        return list(batches.values())
