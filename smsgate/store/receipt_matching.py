"""
Receipts without their message in memory, matched set-wise: after a restart, before the response, elsewhere.

What waits is looked for among the accepted messages of the last hours, by the octets of its id first and by
its folded id then (smsgate.protocol.message_ids). Nothing is matched that fits two messages.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from smsgate.flows.records import KIND_ESME, ReportColumns, Resolved
from smsgate.ids import first_id_at
from smsgate.protocol.message_ids import VOTES_MIN, ZERO, Fit, IdForm, ReceiptIds, fold, is_sure
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store import catalogue, receipt_charges
from smsgate.store.connection import Connection
from smsgate.store.esme_reports import insert_reports
from smsgate.store.flushing import insert_postings
from smsgate.store.pool import Database

SQL = catalogue.load("sending")

# Carriers deliver receipts up to 72 h after the submit; a day more for clocks and queues.
RECEIPT_AGE_MAX: Final = timedelta(hours=96)
# How far back a receipt's message is looked for, by how long the receipt has waited: nearly all that wait
# were faster than the response, and nearly all others come within the hour, so the wide scans are for the few
# that are left. Seconds waited -> how long before the receipt.
LOOK_BACK: Final = (
    (0.0, timedelta(minutes=1)),
    (6.0, timedelta(hours=1)),
    (30.0, timedelta(hours=6)),
    (60.0, RECEIPT_AGE_MAX),
)
# By then, at the third try, the response of the message has come and is committed: what fits no other message
# fits none.
ALL_ANSWERED_S: Final = 8.0
SAMPLE_MAX: Final = 100  # ids of responses that show how a carrier writes them
# A message is older than its receipt; nodes' clocks differ by less.
CLOCKS_APART: Final = timedelta(seconds=60)

MessageKey = tuple[int, int, int]  # merchant, message, segment


class _Sent:
    """The accepted messages that waiting receipts may be for, by how their responses spelled the id."""

    def __init__(self) -> None:
        self.rows: dict[MessageKey, asyncpg.Record] = {}
        self._by_id: dict[bytes, list[MessageKey]] = defaultdict(list)
        self._spellings: dict[bytes, set[bytes]] = defaultdict(set)

    def add(self, rows: Iterable[asyncpg.Record]) -> None:
        for row in rows:
            key = (row["merchant_id"], row["message_id"], row["segment"])
            if key not in self.rows:
                self.rows[key] = row
                self._by_id[row["smsc_id"]].append(key)
                self._spellings[fold(row["smsc_id"])].add(row["smsc_id"])

    def named(self, smsc_id: bytes) -> list[MessageKey]:
        return self._by_id.get(smsc_id, [])

    def spellings(self, folded: bytes) -> set[bytes]:
        return self._spellings.get(folded, set())


class _KnownTo:
    """What one receipt may be for (`protocol.message_ids.Known`)."""

    def __init__(self, sent: _Sent, receipt: asyncpg.Record) -> None:
        self._sent = sent
        self._state = receipt["state"]
        latest = receipt["received_at"] + CLOCKS_APART
        self._before = first_id_at(int(latest.timestamp() * 1000))

    def exact(self, message_id: bytes) -> MessageKey | None:
        """Of an id used again the newest message is meant that is open, or that has this very receipt."""
        keys = [key for key in self._sent.named(message_id) if key[1] < self._before]
        keys.sort(key=lambda key: key[1], reverse=True)
        for key in keys:
            states = self._sent.rows[key]["states"]
            if self._state in states or FINAL.isdisjoint(states):
                return key
        return keys[0] if keys else None

    def folded(self, message_id: bytes) -> MessageKey | None:
        spellings = self._sent.spellings(message_id)
        return self.exact(next(iter(spellings))) if len(spellings) == 1 else None


class _Matched(NamedTuple):
    receipt: asyncpg.Record
    message: asyncpg.Record


async def resolve_unmatched(
    database: Database,
    next_id: Callable[[], int],
    carrier_id: int,
    ids: ReceiptIds,
    limit: int,
    now: datetime,
) -> Resolved:
    """Match waiting receipts of one carrier by message id; those without a match wait twice as long."""
    async with database.bulk_transaction() as connection:
        waiting = await connection.fetch(SQL["unmatched_due"], carrier_id, now, limit)
        if not waiting:
            return Resolved(0, 0)
        await connection.execute(SQL["look_by_key"])
        sent = _Sent()
        if ids.form is None:
            await _see(connection, carrier_id, ids, waiting, now)
        await _look(connection, carrier_id, ids, waiting, sent, now)
        fits = _fits(ids, waiting, sent)
        if ids.form is None and ids.learn(_votes(waiting, fits, now)):
            fits = _fits(ids, waiting, sent)
        # As long as the form is not known, only what means one message in every form.
        matched = {
            number: _Matched(receipt, sent.rows[fit.found])
            for number, receipt in _numbered(waiting)
            if (fit := fits.get(number)) is not None and (ids.form is not None or fit.form is None)
        }
        missed = [number for number, _ in _numbered(waiting) if number not in matched]
        if matched:
            await _insert(connection, next_id, carrier_id, matched, now)
        if missed:
            await connection.execute(SQL["not_matched"], carrier_id, missed, now)
        errors = [
            (message["merchant_id"], message["message_id"], receipt["error"])
            for receipt, message in matched.values()
            if receipt["error"]
        ]
        return Resolved(len(waiting), len(matched), errors)


def _numbered(waiting: Sequence[asyncpg.Record]) -> Iterable[tuple[int, asyncpg.Record]]:
    return ((receipt["unmatched_id"], receipt) for receipt in waiting)


def _fits(
    ids: ReceiptIds, waiting: Sequence[asyncpg.Record], sent: _Sent
) -> dict[int, Fit[MessageKey] | None]:
    return {
        number: ids.fit(receipt["smsc_id"], receipt["other_id"], _KnownTo(sent, receipt))
        for number, receipt in _numbered(waiting)
    }


def _votes(
    waiting: Sequence[asyncpg.Record], fits: Mapping[int, Fit[MessageKey] | None], now: datetime
) -> Counter[IdForm]:
    votes: Counter[IdForm] = Counter()
    for number, receipt in _numbered(waiting):
        fit = fits[number]
        if fit is not None and fit.form is not None:
            waited_s = (now - receipt["received_at"]).total_seconds()
            votes[fit.form] += VOTES_MIN if waited_s >= ALL_ANSWERED_S or is_sure(receipt["smsc_id"]) else 1
    return votes


async def _see(
    connection: Connection, carrier_id: int, ids: ReceiptIds, waiting: Sequence[asyncpg.Record], now: datetime
) -> None:
    """Show the carrier's way of writing ids to `ids`, by what waits and what was sent of late."""
    since = first_id_at(int((now - RECEIPT_AGE_MAX).timestamp() * 1000))
    rows = await connection.fetch(SQL["sample_of_smsc_ids"], carrier_id, since, SAMPLE_MAX)
    ids.see([row["smsc_id"] for row in rows], [receipt["smsc_id"] for receipt in waiting])


