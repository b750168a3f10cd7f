"""
What happened since the last flush, gathered as columns while sockets are read.

Everything here runs inside `data_received`: no await, no lookup per message that a batch can do once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import repeat
from typing import NamedTuple

from smsgate.alike import is_same
from smsgate.flows.allowances import Grants
from smsgate.flows.batches import STOPPED, Batch, Chunk
from smsgate.flows.ledger import Charge
from smsgate.flows.long_texts import PART_REFUSED
from smsgate.flows.receipt_matching import ReceiptMatching
from smsgate.flows.records import (
    STATUS_NOT_SENT,
    STATUS_UNKNOWN,
    Ack,
    CarrierReceipts,
    ChunkKey,
    ChunkProgress,
    Flush,
)
from smsgate.flows.runs import part_of, span_of
from smsgate.ids import quarter_hour_of
from smsgate.protocol.message_ids import ReceiptIds
from smsgate.protocol.receipt_states import ReceiptState, state_of_unsent


class Cut(NamedTuple):
    """A flush that is closed, and what its commit sets free."""

    flush: Flush
    acks: list[Ack]
    settled: int  # written messages whose outcome it holds: so much of the cap
    touched: list[Chunk]  # whose allowance or end it commits, as `flush.chunks`

    def let_go(self) -> None:
        """After the commit: have chunks that are done hold their batches no longer, which hold them."""
        for progress, chunk in zip(self.flush.chunks, self.touched, strict=True):
            if progress.done:
                chunk.batches.clear()


class Outcomes:
    """The next flush in the making."""

    def __init__(self, next_id: Callable[[], int]) -> None:
        self._next_id = next_id
        self._number = 0
        self._matching = ReceiptMatching(next_id)
        self.references = self._matching.references
        self.receipt_counts = self._matching.counts
        self._acks: list[Ack] = []
        self._written_settled = 0
        self._touched: dict[ChunkKey, Chunk] = {}
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

    def gathered(self) -> tuple[int, int]:
        """Return how many outcomes and how many receipts the next flush has by now."""
        flush = self.flush
        return len(flush.sent), len(flush.receipts) + len(flush.unmatched) + self._matching.early

    def accepted(self, batch: Batch, indexes: Sequence[int], smsc_ids: Sequence[bytes], at: datetime) -> None:
        """submit_sm_resp 0: the carrier took them; they are charged."""
        place = span_of(indexes)
        sell_items, sells = (
            part_of(batch.sell_item_ids, indexes, place),
            part_of(batch.sell_micros, indexes, place),
        )
        cost_items, costs = (
            part_of(batch.cost_item_ids, indexes, place),
            part_of(batch.cost_micros, indexes, place),
        )
        self._sent(
            batch,
            indexes,
            status=0,
            smsc_ids=smsc_ids,
            sell=(sell_items, sells),
            cost=(cost_items, costs),
            reason=None,
            at=at,
        )
        if batch.delivered:
            sell_items, sells = self._charged_now(batch, sell_items, sells)
            cost_items, costs = self._charged_now(batch, cost_items, costs)
        head = (batch.merchant_id, batch.campaign_id, batch.carrier_id)
        tail = (batch.currency, batch.cost_currency)
        segments = repeat(1) if batch.segments is None else part_of(batch.segments, indexes, place)
        ids = batch.message_ids
        quarter = quarter_hour_of(ids[0])
        at_once = quarter == quarter_hour_of(ids[-1])  # a chunk is accepted at one instant
        quarters = repeat(quarter) if at_once else [quarter_hour_of(ids[i]) for i in indexes]
        columns = (sell_items, sells, cost_items, costs)
        if at_once and batch.segments is None and all(map(is_same, columns)):
            price = (sell_items[0], sells[0], cost_items[0], costs[0])
            self.flush.charges[Charge(*head, *price, 1, quarter, *tail)] += len(indexes)
        else:
            rows = zip(zip(*columns, strict=True), segments, quarters, strict=False)
            for (prices, size, at_quarter), count in Counter(rows).items():
                self.flush.charges[Charge(*head, *prices, size, at_quarter, *tail)] += count
        self._count(batch, "accepted", len(indexes))
        self.references.add(batch, smsc_ids, batch.slots(indexes))
        self._written_settled += len(indexes)

    def _charged_now(
        self, batch: Batch, items: Sequence[int], micros: Sequence[int]
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Leave out what a receipt will charge, if it says DELIVRD."""
        self.flush.delivered_items |= batch.delivered
        now = [item not in batch.delivered for item in items]
        return (
            [item if charged else 0 for item, charged in zip(items, now, strict=True)],
            [each if charged else 0 for each, charged in zip(micros, now, strict=True)],
        )

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
        if reason == STOPPED and batch.chunk is None and batch.bodies is None:
            self.flush.withheld += [(batch.merchant_id, batch.message_ids[i]) for i in indexes]

    def broken(self, batch: Batch, lost: Sequence[int], at: datetime) -> None:
        """Parts that will not arrive: what waits of their texts is not sent, for it would be paid in vain."""
        self.not_sent(batch, batch.drop_broken(lost), PART_REFUSED, at)

    def receipts(self, receipts: CarrierReceipts, ids: ReceiptIds, at: datetime) -> None:
        """
        Match receipts of one read by carrier and message id; the rest is matched in the database.

        `ids` are the carrier's, and may learn its form here.
        """
        self._matching.match(self.flush, receipts, ids, at)
        self._acks.append(receipts.ack)

    def touch(self, chunk: Chunk) -> None:
        """Have the next flush commit this chunk's allowance."""
        self._touched[chunk.key] = chunk

    def cut(self, grants: Grants, at: datetime) -> Cut:
        """Close the flush in the making and begin the next."""
        self._matching.match_early(self.flush)
        flush, acks, settled, touched = (
            self.flush,
            self._acks,
            self._written_settled,
            list(self._touched.values()),
        )
        self._number += 1
        flush.number, flush.at = self._number, at
        flush.chunks += [_progress(chunk, grants) for chunk in touched]
        self.flush, self._acks, self._written_settled = Flush(number=0), [], 0
        self._touched = {}
        return Cut(flush, acks, settled, touched)

    def _sent(
        self,
        batch: Batch,
        indexes: Sequence[int],
        *,
        status: int,
        smsc_ids: Sequence[bytes | None],
        sell: tuple[Sequence[int], Sequence[int]] | None,
        cost: tuple[Sequence[int], Sequence[int]] | None,
        reason: str | None,
        at: datetime,
    ) -> None:
        count, sent, message_ids = len(indexes), self.flush.sent, batch.message_ids
        if batch.key is not None:
            self.flush.chunk_rows.append((batch.key, len(sent), count))
        zeros: Sequence[int] = [0] * count
        sell_items, sells = sell or (zeros, zeros)
        cost_items, costs = cost or (zeros, zeros)
        sent.merchant_ids += [batch.merchant_id] * count
        place = span_of(indexes)
        sent.message_ids += part_of(message_ids, indexes, place)
        parts, segments = batch.parts, batch.segments
        sent.segment_counts += [1] * count if segments is None else [segments[i] for i in indexes]
        if parts is None:
            sent.segments += [1] * count
        else:
            first = len(sent.segments)
            sent.segments += [parts.numbers[i] for i in indexes]
            sent.parts.update(
                {first + n: parts.counts[i] for n, i in enumerate(indexes) if parts.counts[i] > 1}
            )
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
        if batch.chunk is None:
            done = indexes if parts is None else parts.settle(indexes)
            self.flush.interactive_done += [(batch.merchant_id, message_ids[i]) for i in done]
        elif batch.settled >= batch.size and batch.chunk.settled():
            self.touch(batch.chunk)

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


def _progress(chunk: Chunk, grants: Grants) -> ChunkProgress:
    """Ask for what was written and one step more, as far as there is room for messages in doubt."""
    done = chunk.settled()
    if chunk.returned:  # nothing beyond what was written is in doubt: the next claim asks for its own
        return ChunkProgress(chunk.key, chunk.reached(), done=done, released=True)
    if wanted := chunk.next_allowance() - chunk.allowance_asked:
        chunk.allowance_asked += wanted if done else grants.take(wanted)
    return ChunkProgress(chunk.key, chunk.allowance_asked, done=done)
