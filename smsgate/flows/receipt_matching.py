"""Which messages receipts are for, as long as these are in memory: what a flush has of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from smsgate.flows.records import CarrierReceipts, Flush
from smsgate.flows.references import Reference, References
from smsgate.protocol.message_ids import VOTES_MIN, ReceiptIds, is_sure
from smsgate.protocol.receipt_states import FINAL, ReceiptState


@dataclass(slots=True)
class ReceiptCounts:
    """Since the start of the process; for metrics."""

    matched: int = 0  # their message was in memory
    repeated: int = 0  # an intermediate state that the message had
    waiting: int = 0  # went to receipt_unmatched; the database finds the message, or retention drops them
    unreadable: int = 0  # kept as they came


class _Early(NamedTuple):
    """A receipt whose message is not known yet; `key` is its id as responses have it, where that is asked."""

    carrier_id: int
    ids: ReceiptIds
    added: int  # messages whose receipts were awaited when it was read: it is for a later one
    key: bytes | None
    smsc_id: bytes
    other_id: bytes
    state: int
    error: bytes
    at: datetime


class ReceiptMatching:
    """
    Receipts to the columns of the flush in the making.

    A receipt may be read before the response that names its message: over another bind, whose octets are read
    next. It is looked for once more when the flush is cut, and only then left to the database, which reads
    the messages of the last minute for it.
    """

    def __init__(self, next_id: Callable[[], int]) -> None:
        self._next_id = next_id
        self.references = References()
        self.counts = ReceiptCounts()
        # Of one flush, so no more than its receipts: carriers leave so many of a bind unanswered.
        self._early: list[_Early] = []

    @property
    def early(self) -> int:
        """How many wait for the flush to be cut."""
        return len(self._early)

    def match(self, flush: Flush, receipts: CarrierReceipts, ids: ReceiptIds, at: datetime) -> None:
        """
        Have `flush` write the receipts of one read whose messages are in memory; the others are early.

        `ids` are the carrier's, and may learn its form here.
        """
        references, carrier_id = self.references, receipts.carrier_id
        known = ids.form is not None or receipts.of_responses
        if not known:
            ids.see((), receipts.smsc_ids)
        keys = receipts.smsc_ids if receipts.of_responses else ids.column(receipts.smsc_ids)
        by_other = keys is not receipts.smsc_ids  # then which of two ids is converted has to be seen
        if known and not by_other and not receipts.unreadable and self._all_found(flush, receipts, at):
            return
        for key, smsc_id, other_id, state, error in zip(
            keys, receipts.smsc_ids, receipts.other_ids, receipts.states, receipts.errors, strict=True
        ):
            asked = key if known and not (by_other and other_id) else None
            found = None if asked is None else references.find(carrier_id, asked, state)
            if found is None and receipts.of_responses:
                continue  # its receipt came meanwhile
            found = found or self._search(carrier_id, ids, smsc_id, other_id, state)
            if found is not None:
                self._add(flush, found, state, error, at)
                continue
            early = _Early(carrier_id, ids, references.added, asked, smsc_id, other_id, state, error, at)
            if known:
                self._early.append(early)
            else:  # the database has every message, to learn the form by
                self._unmatched(flush, early)
        for body in receipts.unreadable:
            self.counts.unreadable += 1
            self._unmatched(flush, _Early(carrier_id, ids, 0, None, b"", b"", 0, b"", at), raw=body)

    def match_early(self, flush: Flush) -> None:
        """Look once more for the messages of receipts that were early; the database looks for the rest."""
        early, self._early = self._early, []
        for each in early:
            found = None if each.added == self.references.added else self._found_late(each)
            if found is None:
                self._unmatched(flush, each)
            else:
                self._add(flush, found, each.state, each.error, each.at)

    def _found_late(self, early: _Early) -> Reference | None:
        carrier_id, ids, state = early.carrier_id, early.ids, early.state
        found = None if early.key is None else self.references.find(carrier_id, early.key, state)
        return found or self._search(carrier_id, ids, early.smsc_id, early.other_id, state)

    def _all_found(self, flush: Flush, receipts: CarrierReceipts, at: datetime) -> bool:
        """Take a read whose receipts are all final and of messages in memory; False: nothing was done."""
        if not FINAL.issuperset(receipts.states):
            return False
        found = self.references.find_all(receipts.carrier_id, receipts.smsc_ids)
        if found is None:
            return False
        columns, counters, start = flush.receipts, flush.counters, 0
        for merchant_id, campaign_id, message_ids in found:
            count = len(message_ids)
            columns.merchant_ids += [merchant_id] * count
            columns.message_ids += message_ids
            if campaign_id is not None:
                delivered = receipts.states[start : start + count].count(ReceiptState.DELIVRD)
                for kind, n in (("delivered", delivered), ("failed", count - delivered)):
                    if n:
                        key = (merchant_id, campaign_id, kind)
                        counters[key] = counters.get(key, 0) + n
            start += count
        columns.segments += [1] * start
        columns.states += receipts.states
        columns.errors += receipts.errors
        columns.received_at += [at] * start
        self.counts.matched += start
        return True

    def _add(self, flush: Flush, found: Reference, state: int, error: bytes, at: datetime) -> None:
        merchant_id, campaign_id, message_id, part, repeated, reported, charges = found
        if repeated:
            self.counts.repeated += 1
            return
        self.counts.matched += 1
        if charges and state in FINAL:
            flush.by_receipt.append((merchant_id, message_id, part))
        if reported:
            flush.reports.add(merchant_id, self._next_id(), message_id, state, error, at)
        columns = flush.receipts
        columns.merchant_ids.append(merchant_id)
        columns.message_ids.append(message_id)
        columns.segments.append(part)
        columns.states.append(state)
        columns.errors.append(error)
        columns.received_at.append(at)
        if campaign_id is not None and state in FINAL:
            kind = "delivered" if state == ReceiptState.DELIVRD else "failed"
            counter = (merchant_id, campaign_id, kind)
            flush.counters[counter] = flush.counters.get(counter, 0) + 1

    def _search(
        self, carrier_id: int, ids: ReceiptIds, smsc_id: bytes, other_id: bytes, state: int
    ) -> Reference | None:
        """
        Find by another spelling, by the text's id, or while the carrier's form is not known.

        Short ids teach nothing here, where only open messages are seen: all of them stand in the database.
        """
        fit = ids.fit(smsc_id, other_id, self.references.of(carrier_id))
        if fit is None:
            return None
        if ids.form is None and fit.form is not None:
            if not (is_sure(smsc_id) and (not other_id or is_sure(other_id))):
                return None
            ids.learn(Counter({fit.form: VOTES_MIN}))
        return self.references.find(carrier_id, fit.found, state)

    def _unmatched(self, flush: Flush, receipt: _Early, raw: bytes | None = None) -> None:
        self.counts.waiting += raw is None
        unmatched = flush.unmatched
        unmatched.carrier_ids.append(receipt.carrier_id)
        unmatched.unmatched_ids.append(self._next_id())
        unmatched.smsc_ids.append(receipt.smsc_id)
        unmatched.other_ids.append(receipt.other_id)
        unmatched.states.append(receipt.state)
        unmatched.errors.append(receipt.error)
        unmatched.received_at.append(receipt.at)
        unmatched.raws.append(raw)
