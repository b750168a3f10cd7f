"""
What happened since the last flush, gathered as columns while sockets are read.

Everything here runs inside `data_received`: no await, no lookup per message that a batch can do once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple

from smsgate.billing.postings import PostingKey, posting
from smsgate.flows.batches import SLOT_BITS, Batch, index_of
from smsgate.flows.ledger import ledger_lines
from smsgate.flows.records import (
    STATUS_NOT_SENT,
    STATUS_UNKNOWN,
    Ack,
    CarrierReceipts,
    ChunkKey,
    ChunkProgress,
    Flush,
    PostingLine,
)
from smsgate.protocol.receipt_states import FINAL, ReceiptState, state_of_unsent

# Accepted messages whose receipt is awaited in memory: about 200 octets each, so 100 MB at most. The
# oldest go first; their receipts are matched in the database instead (receipt_unmatched).
REFERENCES_MAX: Final = 500_000


class _Charge(NamedTuple):
    """Accepted messages that cost the same: they are one posting of a flush."""

    merchant_id: int
    campaign_id: int | None
    carrier_id: int
    sell_item_id: int
    sell_micros: int
    cost_item_id: int
    cost_micros: int
    segments: int
    currency: str
    cost_currency: str


class _Origin:
    """What a receipt needs of its batch; lives while receipts of the batch are awaited."""

    __slots__ = ("awaited", "campaign_id", "merchant_id", "message_ids", "reported")

    def __init__(self, batch: Batch) -> None:
        self.merchant_id = batch.merchant_id
        self.campaign_id = batch.campaign_id
        self.message_ids = batch.message_ids
        self.reported = batch.bodies is not None  # its ESME may want to hear of it
        self.awaited = 0


class References:
    """Message ids of SMSCs to slots, for receipts; the newest message wins a reused id."""

    def __init__(self, entries_max: int = REFERENCES_MAX) -> None:
        self._entries_max = entries_max
        self._slots: dict[tuple[int, bytes], int] = {}
        self._origins: dict[int, _Origin] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, batch: Batch, smsc_ids: Sequence[bytes], slots: Sequence[int]) -> None:
        origin = self._origins.setdefault(batch.handle, _Origin(batch))
        origin.awaited += len(slots)
        carrier_id, known = batch.carrier_id, self._slots
        for smsc_id, slot in zip(smsc_ids, slots, strict=True):
            key = (carrier_id, smsc_id)
            if key in known:
                self._end(known.pop(key))
            known[key] = slot
        while len(known) > self._entries_max:
            self._end(known.pop(next(iter(known))))

    def find(
        self, carrier_id: int, smsc_id: bytes, *, final: bool
    ) -> tuple[int, int | None, int, bool] | None:
        """
        Return (merchant, campaign, message id, whether an ESME submitted it).

        A final receipt ends the wait for others.
        """
        key = (carrier_id, smsc_id)
        slot = self._slots.get(key)
        if slot is None:
            return None
        origin = self._origins[slot >> SLOT_BITS]
        if final:
            del self._slots[key]
            self._end(slot)
        return origin.merchant_id, origin.campaign_id, origin.message_ids[index_of(slot)], origin.reported

    def _end(self, slot: int) -> None:
        origin = self._origins[slot >> SLOT_BITS]
        origin.awaited -= 1
        if origin.awaited == 0:
            del self._origins[slot >> SLOT_BITS]


class Cut(NamedTuple):
    """A flush that is closed, and what its commit sets free."""

    flush: Flush
    acks: list[Ack]
    settled: int  # written messages whose outcome it holds: so much of the cap
    touched: list[Batch]  # whose allowance or end it commits


class Outcomes:
    """The next flush in the making."""

    def __init__(self, next_id: Callable[[], int]) -> None:
        self._next_id = next_id
        self._number = 0
        self._charges: Counter[_Charge] = Counter()
        self.references = References()
        self._acks: list[Ack] = []
        self._written_settled = 0
        self._touched: dict[int, Batch] = {}
        self.flush = Flush(number=0)

    def empty(self) -> bool:
        flush = self.flush
        return not (
            len(flush.sent)
            or len(flush.receipts)
            or len(flush.unmatched)
            or len(flush.reports)
            or self._acks
            or self._touched
            or flush.interactive_done
        )

    def accepted(self, batch: Batch, indexes: Sequence[int], smsc_ids: Sequence[bytes], at: datetime) -> None:
        """submit_sm_resp 0: the carrier took them; they are charged."""
        sells, costs = batch.sell_micros, batch.cost_micros
        sell_items, cost_items = batch.sell_item_ids, batch.cost_item_ids
        self._sent(
            batch,
            indexes,
            status=0,
            smsc_ids=smsc_ids,
            sell=([sell_items[i] for i in indexes], [sells[i] for i in indexes]),
            cost=([cost_items[i] for i in indexes], [costs[i] for i in indexes]),
            reason=None,
            at=at,
        )
        head = (batch.merchant_id, batch.campaign_id, batch.carrier_id)
        tail = (batch.currency, batch.cost_currency)
        segments = batch.segments
        keys = Counter(
            (sell_items[i], sells[i], cost_items[i], costs[i], 1 if segments is None else segments[i])
            for i in indexes
        )
        for key, count in keys.items():
            self._charges[_Charge(*head, *key, *tail)] += count
        self._count(batch, "accepted", len(indexes))
        self.references.add(batch, smsc_ids, batch.slots(indexes))
        self._written_settled += len(indexes)

    def refused(self, batch: Batch, index: int, status: int, at: datetime) -> None:
        """A command_status that is final for this message; nothing is charged."""
        self._sent(batch, [index], status=status, smsc_ids=[None], sell=None, cost=None, reason=None, at=at)
        self._count(batch, "refused", 1)
        self._not_opened(batch, [index])
        self._report(batch, [index], ReceiptState.REJECTD, at, b"%03d" % min(status, 999))
        self._written_settled += 1

    def unknown(self, batch: Batch, indexes: Sequence[int], at: datetime) -> None:
        """No answer came: in doubt, listed apart, never charged and never sent again."""
        none = [None] * len(indexes)
        self._sent(
            batch, indexes, status=STATUS_UNKNOWN, smsc_ids=none, sell=None, cost=None, reason=None, at=at
        )
        self._count(batch, "unknown", len(indexes))
        self._report(batch, indexes, ReceiptState.UNKNOWN, at)
        self._written_settled += len(indexes)

    def not_sent(self, batch: Batch, indexes: Sequence[int], reason: str, at: datetime) -> None:
        """Never written to a socket, and never will be."""
        if not indexes:
            return
        none = [None] * len(indexes)
        self._sent(
            batch, indexes, status=STATUS_NOT_SENT, smsc_ids=none, sell=None, cost=None, reason=reason, at=at
        )
        self._count(batch, "not_sent", len(indexes))
        self._not_opened(batch, indexes)
        self._report(batch, indexes, state_of_unsent(reason), at)

    def receipts(self, receipts: CarrierReceipts, at: datetime) -> None:
        """Match receipts of one read by carrier and message id; the rest is matched in the database."""
        columns, unmatched = self.flush.receipts, self.flush.unmatched
        for smsc_id, state, error in zip(receipts.smsc_ids, receipts.states, receipts.errors, strict=True):
            found = self.references.find(receipts.carrier_id, smsc_id, final=state in FINAL)
            if found is None:
                unmatched.carrier_ids.append(receipts.carrier_id)
                unmatched.unmatched_ids.append(self._next_id())
                unmatched.smsc_ids.append(smsc_id)
                unmatched.states.append(state)
                unmatched.errors.append(error)
                unmatched.received_at.append(at)
                continue
            merchant_id, campaign_id, message_id, reported = found
            if reported:
                self.flush.reports.add(merchant_id, self._next_id(), message_id, state, error, at)
            columns.merchant_ids.append(merchant_id)
            columns.message_ids.append(message_id)
            columns.segments.append(1)
            columns.states.append(state)
            columns.errors.append(error)
            columns.received_at.append(at)
            if campaign_id is not None and state in FINAL:
                kind = "delivered" if state == ReceiptState.DELIVRD else "failed"
                counter = (merchant_id, campaign_id, kind)
                self.flush.counters[counter] = self.flush.counters.get(counter, 0) + 1
        self._acks.append(receipts.ack)

    def touch(self, batch: Batch) -> None:
        """Have the next flush commit this chunk's allowance."""
        self._touched[batch.handle] = batch

    def cut(self, allowance_step: int, at: datetime) -> Cut:
        """Close the flush in the making and begin the next."""
        flush, acks, settled, touched = (
            self.flush,
            self._acks,
            self._written_settled,
            list(self._touched.values()),
        )
        self._number += 1
        flush.number = self._number
        for key, count in self._charges.items():
            flush.postings += _posting_lines(self._next_id(), key, count, at)
        for batch in touched:
            if batch.key is not None:
                flush.chunks.append(_progress(batch, batch.key, allowance_step))
        self.flush, self._acks, self._written_settled = Flush(number=0), [], 0
        self._charges, self._touched = Counter(), {}
        return Cut(flush, acks, settled, touched)

    def _sent(
        self,
        batch: Batch,
        indexes: Sequence[int],
        *,
        status: int,
        smsc_ids: Sequence[bytes | None],
        sell: tuple[list[int], list[int]] | None,
        cost: tuple[list[int], list[int]] | None,
        reason: str | None,
        at: datetime,
    ) -> None:
        count, sent, message_ids = len(indexes), self.flush.sent, batch.message_ids
        if batch.key is not None:
            self.flush.chunk_rows.append((batch.key, len(sent), count))
        zeros = [0] * count
        sell_items, sells = sell or (zeros, zeros)
        cost_items, costs = cost or (zeros, zeros)
        sent.merchant_ids += [batch.merchant_id] * count
        sent.message_ids += [message_ids[i] for i in indexes]
        sent.segments += [1] * count
        sent.segment_counts += [1] * count
        sent.carrier_ids += [batch.carrier_id] * count
        sent.statuses += [status] * count
        sent.smsc_ids += smsc_ids
        sent.sell_item_ids += sell_items
        sent.sell_micros += sells
        sent.cost_item_ids += cost_items
        sent.cost_micros += costs
        sent.reasons += [reason] * count
        sent.sent_at += [at] * count
        batch.settled += count
        if batch.key is None:
            self.flush.interactive_done += [(batch.merchant_id, message_ids[i]) for i in indexes]
        elif batch.settled >= batch.size:
            self._touched[batch.handle] = batch

    def _count(self, batch: Batch, kind: str, count: int) -> None:
        if batch.campaign_id is not None and batch.key is not None:
            key = (batch.merchant_id, batch.campaign_id, kind)
            self.flush.counters[key] = self.flush.counters.get(key, 0) + count

    def _report(
        self, batch: Batch, indexes: Sequence[int], state: int, at: datetime, error: bytes = b""
    ) -> None:
        """Have the ESME that submitted these hear of them; which it asked for, the store knows."""
        if batch.bodies is not None:
            for i in indexes:
                self.flush.reports.add(
                    batch.merchant_id, self._next_id(), batch.message_ids[i], state, error, at
                )

    def _not_opened(self, batch: Batch, indexes: Sequence[int]) -> None:
        if batch.key is not None:
            ids = batch.message_ids
            self.flush.offers_not_opened += [(batch.msisdns[i], batch.sender, ids[i]) for i in indexes]


