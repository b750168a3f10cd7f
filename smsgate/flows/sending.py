"""
The pump: claims become submit_sm, answers become outcomes.

One instance serves all carriers of the process. Its writes happen inside the event loop's callbacks
(`fill`); its waits are three loops: claims, interactive messages, flush (`flushing.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.flows.batches import Batch
from smsgate.flows.composing import Composer
from smsgate.flows.outcomes import Outcomes, by_batch
from smsgate.flows.ports import Carrier, SendingStore, StopSet
from smsgate.flows.records import CampaignState, CarrierReceipts, ChunkClaim, ChunkKey, InteractiveClaim, Lane

log = structlog.get_logger(__name__)

SLICE_MAX: Final = 200  # messages of one campaign before the next campaign's turn: fairness
PREFETCH: Final = 2  # chunks of one campaign in memory: one being written, one ready
BATCHES_MAX: Final = 200  # batches in memory: 200 x 1,000 x ~300 octets = 60 MB
INTERACTIVE_MAX: Final = 500  # system messages taken by one claim


@dataclass(frozen=True, slots=True)
class SendingLimits:
    in_doubt_max: int = 4_000  # messages written and not yet committed: what a crash can leave in doubt
    poll_s: float = 0.25  # pause, resume and cancel of another process are seen within this
    allowance_s: float = 0.5  # how many seconds of a carrier's rate one allowance step covers
    allowance_min: int = 50
    allowance_max: int = 1_000


class Pump:
    """Owner of every batch in memory. Not thread-safe: everything runs in one event loop."""

    def __init__(
        self,
        store: SendingStore,
        carriers: Mapping[int, Carrier],
        composer: Composer,
        outcomes: Outcomes,
        stops: StopSet,
        clock: Clock,
        *,
        owner: int,
        limits: SendingLimits,
    ) -> None:
        self._store = store
        self._carriers = carriers
        self._composer = composer
        self._outcomes = outcomes
        self._stops = stops
        self._clock = clock
        self._owner = owner
        self._limits = limits
        self._batches: dict[int, Batch] = {}
        self._queues: dict[tuple[int, Lane], deque[Batch]] = {
            (carrier_id, lane): deque() for carrier_id in carriers for lane in Lane
        }
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._draining = False
        self.uncommitted = 0
        self.work = asyncio.Event()  # there is something to flush
        self.wake_claims = asyncio.Event()
        self.wake_interactive = asyncio.Event()
        self.submitted = 0  # since the start, for metrics

    # ------------------------------------------------------------ CarrierEvents (called by links)

    def answered(
        self, carrier_id: int, slots: Sequence[int], statuses: Sequence[int], smsc_ids: Sequence[bytes]
    ) -> None:
        at = self._clock.now()
        for handle, indexes, codes, ids in by_batch(slots, statuses, smsc_ids):
            batch = self._batches[handle]
            if not any(codes):
                self._outcomes.accepted(batch, indexes, ids, at)
            else:
                self._mixed(batch, indexes, codes, ids, at)
            self._after_outcome(batch)
        self.work.set()
        self.fill(carrier_id)

    def _mixed(
        self, batch: Batch, indexes: list[int], codes: list[int], ids: list[bytes], at: datetime
    ) -> None:
        retry = self._carriers[batch.carrier_id].retry_statuses
        good = [n for n, code in enumerate(codes) if code == 0]
        if good:
            self._outcomes.accepted(batch, [indexes[n] for n in good], [ids[n] for n in good], at)
        again = []
        for index, code in zip(indexes, codes, strict=True):
            if code in retry and batch.may_retry(index):
                again.append(index)
            elif code:
                self._outcomes.refused(batch, index, code, at)
        if again:
            batch.put_back(again)
            self.uncommitted -= len(again)
            self._enqueue(batch)

    def in_doubt(self, carrier_id: int, slots: Sequence[int]) -> None:
        at = self._clock.now()
        none: list[bytes] = [b""] * len(slots)
        for handle, indexes, _, _ in by_batch(slots, [0] * len(slots), none):
            batch = self._batches[handle]
            self._outcomes.unknown(batch, indexes, at)
            self._after_outcome(batch)
        log.warning("submits_in_doubt", carrier_id=carrier_id, messages=len(slots))
        self.work.set()

    def receipts(self, receipts: CarrierReceipts) -> None:
        self._outcomes.receipts(receipts, self._clock.now())
        self.work.set()

    def room_changed(self, carrier_id: int) -> None:
        self.fill(carrier_id)

    # ------------------------------------------------------------ filling

    def fill(self, carrier_id: int) -> None:
        """Write as much as window, rate, cap and lanes allow now; interactive messages first."""
        carrier = self._carriers[carrier_id]
        for lane in (Lane.INTERACTIVE, Lane.BULK):
            queue = self._queues[carrier_id, lane]
            while queue and self._fill_from(carrier, lane, queue):
                pass
            if queue and (at := carrier.room_at(lane)) is not None:
                self._fill_at(carrier_id, at)

    def _fill_from(self, carrier: Carrier, lane: Lane, queue: deque[Batch]) -> bool:
        """Write one slice of the first batch; False: there is no room."""
        batch = queue[0]
        now = self._clock.now()
        if now >= batch.expires_at and not batch.exhausted():
            self._give_up(batch, "expired", now)
        if batch.paused or batch.written_out():
            queue.popleft().waiting = False
            if not batch.exhausted() and not batch.paused:
                self._outcomes.touch(batch)
                self.work.set()
            return True
        room = min(carrier.room(lane), SLICE_MAX)
        if lane is Lane.BULK:
            room = min(room, self._limits.in_doubt_max - self.uncommitted)
        if room <= 0:
            return False
        self._write(carrier, lane, batch, room, now)
        queue.rotate(-1)
        return True

    def _write(self, carrier: Carrier, lane: Lane, batch: Batch, room: int, now: datetime) -> None:
        indexes = batch.take(room)
        if lane is Lane.BULK and len(self._stops):
            merchant_id, sender, msisdns, stops = batch.merchant_id, batch.sender, batch.msisdns, self._stops
            stopped = [
                i for i in indexes if (merchant_id, msisdns[i]) in stops or (sender, msisdns[i]) in stops
            ]
            if stopped:
                indexes = [i for i in indexes if i not in set(stopped)]
                self._outcomes.not_sent(batch, stopped, "stopped", now)
                self._after_outcome(batch)
                self.work.set()
        if not indexes:
            return
        if batch.key is not None:
            self._ask_ahead(batch)
        bodies = carrier.bodies(
            batch.sender,
            [batch.msisdns[i] for i in indexes],
            [batch.texts[i] for i in indexes],
            batch.data_coding,
        )
        taken = carrier.submit(bodies, batch.slots(indexes), lane)
        if taken < len(indexes):
            batch.put_back(indexes[taken:])
        self.uncommitted += taken
        self.submitted += taken

    def _ask_ahead(self, batch: Batch) -> None:
        """Have the allowance grow before it is used up, so that the writing does not wait for a commit."""
        left = batch.allowance - (batch.message_ids[batch.next - 1] - batch.message_id_base + 1)
        if batch.allowance < batch.message_count and left <= self.allowance_step // 2:
            self._outcomes.touch(batch)
            self.work.set()

    def _fill_at(self, carrier_id: int, at: float) -> None:
        if carrier_id in self._timers:
            return
        loop = asyncio.get_running_loop()
        delay = max(0.001, at - self._clock.monotonic())
        self._timers[carrier_id] = loop.call_later(delay, self._timed_fill, carrier_id)

    def _timed_fill(self, carrier_id: int) -> None:
        del self._timers[carrier_id]
        self.fill(carrier_id)

    def _give_up(self, batch: Batch, reason: str, at: datetime) -> None:
        self._outcomes.not_sent(batch, batch.drop_rest(), reason, at)
        self._after_outcome(batch)
        self.work.set()

    def _after_outcome(self, batch: Batch) -> None:
        if batch.settled >= batch.size:
            self._batches.pop(batch.handle, None)
            self.wake_claims.set()

    def _enqueue(self, batch: Batch) -> None:
        if not batch.waiting and not batch.paused and not self._draining:
            batch.waiting = True
            self._queues[batch.carrier_id, batch.lane].append(batch)

    # ------------------------------------------------------------ after a commit (called by flushing)

    def committed(self, settled: int, batches: Sequence[Batch]) -> None:
        """A flush is durable: release the cap, and write on where the allowance grew."""
        self.uncommitted -= settled
        for batch in batches:
            batch.allowance = batch.allowance_asked
            if not batch.exhausted():
                self._enqueue(batch)
        for carrier_id in self._carriers:
            self.fill(carrier_id)

    # ------------------------------------------------------------ claims

    async def claim_once(self) -> bool:
        """One round over the campaigns that send; True: something was claimed."""
        if self._draining:
            return False
        known = {(b.merchant_id, b.campaign_id) for b in self._batches.values() if b.campaign_id and b.key}
        states = await self._store.campaign_states([(m, c) for m, c in known if c is not None])
        self._apply(states)
        claimed = False
        for state in states:
            if state.state == "sending":
                claimed |= await self._claim_for(state)
        for merchant_id, campaign_id in await self._store.finish_campaigns(self._clock.now()):
            log.info("campaign_finished", merchant_id=merchant_id, campaign_id=campaign_id)
        return claimed

    async def _claim_for(self, state: CampaignState) -> bool:
        held = sum(
            1
            for b in self._batches.values()
            if b.campaign_id == state.campaign_id and b.merchant_id == state.merchant_id and not b.exhausted()
        )
        if held >= PREFETCH or len(self._batches) >= BATCHES_MAX:
            return False
        claim = await self._store.claim_chunk(
            state.merchant_id,
            state.campaign_id,
            owner=self._owner,
            allowance_step=self.allowance_step,
            now=self._clock.now(),
        )
        if claim is None:
            return False
        await self._add_chunk(claim)
        return True

    @property
    def allowance_step(self) -> int:
        limits = self._limits
        rate = max((carrier.rate_per_s for carrier in self._carriers.values()), default=0)
        return int(min(limits.allowance_max, max(limits.allowance_min, rate * limits.allowance_s)))

    async def _add_chunk(self, claim: ChunkClaim) -> None:
        batch, refused = await self._composer.chunk(claim)
        if batch.size:
            self._add(batch, refused)

    def _apply(self, states: Sequence[CampaignState]) -> None:
        by_key = {(s.merchant_id, s.campaign_id): s.state for s in states}
        for batch in list(self._batches.values()):
            if batch.key is None or batch.campaign_id is None:
                continue
            state = by_key.get((batch.merchant_id, batch.campaign_id))
            if state == "cancelled":
                self._give_up(batch, "cancelled", self._clock.now())
            elif state == "paused":
                batch.paused = True
            elif batch.paused:
                batch.paused = False
                self._enqueue(batch)
                self.fill(batch.carrier_id)

    async def interactive_once(self) -> bool:
        """Take system messages that wait; True: there may be more."""
        if self._draining:
            return False
        claims = await self._store.claim_interactive(owner=self._owner, limit=INTERACTIVE_MAX)
        for claim in claims:
            await self._add_interactive(claim)
        return any(len(claim.message_ids) == INTERACTIVE_MAX for claim in claims)

    async def _add_interactive(self, claim: InteractiveClaim) -> None:
        for batch, refused in await self._composer.interactive(claim):
            self._add(batch, refused)

    def _add(self, batch: Batch, refused: Sequence[tuple[int, str]]) -> None:
        at = self._clock.now()
        self._batches[batch.handle] = batch
        if refused:
            batch.skip = frozenset(index for index, _ in refused)
            for reason in {reason for _, reason in refused}:
                self._outcomes.not_sent(batch, [i for i, why in refused if why == reason], reason, at)
            self.work.set()
            self._after_outcome(batch)
        if not self._draining:
            self._enqueue(batch)
            self.fill(batch.carrier_id)

    # ------------------------------------------------------------ stopping

    def drain(self) -> None:
        """Write nothing more; answers are still taken."""
        self._draining = True
        for queue in self._queues.values():
            queue.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def release(self) -> None:
        """After the last flush: give back what was never written, for the next start or another node."""
        chunks: list[ChunkKey] = []
        messages: list[tuple[int, int]] = []
        for batch in self._batches.values():
            if batch.key is not None:
                chunks.append(batch.key)
            else:
                rest = batch.drop_rest()
                messages += [(batch.merchant_id, batch.message_ids[i]) for i in rest]
        await self._store.release_chunks(chunks, owner=self._owner)
        await self._store.release_interactive(messages, owner=self._owner)
        log.info("sending_released", chunks=len(chunks), interactive=len(messages))
        self._batches.clear()
