"""
Pacing: a campaign with a pace writes no further than what it was granted.

The border is that of the chunk's allowance, which every write minds already: nothing is asked per message.
Grants are taken in the database (`campaigns.pacing`), so all processes share one pace.
"""

from __future__ import annotations

from collections import defaultdict

from smsgate.campaigns.pacing import grant
from smsgate.clock import Clock
from smsgate.flows.batches import Chunk
from smsgate.flows.ports import SendingStore
from smsgate.flows.sending import Pump


class Pacing:
    def __init__(self, store: SendingStore, pump: Pump, clock: Clock) -> None:
        self._store = store
        self._pump = pump
        self._clock = clock

    async def grant_once(self) -> bool:
        """One step of a loop: let paced chunks that have written all they may write on; look again later."""
        hungry = self._hungry()
        if not hungry:
            return False
        for pace in await self._store.paces(list(hungry)):
            chunks = hungry[pace.merchant_id, pace.campaign_id]
            if pace.per_minute is None:
                for chunk in chunks:
                    self._pump.let(chunk, None)
                continue
            ungranted = [chunk.ungranted() for chunk in chunks]
            wanted = sum(len(ids) for ids in ungranted)
            granted = grant(pace.per_minute, pace.paced_until, self._clock.now(), wanted)
            if granted is None or not await self._store.take_pace(pace, granted.paced_until):
                continue
            left = granted.messages
            for chunk, ids in zip(chunks, ungranted, strict=True):
                if left < len(ids):
                    self._pump.let(chunk, ids[left] - chunk.message_id_base)
                    break
                self._pump.let(chunk, chunk.message_count)
                left -= len(ids)
        return False

    def _hungry(self) -> dict[tuple[int, int], list[Chunk]]:
        """Return by campaign the chunks that wait for a grant, oldest first."""
        chunks = {
            batch.chunk.key: batch.chunk
            for batch in self._pump.batches()
            if batch.chunk is not None and batch.chunk.limit is not None and not batch.paused
        }
        found: defaultdict[tuple[int, int], list[Chunk]] = defaultdict(list)
        for key, chunk in chunks.items():
            if chunk.limit is not None and chunk.limit <= chunk.reached() < chunk.message_count:
                found[key.merchant_id, key.campaign_id].append(chunk)
        return found
