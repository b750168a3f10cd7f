"""
The pump: batches become submit_sm, answers become outcomes.

One instance serves all carriers of the process. Its writes happen inside the event loop's callbacks
(`fill`); what waits are the loops around it: claims (`claiming.py`) and flush (`flushing.py`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.flows.absent import Absent
from smsgate.flows.allowances import Allowances, Grants
from smsgate.flows.answers import sorted_out
from smsgate.flows.batches import FENCED_OFF, STOPPED, Batch, Chunk, never_written
from smsgate.flows.composing import NOWHERE, Made, bodies_where_possible
from smsgate.flows.fair_queue import FairQueue
from smsgate.flows.last_look import UNDECIDED_WAIT_S, LastLook
from smsgate.flows.outcomes import Cut, Outcomes
from smsgate.flows.ports import Carrier, StopSet
from smsgate.flows.records import CarrierReceipts, ChunkKey, Lane
from smsgate.flows.runs import by_batch
from smsgate.flows.sending_limits import FILL_MAX, SendingLimits
from smsgate.flows.timers import Timers

log = structlog.get_logger(__name__)

SLICE_MAX: Final = 200  # messages of a campaign before the next turn: the share evens out within some slices


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
        self._clock = clock
        self.look = LastLook(stops, clock)
        self._limits = limits
        self._batches: dict[int, Batch] = {}
        self._queues: defaultdict[tuple[int, Lane], FairQueue] = defaultdict(FairQueue)
        self._timers = Timers(clock, self.fill)
        self.elsewhere = self.unwritable = NOWHERE  # for what a carrier refused, or cannot write
        # Told of what was written of the interactive lane, and when.
        self.on_interactive: Callable[[Batch, Sequence[int], datetime], None] = lambda *_: None
        # What the database says is ours, until the flush that settles it is durable.
        self.held_chunks: set[ChunkKey] = set()
        self.held_messages: set[tuple[int, int]] = set()
        self.allowances = Allowances(limits)
        self.absent = Absent()
        self.draining = False
        self.uncommitted = 0
        self.work = asyncio.Event()  # there is something to flush
        self.wake_claims = asyncio.Event()
        self.wake_interactive = asyncio.Event()
        self.forgotten = False  # the database has claims of ours that nobody here answers for
        self.submitted = 0  # since the start, for metrics
        self.routed: Counter[tuple[str, int]] = Counter()  # of them, by (rule, carrier)

    def rates_changed(self) -> None:
        """Fit the steps of chunks to what their carriers are by now."""
        for chunk in {batch.chunk for batch in self._batches.values() if batch.chunk is not None}:
            self.allowances.fit(chunk, self._carriers)

    def grants(self) -> Grants:
        return self.allowances.grants(self.uncommitted, self._batches.values())

    # ------------------------------------------------------------ CarrierEvents (called by links)

    def answered(self, slots: Sequence[int], statuses: Sequence[int], smsc_ids: Sequence[bytes]) -> None:
        at = self._clock.now()
        for handle, indexes, codes, ids in by_batch(slots, statuses, smsc_ids):
            batch = self._batches[handle]
            if not any(codes):
                self._outcomes.accepted(batch, indexes, ids, at)
            else:
                self._mixed(batch, indexes, codes, ids, at)
            self._after_outcome(batch)
        self.work.set()

    def _mixed(
        self,
        batch: Batch,
        indexes: Sequence[int],
        codes: Sequence[int],
        ids: Sequence[bytes],
        at: datetime,
    ) -> None:
        carrier, now = self._carriers[batch.carrier_id], self._clock.monotonic()
        found = sorted_out(carrier, batch, indexes, codes, self.absent, now)
        if found.good:
            good = found.good
            self._outcomes.accepted(batch, [indexes[n] for n in good], [ids[n] for n in good], at)
        again, refused, elsewhere = found.again, found.refused, found.elsewhere
        self.uncommitted -= found.absent + len(again)
        if elsewhere and self.elsewhere(batch, [index for index, _ in elsewhere], carrier.name):
            self.uncommitted -= len(elsewhere)
            elsewhere = []
        for index, code in (*refused, *elsewhere):
            self._outcomes.refused(batch, index, code, at)
        if batch.ended is None:
            batch.put_back(again)
            self._outcomes.broken(batch, [index for index, _ in refused], at)
            if again:
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
        """Write as much as window, rate, cap, lanes and one turn allow now; interactive messages first."""
        if (carrier := self._carriers.get(carrier_id)) is None:
            return  # taken out meanwhile
        for lane in (Lane.INTERACTIVE, Lane.BULK):
            queue, enough = self._queues[carrier_id, lane], self.submitted + FILL_MAX
            while queue and self.submitted < enough and self._fill_from(carrier, lane, queue):
                pass
            if queue and self.submitted >= enough:
                self._timers.set(carrier_id, 0.0)
                return
            # What waits for a commit is woken by it; a timer would only spin until then. Whether there is
            # room is not asked again: a token that came since the last look would leave nobody to wake us.
            at_cap = lane is Lane.BULK and self.uncommitted >= self._limits.in_doubt_max
            if queue and not at_cap and (at := carrier.room_at(lane)) is not None:
                self._timers.set(carrier_id, at)

    def _fill_from(self, carrier: Carrier, lane: Lane, queue: FairQueue) -> bool:
        """Write one slice of the batch whose turn it is; False: there is no room."""
        batch = queue.head()
        now = self._clock.now()
        if (over := self.look.over(batch, now)) is not None and not batch.exhausted():
            self.give_up(batch, over, now)
        if self.look.is_stale(batch, now):
            self._read_anew(batch)
        if batch.paused or batch.written_out():
            queue.popleft().waiting = False
            if not batch.exhausted() and not batch.paused:
                self._ask(batch.chunk)
            return True
        room = min(carrier.room(lane), SLICE_MAX)
        if lane is Lane.BULK:
            room = min(room, self._limits.in_doubt_max - self.uncommitted)
        if room <= 0:
            return False
        before = self.submitted
        whole = self._write(carrier, lane, batch, room, now)
        queue.turn(batch, self.submitted - before)
        return whole

    def _write(self, carrier: Carrier, lane: Lane, batch: Batch, room: int, now: datetime) -> bool:
        """Write up to `room` messages of a batch; False: the carrier took less than it had room for."""
        indexes = batch.take(room)
        indexes = self._look_at(batch, indexes, now)
        indexes, bodies = self._bodies(carrier, batch, indexes, now)
        if not indexes:
            return True
        if batch.chunk is not None and batch.chunk.allowance - batch.reached() <= batch.chunk.step // 2:
            self._ask(batch.chunk)  # ahead of need, so that the writing does not wait for a commit
        taken = carrier.submit(bodies, batch.slots(indexes), lane, batch.segments_of(indexes))
        if taken < len(indexes):
            batch.put_back(indexes[taken:])
        self.uncommitted += taken
        self.submitted += taken
        self.routed[batch.way.route, batch.carrier_id] += taken
        if lane is Lane.INTERACTIVE and taken:
            self.on_interactive(batch, indexes[:taken], now)
        return taken == len(indexes)

    def _look_at(self, batch: Batch, indexes: list[int], now: datetime) -> list[int]:
        """Keep whom the merchant may write to at this last moment before the octets exist."""
        if self.look.changed(batch, indexes):
            batch.put_back(indexes)
            self._read_anew(batch)
            return []
        look = self.look.at(batch, indexes)
        if look is None:
            return indexes
        due_at = self._clock.monotonic() + UNDECIDED_WAIT_S
        full = [index for index in look.undecided if not self.absent.hold(batch, index, due_at)]
        self._never(batch, look.stopped + full, STOPPED, now)
        if full:
            self._outcomes.broken(batch, full, now)
        self._after_outcome(batch)
        return look.go

    def _read_anew(self, batch: Batch) -> None:
        """Write nothing more of this batch before its people's consent was read again."""
        batch.paused = True
        (self.wake_claims if batch.lane is Lane.BULK else self.wake_interactive).set()

    def _bodies(
        self, carrier: Carrier, batch: Batch, indexes: list[int], now: datetime
    ) -> tuple[list[int], list[bytes]]:
        """Return submit_sm bodies and whose they are; what the carrier cannot carry gets its outcome."""
        good, bodies, refused = bodies_where_possible(carrier, batch, indexes, self.unwritable)
        for index, reason in refused:
            self._never(batch, [index], reason, now)
        if refused:
            self._outcomes.broken(batch, [index for index, _ in refused], now)
            self._after_outcome(batch)
        return good, bodies

    def _ask(self, chunk: Chunk | None) -> None:
        """Have the allowance grow, unless another batch of the chunk holds it back."""
        if chunk is not None and self.allowances.wants(chunk):
            self._outcomes.touch(chunk)
            self.work.set()

    def let(self, chunk: Chunk, limit: int | None) -> None:
        """Have a paced chunk go on to `limit`; None: it has no pace any more."""
        chunk.limit = limit
        self._ask(chunk)

    def ask_again(self) -> None:
        """Ask for the chunks that were refused room under the cap."""
        for chunk in self.allowances.waiting():
            self._ask(chunk)

    # ------------------------------------------------------------ batches

    def batches(self) -> Collection[Batch]:
        return self._batches.values()

    def add(self, made: Made) -> None:
        """Take a claim over; beside each batch are (index, reason) of entries that must not be written."""
        for carrier_id in self._take_over(made):
            self.fill(carrier_id)

    def _take_over(self, made: Made) -> set[int]:
        """Return the carriers that have something to write."""
        at = self._clock.now()
        for batch, refused in made:
            self._batches[batch.handle] = batch
            if batch.chunk is not None:
                self.held_chunks.add(batch.chunk.key)
                self.allowances.fit(batch.chunk, self._carriers)
            else:
                self.held_messages.update((batch.merchant_id, message_id) for message_id in batch.message_ids)
            if refused:
                batch.skip = frozenset(index for index, _ in refused)
                for reason in sorted({reason for _, reason in refused}):
                    self._never(batch, [i for i, why in refused if why == reason], reason, at)
                self._after_outcome(batch)
            if batch.settled < batch.size:
                self._enqueue(batch)
        return {batch.carrier_id for batch, _ in made if batch.waiting}

    def hand_over(self, batch: Batch, count: int, made: Made) -> None:
        """Have others go on with `count` entries of `batch`, which answers for them no longer."""
        batch.settled += count
        for each, _ in made:
            each.paused = batch.paused
        for carrier_id in self._take_over(made):
            self._timers.set(carrier_id, 0.0)  # not at once: this may be in the middle of a `fill`
        self._after_outcome(batch)

    def resume(self, batch: Batch) -> None:
        if batch.paused and not (batch.chunk and batch.chunk.returned):
            batch.paused = False
            self._enqueue(batch)
            self.fill(batch.carrier_id)

    def give_back(self, chunk: Chunk) -> None:
        """
        Write no more of this chunk, and once nothing of it is in flight have the next flush release it.

        The same transaction has its last outcomes, so nobody claims again what was written.
        """
        for batch in chunk.batches:
            batch.paused = True
        if chunk.returned or chunk.in_flight():
            return
        chunk.returned = True
        for batch in chunk.batches:
            self._batches.pop(batch.handle, None)
        self._outcomes.touch(chunk)
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
        if cut.settled:
            self.ask_again()
        self.held_messages.difference_update(cut.flush.interactive_done)
        for progress in cut.flush.chunks:
            if progress.done or progress.released or progress.key in taken_over:
                self.held_chunks.discard(progress.key)
        for chunk in cut.touched:
            if chunk.returned:
                self.wake_claims.set()
            elif chunk.key in taken_over:
                self._fence_off(chunk)
            else:
                self.allowances.committed(chunk)
                for batch in chunk.batches:
                    if not batch.exhausted():
                        self._enqueue(batch)
        for carrier_id in list(self._carriers):
            self.fill(carrier_id)

    def _fence_off(self, chunk: Chunk) -> None:
        rest = sum(batch.size - batch.settled for batch in chunk.batches)
        log.error("chunk_taken_over", campaign_id=chunk.key.campaign_id, rest=rest)
        for batch in chunk.batches:
            batch.ended = FENCED_OFF
            self.give_up(batch, FENCED_OFF, self._clock.now())

    # ------------------------------------------------------------ stopping

    def drain(self) -> None:
        """Write nothing more; answers are still taken."""
        self.draining = True
        for queue in self._queues.values():
            queue.clear()
        self._timers.cancel()

    def forget(self) -> tuple[dict[ChunkKey, int | None], list[tuple[int, int]]]:
        """After the last flush: return what was never written, chunks (their borders) and messages."""
        left = never_written(list(self._batches.values()))
        for books in (self._batches, self.held_chunks, self.held_messages):
            books.clear()
        return left