async def _look(
    connection: Connection,
    carrier_id: int,
    ids: ReceiptIds,
    waiting: Sequence[asyncpg.Record],
    sent: _Sent,
    now: datetime,
) -> None:
    """Read the messages that these receipts may be for, no further back than most of them need."""
    for waited_s, look_back in LOOK_BACK if ids.form is not None else ((0.0, RECEIPT_AGE_MAX),):
        left = [
            receipt
            for receipt in waiting
            if (now - receipt["received_at"]).total_seconds() >= waited_s
            and ids.fit(receipt["smsc_id"], receipt["other_id"], _KnownTo(sent, receipt)) is None
        ]
        if not left:
            return
        since = min(receipt["received_at"] for receipt in left) - look_back
        border = first_id_at(int(since.timestamp() * 1000))
        keys = {key for each in left for key in ids.keys(each["smsc_id"], each["other_id"])}
        exact = {each["smsc_id"] for each in left} | {each["other_id"] for each in left} | keys
        sent.add(await connection.fetch(SQL["sent_by_smsc_id"], carrier_id, list(exact - {b""}), border))
        if ids.form is not None:  # else whatever else an id may mean has to be known
            keys = {key for key in keys if not sent.spellings(key)}
        folded = ["" if key == ZERO else key.decode("ascii") for key in keys if _is_text(key)]
        if folded:
            sent.add(await connection.fetch(SQL["sent_by_folded_id"], carrier_id, folded, border))


