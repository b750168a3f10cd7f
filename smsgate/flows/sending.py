"""
The pump: batches become submit_sm, answers become outcomes.

One instance serves all carriers of the process. Its writes happen inside the event loop's callbacks
(`fill`); what waits are the loops around it: claims (`claiming.py`) and flush (`flushing.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.errors import BodyError, TextError
from smsgate.flows.absent import Absent
from smsgate.flows.batches import FENCED_OFF, Batch
from smsgate.flows.composing import bodies_of
from smsgate.flows.outcomes import Cut, Outcomes, by_batch
from smsgate.flows.ports import Carrier, StopSet
from smsgate.flows.records import CarrierReceipts, ChunkKey, Lane
from smsgate.flows.stops import HOLD_MAX_S

log = structlog.get_logger(__name__)

SLICE_MAX: Final = 200  # messages of one campaign before the next campaign's turn: fairness


@dataclass(frozen=True, slots=True)
class SendingLimits:
    in_doubt_max: int = 4_000  # messages written and not yet committed: what a crash can leave in doubt
    poll_s: float = 0.25  # pause, resume, cancel and STOPs of another process are seen within this
    allowance_s: float = 0.25  # how many seconds of a carrier's rate one allowance step covers
    allowance_min: int = 5  # at a slow carrier a kill must not leave minutes of sending in doubt
    allowance_max: int = 1_000


class Pump:
    """Owner of every batch in memory. Not thread-safe: everything runs in one event loop."""

    def __init__(
        self,
        carriers: Mapping[int, Carrier],
        outcomes: Outcomes,
        stops: StopSet,
        clock: Clock,
        *,
        limits: SendingLimits,
    ) -> None:
        self._carriers = carriers
        self._outcomes = outcomes
        self._stops = stops
        self._clock = clock
        self._limits = limits
        self._batches: dict[int, Batch] = {}
        self._queues: dict[tuple[int, Lane], deque[Batch]] = {
            (carrier_id, lane): deque() for carrier_id in carriers for lane in Lane
        }
        self._timers: dict[int, tuple[float, asyncio.TimerHandle]] = {}  # loop's second, what rings at it
        # What the database says is ours, until the flush that settles it is durable.
        self.held_chunks: set[ChunkKey] = set()
        self.held_messages: set[tuple[int, int]] = set()
        rate = max((carrier.rate_per_s for carrier in carriers.values()), default=0)
        self.allowance_step = int(
            min(limits.allowance_max, max(limits.allowance_min, rate * limits.allowance_s))
        )
        self.absent = Absent()
        self.draining = False
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
        self,
        batch: Batch,
        indexes: Sequence[int],
        codes: Sequence[int],
        ids: Sequence[bytes],
        at: datetime,
    ) -> None:
        retry, now = self._carriers[batch.carrier_id].retry_statuses, self._clock.monotonic()
        good = [n for n, code in enumerate(codes) if code == 0]
        if good:
            self._outcomes.accepted(batch, [indexes[n] for n in good], [ids[n] for n in good], at)
        again = []
        carrier = self._carriers[batch.carrier_id]
        for index, code in zip(indexes, codes, strict=True):
            if code in retry and batch.may_retry(index, now):
                again.append(index)
            elif code in carrier.unreachable_statuses and self.absent.hold(
                batch, index, now + carrier.unreachable_wait_s
            ):
                self.uncommitted -= 1
            elif code:
                self._outcomes.refused(batch, index, code, at)
        if not again:
            return
        self.uncommitted -= len(again)
        if batch.ended is None:
            batch.put_back(again)
            self._enqueue(batch)
        else:
            self._never(batch, again, batch.ended, at)

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
        ids = self._carriers[receipts.carrier_id].receipt_ids
        known = ids.form
        self._outcomes.receipts(receipts, ids, self._clock.now())
        if ids.form is not known:
            log.info("receipt_ids_learned", carrier_id=receipts.carrier_id, form=str(ids.form))
        self.work.set()

    def reachable(self, carrier_id: int, msisdn: int) -> None:
        self._go_again(self.absent.reachable(carrier_id, msisdn))

    def absent_due(self) -> None:
        """Let system messages go again that have waited long enough for their phone."""
        self._go_again(self.absent.due(self._clock.monotonic()))

    def _go_again(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._enqueue(batch)
            self.fill(batch.carrier_id)

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
            # What waits for a commit is woken by it; a timer would only spin until then. Whether there is
            # room is not asked again: a token that came since the last look would leave nobody to wake us.
            if queue and not self._at_cap(lane) and (at := carrier.room_at(lane)) is not None:
                self._fill_at(carrier_id, at)

    def _at_cap(self, lane: Lane) -> bool:
        return lane is Lane.BULK and self.uncommitted >= self._limits.in_doubt_max

    def _fill_from(self, carrier: Carrier, lane: Lane, queue: deque[Batch]) -> bool:
        """Write one slice of the first batch; False: there is no room."""
        batch = queue[0]
        now = self._clock.now()
        if now >= batch.expires_at and not batch.exhausted():
            self.give_up(batch, "expired", now)
        if self.is_stale(batch):
            if batch.key is None:
                self.give_up(batch, "expired", now)
            else:
                batch.paused = True
                self.wake_claims.set()
        if batch.paused or batch.written_out():
            queue.popleft().waiting = False
            if not batch.exhausted() and not batch.paused:
                self._outcomes.touch(batch)
                self.work.set()
            elif batch.bodies is not None:
                self.wake_interactive.set()  # for what its ESME submitted since
            return True
        room = min(carrier.room(lane), SLICE_MAX)
        if lane is Lane.BULK:
            room = min(room, self._limits.in_doubt_max - self.uncommitted)
        if room <= 0 or not self._write(carrier, lane, batch, room, now):
            return False
        queue.rotate(-1)
        return True

    def _write(self, carrier: Carrier, lane: Lane, batch: Batch, room: int, now: datetime) -> bool:
        """Write up to `room` messages of a batch; False: the carrier took less than it had room for."""
        indexes = batch.take(room)
        if lane is Lane.BULK:
            indexes = self._without_stops(batch, indexes, now)
        indexes, bodies = self._bodies(carrier, batch, indexes, now)
        if not indexes:
            return True
        if batch.key is not None:
            self._ask_ahead(batch)
        taken = carrier.submit(bodies, batch.slots(indexes), lane)
        if taken < len(indexes):
            batch.put_back(indexes[taken:])
        self.uncommitted += taken
        self.submitted += taken
        return taken == len(indexes)

    def _without_stops(self, batch: Batch, indexes: list[int], now: datetime) -> list[int]:
        """Keep whom the merchant may write to at this last moment before the octets exist."""
        merchant, sender = self._stops.held(batch.merchant_id), self._stops.held(batch.sender)
        if not merchant and not sender:
            return indexes
        msisdns = batch.msisdns
        stopped = [i for i in indexes if msisdns[i] in merchant or msisdns[i] in sender]
        if not stopped:
            return indexes
        self._never(batch, stopped, "stopped", now)
        self._after_outcome(batch)
        gone = set(stopped)
        return [i for i in indexes if i not in gone]

    def _bodies(
        self, carrier: Carrier, batch: Batch, indexes: list[int], now: datetime
    ) -> tuple[list[int], list[bytes]]:
        """Return submit_sm bodies and whose they are; what the carrier cannot carry gets its outcome."""
        try:
            return indexes, bodies_of(carrier, batch, indexes)
        except (TextError, BodyError):
            pass  # one text is enough to refuse the slice: now one by one
        good: list[int] = []
        bodies: list[bytes] = []
        for index in indexes:
            try:
                bodies += bodies_of(carrier, batch, [index])
            except (TextError, BodyError) as exc:
                self._never(batch, [index], exc.code, now)
            else:
                good.append(index)
        self._after_outcome(batch)
        return good, bodies

    def _ask_ahead(self, batch: Batch) -> None:
        """Have the allowance grow before it is used up, so that the writing does not wait for a commit."""
        if batch.allowance < batch.message_count and batch.allowance_left() <= self.allowance_step // 2:
            self._outcomes.touch(batch)
            self.work.set()

    def _fill_at(self, carrier_id: int, at: float) -> None:
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.001, at - self._clock.monotonic())
        if carrier_id in self._timers:
            due, timer = self._timers[carrier_id]  # uvloop's handle of what is due at once tells no instant
            if due <= when:
                return
            timer.cancel()
        self._timers[carrier_id] = when, loop.call_at(when, self._timed_fill, carrier_id)

    def _timed_fill(self, carrier_id: int) -> None:
        del self._timers[carrier_id]
        self.fill(carrier_id)

    # ------------------------------------------------------------ batches

    def batches(self) -> Collection[Batch]:
        return self._batches.values()

    def add(self, batch: Batch, refused: Sequence[tuple[int, str]]) -> None:
        """Take a claim over; `refused` are (index, reason) of entries that must not be written."""
        at = self._clock.now()
        self._batches[batch.handle] = batch
        if batch.key is not None:
            self.held_chunks.add(batch.key)
        else:
            self.held_messages.update((batch.merchant_id, message_id) for message_id in batch.message_ids)
        if refused:
            batch.skip = frozenset(index for index, _ in refused)
            for reason in sorted({reason for _, reason in refused}):
                self._never(batch, [i for i, why in refused if why == reason], reason, at)
            self._after_outcome(batch)
        if not self.draining and batch.settled < batch.size:
            self._enqueue(batch)
            self.fill(batch.carrier_id)

    def resume(self, batch: Batch) -> None:
        if batch.paused and not batch.returned:
            batch.paused = False
            self._enqueue(batch)
            self.fill(batch.carrier_id)

    def is_stale(self, batch: Batch) -> bool:
        """Return whether STOPs may be forgotten that came after this chunk's consent was read."""
        if batch.lane is not Lane.BULK:
            return False
        read_at, overflowed = batch.consent_read
        return self._clock.monotonic() - read_at > HOLD_MAX_S or overflowed != self._stops.overflowed

    def give_back(self, batch: Batch) -> None:
        """
        Write no more of this chunk, and once nothing of it is in flight have the next flush release it.

        The same transaction has its last outcomes, so nobody claims again what was written.
        """
        batch.paused = True
        if batch.in_flight():
            return
        batch.returned = True
        del self._batches[batch.handle]
        self._outcomes.touch(batch)
        self.work.set()

    def give_up(self, batch: Batch, reason: str, at: datetime) -> None:
        """Write no more of this batch; what is in flight still gets its answer."""
        if batch.ended is None or not batch.exhausted():
            batch.ended = reason
            self._never(batch, batch.drop_rest(), reason, at)
            self._after_outcome(batch)

    def _never(self, batch: Batch, indexes: Sequence[int], reason: str, at: datetime) -> None:
        """Settle entries that were not written and never will be by us."""
        if reason == FENCED_OFF:
            batch.settled += len(indexes)
        else:
            self._outcomes.not_sent(batch, indexes, reason, at)
        self.work.set()

    def _after_outcome(self, batch: Batch) -> None:
        if batch.settled >= batch.size:
            self._batches.pop(batch.handle, None)
            self.wake_claims.set()

    def _enqueue(self, batch: Batch) -> None:
        if not batch.waiting and not batch.paused and not self.draining:
            batch.waiting = True
            self._queues[batch.carrier_id, batch.lane].append(batch)

    # ------------------------------------------------------------ after a commit (called by flushing)

    def committed(self, cut: Cut, taken_over: AbstractSet[ChunkKey]) -> None:
        """A flush is durable: release the cap, and write on where the allowance grew."""
        self.uncommitted -= cut.settled
        self.held_messages.difference_update(cut.flush.interactive_done)
        for progress in cut.flush.chunks:
            if progress.done or progress.released or progress.key in taken_over:
                self.held_chunks.discard(progress.key)
        for batch in cut.touched:
            if batch.returned:
                self.wake_claims.set()
                continue
            if batch.key in taken_over:
                log.error("chunk_taken_over", campaign_id=batch.campaign_id, rest=batch.size - batch.settled)
                batch.ended = FENCED_OFF
                self.give_up(batch, FENCED_OFF, self._clock.now())
                continue
            batch.allowance = batch.allowance_asked
            if not batch.exhausted():
                self._enqueue(batch)
        for carrier_id in self._carriers:
            self.fill(carrier_id)

    # ------------------------------------------------------------ stopping

    def drain(self) -> None:
        """Write nothing more; answers are still taken."""
        self.draining = True
        for queue in self._queues.values():
            queue.clear()
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def forget(self) -> tuple[list[ChunkKey], list[tuple[int, int]]]:
        """After the last flush: return what was never written, chunks and (merchant, message)."""
        chunks = [batch.key for batch in self._batches.values() if batch.key is not None]
        messages = [
            (batch.merchant_id, batch.message_ids[index])
            for batch in self._batches.values()
            if batch.key is None
            for index in batch.drop_rest()
        ]
        self._batches.clear()
        self.held_chunks.clear()
        self.held_messages.clear()
        return chunks, messages
