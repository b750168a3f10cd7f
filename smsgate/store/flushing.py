"""
The flush: one transaction for everything that happened since the last one.

COPY in binary form for the rows, one statement each for ledger, counters and chunks. A flush has a number
per owner, so giving it twice (its commit was not seen) changes nothing the second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from smsgate.alike import made_of_each
from smsgate.errors import StoreError
from smsgate.flows.ledger import PostingLine, charge_lines
from smsgate.flows.records import ChunkKey, Flush, ReceiptColumns, SentColumns, UnmatchedColumns
from smsgate.security.public_ids import PublicIds
from smsgate.store import catalogue, receipt_charges
from smsgate.store.connection import UNIQUE_VIOLATIONS, Connection, copy_binary
from smsgate.store.copy_rows import Kind, RowFormat, micros_since_2000
from smsgate.store.esme_reports import insert_reports
from smsgate.store.merging import Booked, merge
from smsgate.store.pool import Database
from smsgate.store.withheld import tell_shops

SQL = catalogue.load("sending")

_SENT_COLUMNS: Final[dict[str, Any]] = {
    "message_id": Kind.INT8,
    "sent_at": Kind.TIMESTAMPTZ,
    "smsc_id": (Kind.BYTEA, None),
    # The same for many messages of a flush.
    "merchant_id": Kind.INT8,
    "segment": Kind.INT2,
    "carrier_id": Kind.INT2,
    "status": Kind.INT8,
    "segments": Kind.INT2,
    "sell_item_id": Kind.INT8,
    "sell_micros": Kind.INT8,
    "cost_item_id": Kind.INT8,
    "cost_micros": Kind.INT8,
    "reason": (Kind.TEXT, None),
}
SENT: Final = RowFormat(ascending=True, **_SENT_COLUMNS)
_SENT_WITH_PARTS: Final = RowFormat(ascending=True, **_SENT_COLUMNS, parts=(Kind.INT2, None))
_RECEIPT: Final = RowFormat(
    ascending=True,
    message_id=Kind.INT8,
    received_at=Kind.TIMESTAMPTZ,
    merchant_id=Kind.INT8,
    segment=Kind.INT2,
    state=Kind.INT2,
    error=Kind.BYTEA,
)
_UNMATCHED: Final = RowFormat(
    carrier_id=Kind.INT2,
    unmatched_id=Kind.INT8,
    state=Kind.INT2,
    received_at=Kind.TIMESTAMPTZ,
    next_try_at=Kind.TIMESTAMPTZ,
    smsc_id=Kind.BYTEA,
    other_id=Kind.BYTEA,
    error=Kind.BYTEA,
    raw=(Kind.BYTEA, None),
)
NEVER_MICROS: Final = 0x7FFF_FFFF_FFFF_FFFF  # timestamptz 'infinity'
FIRST_TRY_AFTER_MICROS: Final = 2_000_000  # the response that names the id is on its way


async def commit(
    database: Database, flush: Flush, *, owner: int, next_id: Callable[[], int], public_ids: PublicIds
) -> set[ChunkKey]:
    """
    Commit one flush; return its chunks that another owner took over. `next_id` is for what receipts charge.

    Raises:
        StoreUnavailable: give the same flush again.
    """
    try:
        return await _commit(database, flush, owner, next_id, public_ids, copy=True)
    except StoreError as exc:
        if exc.sqlstate not in UNIQUE_VIOLATIONS:
            raise
        # A recovery settled some of these while their owner still lived: merge row by row.
        return await _commit(database, flush, owner, next_id, public_ids, copy=False)


async def _commit(
    database: Database,
    flush: Flush,
    owner: int,
    next_id: Callable[[], int],
    public_ids: PublicIds,
    *,
    copy: bool,
) -> set[ChunkKey]:
    async with database.bulk_transaction() as connection:
        if await connection.fetchval(SQL["log_flush"], owner, flush.number) is None:
            ours = await _ours(connection, flush, owner)
            return {chunk.key for chunk in flush.chunks if not chunk.released} - ours
        ours = await _ours(connection, flush, owner)
        foreign = {key for key, _, _ in flush.chunk_rows} - ours
        booked = Booked(flush.counters, flush.charges, flush.offers_not_opened)
        judged = _by_receipt(flush, merged=bool(foreign) or not copy)
        before = await receipt_charges.charged_before(connection, judged) if judged else {}
        if foreign or not copy:
            booked = await merge(connection, flush, foreign)
        elif len(flush.sent):
            await _copy_sent(connection, flush.sent)
        await insert_reports(connection, flush.reports)
        if len(flush.receipts):
            await _copy_receipts(connection, flush.receipts)
        if len(flush.unmatched):
            await _copy_unmatched(connection, flush.unmatched)
        assert flush.at is not None
        postings = [
            line
            for charge, count in booked.charges.items()
            for line in charge_lines(next_id(), charge, count, flush.at)
        ]
        if judged:
            postings += await receipt_charges.changes(connection, before, judged, flush.at, next_id)
        if postings:
            await insert_postings(connection, postings)
        await _interactive(connection, flush)
        if flush.withheld:
            await tell_shops(connection, flush.withheld, flush.at, next_id, public_ids)
        await _progress(connection, flush, owner)
        if booked.offers_not_opened:
            msisdns, senders, message_ids = zip(*booked.offers_not_opened, strict=True)
            await connection.execute(SQL["close_unsent_offers"], msisdns, senders, message_ids)
        counters = booked.counters
        if counters:  # last, as claims and inbound groups do it: no two wait for each other in a circle
            keys = sorted(counters)
            await connection.execute(
                SQL["add_counters"],
                [key[0] for key in keys],
                [key[1] for key in keys],
                [key[2] for key in keys],
                [counters[key] for key in keys],
            )
    return {chunk.key for chunk in flush.chunks} - ours


def _by_receipt(flush: Flush, *, merged: bool) -> list[tuple[int, int, int]]:
    """Return whose charges this flush may move; a late response may make an earlier receipt charge."""
    keys = list(flush.by_receipt)
    if merged and flush.delivered_items:
        sent, items = flush.sent, flush.delivered_items
        keys += [
            key
            for key, sell, cost in zip(
                zip(sent.merchant_ids, sent.message_ids, sent.segments, strict=True),
                sent.sell_item_ids,
                sent.cost_item_ids,
                strict=True,
            )
            if sell in items or cost in items
        ]
    return keys


def _micros(instants: Sequence[datetime]) -> list[int]:
    """Return a column of instants as PostgreSQL counts them; what came in one read has one instant."""
    return made_of_each(instants, micros_since_2000)


async def _copy_sent(connection: Connection, sent: SentColumns) -> None:
    columns = (
        sent.message_ids,
        _micros(sent.sent_at),
        sent.smsc_ids,
        sent.merchant_ids,
        sent.segments,
        sent.carrier_ids,
        sent.statuses,
        sent.segment_counts,
        sent.sell_item_ids,
        sent.sell_micros,
        sent.cost_item_ids,
        sent.cost_micros,
        sent.reasons,
    )
    if not sent.parts:
        await copy_binary(connection, "sent", SENT.columns, SENT.pack(*columns))
        return
    data = _SENT_WITH_PARTS.pack(*columns, [sent.parts.get(place) for place in range(len(sent))])
    await copy_binary(connection, "sent", _SENT_WITH_PARTS.columns, data)


async def _copy_receipts(connection: Connection, receipts: ReceiptColumns) -> None:
    data = _RECEIPT.pack(
        receipts.message_ids,
        _micros(receipts.received_at),
        receipts.merchant_ids,
        receipts.segments,
        receipts.states,
        receipts.errors,
    )
    await copy_binary(connection, "receipt", _RECEIPT.columns, data)


async def _copy_unmatched(connection: Connection, unmatched: UnmatchedColumns) -> None:
    received = _micros(unmatched.received_at)
    data = _UNMATCHED.pack(
        unmatched.carrier_ids,
        unmatched.unmatched_ids,
        unmatched.states,
        received,
        [
            at + FIRST_TRY_AFTER_MICROS if smsc_id else NEVER_MICROS
            for at, smsc_id in zip(received, unmatched.smsc_ids, strict=True)
        ],
        unmatched.smsc_ids,
        unmatched.other_ids,
        unmatched.errors,
        unmatched.raws,
    )
    await copy_binary(connection, "receipt_unmatched", _UNMATCHED.columns, data)


async def insert_postings(connection: Connection, lines: Sequence[PostingLine]) -> None:
    """Write balanced postings, in the caller's transaction."""
    await connection.execute(
        SQL["post_ledger"],
        [line.merchant_id for line in lines],
        [line.posting_id for line in lines],
        [line.line for line in lines],
        [line.account for line in lines],
        [line.currency for line in lines],
        [line.amount_micros for line in lines],
        [line.direction for line in lines],
        [line.item_id for line in lines],
        [line.campaign_id for line in lines],
        [line.carrier_id for line in lines],
        [line.messages for line in lines],
        [line.segments for line in lines],
        [line.at for line in lines],
        [line.accepted_at for line in lines],
    )