def by_batch(
    slots: Sequence[int], statuses: Sequence[int], smsc_ids: Sequence[bytes]
) -> list[tuple[int, list[int], Sequence[int], Sequence[bytes]]]:
    """Split the columns of one read into runs of one batch: (handle, indexes, statuses, smsc ids)."""
    if len({slot >> SLOT_BITS for slot in slots}) == 1:
        first = (slots[0] >> SLOT_BITS) << SLOT_BITS
        return [(slots[0] >> SLOT_BITS, [slot - first for slot in slots], statuses, smsc_ids)]
    runs: list[tuple[int, list[int], Sequence[int], Sequence[bytes]]] = []
    start = 0
    for handle, run in groupby(slots, key=lambda slot: slot >> SLOT_BITS):
        indexes = [index_of(slot) for slot in run]
        end = start + len(indexes)
        runs.append((handle, indexes, statuses[start:end], smsc_ids[start:end]))
        start = end
    return runs


def _progress(batch: Batch, key: ChunkKey, allowance_step: int) -> ChunkProgress:
    """Ask for what was written and one step more: the step bounds what a crash leaves in doubt."""
    done = batch.settled >= batch.size
    if batch.returned:  # nothing beyond what was written is in doubt: the next claim asks for its own
        return ChunkProgress(key, batch.reached(), done=done, released=True)
    asked = max(batch.allowance_asked, batch.reached() + allowance_step)
    batch.allowance_asked = min(batch.message_count, asked)
    return ChunkProgress(key, batch.allowance_asked, done=done)


def _posting_lines(posting_id: int, charge: _Charge, count: int, at: datetime) -> list[PostingLine]:
    key = PostingKey(
        charge.merchant_id,
        charge.campaign_id,
        charge.sell_item_id,
        charge.currency,
        charge.carrier_id if charge.cost_item_id else None,
        charge.cost_item_id or None,
        charge.cost_currency if charge.cost_item_id else None,
    )
    made = posting(
        key, count, count * charge.segments, charge.sell_micros * count, charge.cost_micros * count
    )
    return ledger_lines(made, posting_id, "mt", charge.carrier_id, at)
