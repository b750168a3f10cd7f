"""
The last look at consent, between a claim and the octets.

Marketing is held by any STOP since consent was read. A text that a person may refuse but which needs no
consent to offers (an appointment, a parcel) may go on after PAUSE or STOP OFFERS: where its person took
anything back since consent was read, consent is read anew and decides. So it is with what nobody may refuse
(an order's confirmation): its person may have been erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from smsgate.campaigns.offer_states import Drop
from smsgate.clock import Clock
from smsgate.flows.batches import Batch
from smsgate.flows.ports import StopSet
from smsgate.flows.records import Lane
from smsgate.flows.stops import HOLD_MAX_S

# A STOP that waits for its commit is looked at again after this; nearly always it is decided by then.
UNDECIDED_WAIT_S: Final = 1.0
_NEVER: Final = float("-inf")


class Look(NamedTuple):
    """What was found about some entries of a batch: who may be written to now, and why others may not."""

    go: list[int]
    stopped: list[int]
    undecided: list[int]


class LastLook:
    def __init__(self, stops: StopSet, clock: Clock) -> None:
        self.stops = stops
        self._clock = clock

    def now(self) -> tuple[float, int]:
        """
        Return what stands for a reading of consent that begins now: `Batch.consent_read`.

        Taken before the reading: what happens between it and our look at STOPs counts as missed.
        """
        now = self._clock.monotonic()
        self.stops.forget_old(now)
        return now, self.stops.overflowed

    def is_stale(self, batch: Batch, now: datetime) -> bool:
        """Return whether consent must be read anew: hours ended, or STOPs since it may be forgotten."""
        read_at, overflowed = batch.consent_read
        forgotten = self._clock.monotonic() - read_at > HOLD_MAX_S or overflowed != self.stops.overflowed
        return forgotten or (batch.closes_at is not None and now >= batch.closes_at)

    def over(self, batch: Batch, now: datetime) -> Drop | None:
        """Return why nothing more of this batch may leave: its end, or its campaign's since the claim."""
        if now >= batch.expires_at:
            return Drop.EXPIRED
        if batch.campaign_id is None:
            return None
        return self.stops.ended(batch.merchant_id, batch.campaign_id)

    def changed(self, batch: Batch, indexes: Sequence[int]) -> bool:
        """Return whether consent must be read anew because one of these people took something back since."""
        if batch.lane is Lane.BULK:
            return False
        merchant_id, read_at, msisdns = batch.merchant_id, batch.consent_read[0], batch.msisdns
        return any(self.stops.since(merchant_id, msisdns[i], read_at) for i in indexes)

    def at(self, batch: Batch, indexes: list[int]) -> Look | None:
        """Return what holds for these entries at this moment; None: all of them may go."""
        msisdns, ids = batch.msisdns, batch.message_ids
        if batch.lane is Lane.BULK:
            stopped = self._held(batch, indexes)
            undecided: list[int] = []
        else:
            waiting = self.stops.undecided(batch.sender)
            stopped = [i for i in indexes if ids[i] in batch.refused_ids]
            undecided = [
                i
                for i in indexes
                if batch.refusable and msisdns[i] in waiting and ids[i] not in batch.refused_ids
            ]
        if not stopped and not undecided:
            return None
        gone = {*stopped, *undecided}
        return Look([i for i in indexes if i not in gone], stopped, undecided)

    def _held(self, batch: Batch, indexes: list[int]) -> list[int]:
        """Return whose marketing a STOP holds, decided since consent was read or not decided yet."""
        merchant, sender = self.stops.held(batch.merchant_id), self.stops.held(batch.sender)
        waiting = self.stops.undecided(batch.sender)
        if not merchant and not sender and not waiting:
            return []
        msisdns, read_at = batch.msisdns, batch.consent_read[0]
        return [
            i
            for i in indexes
            if msisdns[i] in waiting
            or merchant.get(msisdns[i], _NEVER) >= read_at
            or sender.get(msisdns[i], _NEVER) >= read_at
        ]