def _is_text(key: bytes) -> bool:
    """Return whether `encode(smsc_id, 'escape')` gives the key as it is, and PostgreSQL takes it as text."""
    return key.isascii() and b"\\" not in key and b"\0" not in key


async def _insert(
    connection: Connection,
    next_id: Callable[[], int],
    carrier_id: int,
    matched: Mapping[int, _Matched],
    now: datetime,
) -> None:
    """Write what says something new; a receipt whose message has had this state changes nothing."""
    fresh: dict[tuple[int, int, int, int], _Matched] = {}
    for receipt, message in matched.values():
        if receipt["state"] not in message["states"]:
            key = (message["merchant_id"], message["message_id"], message["segment"], receipt["state"])
            fresh.setdefault(key, _Matched(receipt, message))
    if fresh:
        rows = fresh.values()
        await insert_reports(connection, _reports(rows, next_id))
        finals = {key[:3] for key in fresh if key[3] in FINAL}
        judged = await receipt_charges.of_delivered_basis(connection, finals) if finals else []
        before = await receipt_charges.charged_before(connection, judged) if judged else {}
        await connection.execute(
            SQL["insert_receipts"],
            [message["merchant_id"] for _, message in rows],
            [message["message_id"] for _, message in rows],
            [message["segment"] for _, message in rows],
            [receipt["state"] for receipt, _ in rows],
            [receipt["error"] for receipt, _ in rows],
            [receipt["received_at"] for receipt, _ in rows],
        )
        if judged:
            lines = await receipt_charges.changes(connection, before, judged, now, next_id)
            if lines:
                await insert_postings(connection, lines)
    await connection.execute(SQL["matched"], carrier_id, list(matched))
    counts = _first_finals(fresh.values())
    if counts:
        keys = sorted(counts)
        await connection.execute(
            SQL["add_counters"],
            [key[0] for key in keys],
            [key[1] for key in keys],
            [key[2] for key in keys],
            [counts[key] for key in keys],
        )


def _reports(matched: Iterable[_Matched], next_id: Callable[[], int]) -> ReportColumns:
    """Return what these receipts say of messages that ESMEs submitted."""
    reports = ReportColumns()
    for receipt, message in matched:
        if message["kind"] == KIND_ESME:
            at, error = receipt["received_at"], receipt["error"] or b""
            reports.add(message["merchant_id"], next_id(), message["message_id"], receipt["state"], error, at)
    return reports


def _first_finals(matched: Iterable[_Matched]) -> dict[tuple[int, int, str], int]:
    """Count messages of campaigns by their first final receipt: (merchant, campaign, kind) -> n."""
    counts: dict[tuple[int, int, str], int] = {}
    settled: set[int] = set()
    for receipt, message in matched:
        before = message["message_id"] in settled or not FINAL.isdisjoint(message["states"])
        if receipt["state"] not in FINAL or message["campaign_id"] is None or before:
            continue
        settled.add(message["message_id"])
        kind = "delivered" if receipt["state"] == ReceiptState.DELIVRD else "failed"
        key = (message["merchant_id"], message["campaign_id"], kind)
        counts[key] = counts.get(key, 0) + 1
    return counts