async def _ours(connection: Connection, flush: Flush, owner: int) -> set[ChunkKey]:
    """Lock the chunks that this flush is about, and return those that are still its owner's."""
    by_merchant: dict[int, set[ChunkKey]] = defaultdict(set)
    for key in {chunk.key for chunk in flush.chunks} | {key for key, _, _ in flush.chunk_rows}:
        by_merchant[key.merchant_id].add(key)
    ours: set[ChunkKey] = set()
    for merchant_id, keys in sorted(by_merchant.items()):
        rows = await connection.fetch(
            SQL["owned_chunks"],
            merchant_id,
            [key.campaign_id for key in keys],
            [key.chunk_no for key in keys],
            [key.fence for key in keys],
            owner,
        )
        ours |= {ChunkKey(merchant_id, row["campaign_id"], row["no"], row["fence"]) for row in rows}
    return ours


async def _progress(connection: Connection, flush: Flush, owner: int) -> None:
    """Commit the progress of chunks; those that are not ours any more stay as they are."""
    by_merchant = defaultdict(list)
    for progress in flush.chunks:
        by_merchant[progress.key.merchant_id].append(progress)
    at = max(flush.sent.sent_at, default=None)
    for merchant_id, chunks in sorted(by_merchant.items()):
        await connection.execute(
            SQL["chunk_progress"],
            merchant_id,
            [chunk.key.campaign_id for chunk in chunks],
            [chunk.key.chunk_no for chunk in chunks],
            [chunk.key.fence for chunk in chunks],
            [chunk.allowance for chunk in chunks],
            [chunk.done for chunk in chunks],
            at,
            owner,
            [chunk.released for chunk in chunks],
        )


async def _interactive(connection: Connection, flush: Flush) -> None:
    by_merchant: dict[int, list[int]] = defaultdict(list)
    for merchant_id, message_id in flush.interactive_done:
        by_merchant[merchant_id].append(message_id)
    for merchant_id, message_ids in sorted(by_merchant.items()):
        await connection.execute(SQL["interactive_done"], merchant_id, message_ids)
