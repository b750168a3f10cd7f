"""Batches that wait for one lane of one carrier: merchants by weight, a merchant's campaigns alike."""

from __future__ import annotations

from collections import deque

from smsgate.campaigns.shares import Shares
from smsgate.flows.batches import Batch


class _Line:
    """What waits of one merchant."""

    __slots__ = ("by_campaign", "campaigns")

    def __init__(self) -> None:
        self.campaigns: Shares[int | None] = Shares()
        self.by_campaign: dict[int | None, deque[Batch]] = {}


class FairQueue:
    """The share is counted in messages written. A merchant's campaigns share its part evenly."""

    def __init__(self) -> None:
        self._merchants: Shares[int] = Shares()
        self._lines: dict[int, _Line] = {}
        self._head: Batch | None = None  # found once per turn

    def __bool__(self) -> bool:
        return len(self._merchants) > 0

    def append(self, batch: Batch) -> None:
        line = self._lines.setdefault(batch.merchant_id, _Line())
        if batch.merchant_id not in self._merchants:
            self._merchants.join(batch.merchant_id)
        if batch.campaign_id not in line.campaigns:
            line.campaigns.join(batch.campaign_id)
            line.by_campaign[batch.campaign_id] = deque()
        line.by_campaign[batch.campaign_id].append(batch)

    def head(self) -> Batch:
        """Return whose turn it is; the same one until `turn` or `popleft`."""
        if self._head is None:
            line = self._lines[self._merchants.next()]
            self._head = line.by_campaign[line.campaigns.next()][0]
        return self._head

    def turn(self, batch: Batch, written: int) -> None:
        """Charge a batch, the head, with what was written of it, and let the next one have its turn."""
        self._head = None
        line = self._lines.get(batch.merchant_id)
        if line is None or batch.campaign_id not in line.campaigns:
            return  # the writing itself has emptied the queue
        self._merchants.charge(batch.merchant_id, written, batch.weight)
        line.campaigns.charge(batch.campaign_id, written)
        if line.by_campaign[batch.campaign_id][0] is batch:
            line.by_campaign[batch.campaign_id].rotate(-1)

    def popleft(self) -> Batch:
        """Take the head out."""
        batch, self._head = self.head(), None
        line = self._lines[batch.merchant_id]
        batches = line.by_campaign[batch.campaign_id]
        batches.popleft()
        if not batches:
            del line.by_campaign[batch.campaign_id]
            line.campaigns.leave(batch.campaign_id)
        if not line.by_campaign:
            del self._lines[batch.merchant_id]
            self._merchants.leave(batch.merchant_id)
        return batch

    def clear(self) -> None:
        while self:
            self.popleft()
