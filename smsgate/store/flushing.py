"""
The flush: one transaction for everything that happened since the last one.

COPY in binary form for the rows, one statement each for ledger, counters and chunks. A flush has a number
per owner, so giving it twice (its commit was not seen) changes nothing the second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from smsgate.errors import StoreError
from smsgate.flows.records import ChunkKey, Flush, PostingLine, ReceiptColumns, SentColumns, UnmatchedColumns
from smsgate.store import catalogue
from smsgate.store.connection import Connection, copy_binary
from smsgate.store.copy_rows import Kind, RowFormat, micros_since_2000
from smsgate.store.pool import Database

SQL = catalogue.load("sending")

_SENT: Final = RowFormat(
    merchant_id=Kind.INT8,
    message_id=Kind.INT8,
    segment=Kind.INT2,
    carrier_id=Kind.INT2,
    status=Kind.INT4,
    segments=Kind.INT2,
    sell_item_id=Kind.INT8,
    sell_micros=Kind.INT8,
    cost_item_id=Kind.INT8,
    cost_micros=Kind.INT8,
    sent_at=Kind.TIMESTAMPTZ,
    smsc_id=(Kind.BYTEA, None),
    reason=(Kind.TEXT, None),
)
_RECEIPT: Final = RowFormat(
    merchant_id=Kind.INT8,
    message_id=Kind.INT8,
    segment=Kind.INT2,
    state=Kind.INT2,
    received_at=Kind.TIMESTAMPTZ,
    error=Kind.BYTEA,
)
_UNMATCHED: Final = RowFormat(
    carrier_id=Kind.INT2,
    unmatched_id=Kind.INT8,
    state=Kind.INT2,
    received_at=Kind.TIMESTAMPTZ,
    next_try_at=Kind.TIMESTAMPTZ,
    smsc_id=Kind.BYTEA,
    error=Kind.BYTEA,
)
FIRST_TRY_AFTER_MICROS: Final = 2_000_000  # the response that names the id is on its way
# unique_violation, and what Citus makes of one that comes through COPY
_DUPLICATE: Final = frozenset({"23505", "XX000"})


async def commit(database: Database, flush: Flush, *, owner: int) -> set[ChunkKey]:
    """
    Commit one flush; return its chunks that another owner took over.

    Raises:
        StoreUnavailable: give the same flush again.
    """
    try:
        return await _commit(database, flush, owner=owner, copy=True)
    except StoreError as exc:
        if exc.sqlstate not in _DUPLICATE:
            raise
        # A recovery settled some of these while their owner still lived: merge row by row.
        return await _commit(database, flush, owner=owner, copy=False)


async def _commit(database: Database, flush: Flush, *, owner: int, copy: bool) -> set[ChunkKey]:
    async with database.bulk_transaction() as connection:
        if await connection.fetchval(SQL["log_flush"], owner, flush.number) is None:
            return await _chunks(connection, flush, owner, statement="owned_chunks")
        counters = flush.counters
        if len(flush.sent):
            if copy:
                await _copy_sent(connection, flush.sent)
            else:
                counters = await _merge_sent(connection, flush)
        if len(flush.receipts):
            await _copy_receipts(connection, flush.receipts)
        if len(flush.unmatched):
            await _copy_unmatched(connection, flush.unmatched)
        if flush.postings:
            await insert_postings(connection, flush.postings)
        await _interactive(connection, flush)
        taken_over = await _chunks(connection, flush, owner, statement="chunk_progress")
        if flush.offers_not_opened:
            msisdns, senders, message_ids = zip(*flush.offers_not_opened, strict=True)
            await connection.execute(SQL["close_unsent_offers"], msisdns, senders, message_ids)
        if counters:  # last, as claims and inbound groups do it: no two wait for each other in a circle
            keys = sorted(counters)
            await connection.execute(
                SQL["add_counters"],
                [key[0] for key in keys],
                [key[1] for key in keys],
                [key[2] for key in keys],
                [counters[key] for key in keys],
            )
    return taken_over


def _micros(instants: Sequence[datetime]) -> list[int]:
    """Return a column of instants as PostgreSQL counts them; what came in one read has one instant."""
    known = {at: micros_since_2000(at) for at in set(instants)}
    return [known[at] for at in instants]


async def _copy_sent(connection: Connection, sent: SentColumns) -> None:
    data = _SENT.pack(
        sent.merchant_ids,
        sent.message_ids,
        sent.segments,
        sent.carrier_ids,
        sent.statuses,
        sent.segment_counts,
        sent.sell_item_ids,
        sent.sell_micros,
        sent.cost_item_ids,
        sent.cost_micros,
        _micros(sent.sent_at),
        sent.smsc_ids,
        sent.reasons,
    )
    await copy_binary(connection, "sent", _SENT.columns, data)


async def _merge_sent(connection: Connection, flush: Flush) -> dict[tuple[int, int, str], int]:
    """Write outcomes over "unknown"; return the counters without what was counted as unknown before."""
    sent, counters = flush.sent, dict(flush.counters)
    columns: list[Sequence[object]] = [
        sent.merchant_ids,
        sent.message_ids,
        sent.segments,
        sent.carrier_ids,
        sent.statuses,
        sent.segment_counts,
        sent.smsc_ids,
        sent.sell_item_ids,
        sent.sell_micros,
        sent.cost_item_ids,
        sent.cost_micros,
        sent.reasons,
        sent.sent_at,
    ]
    inserted = {tuple(row) for row in await connection.fetch(SQL["insert_sent"], *columns)}
    keys = zip(sent.merchant_ids, sent.message_ids, sent.segments, strict=True)
    there = [place for place, key in enumerate(keys) if key not in inserted]
    merged = await connection.fetch(
        SQL["merge_sent"], *([column[place] for place in there] for column in columns)
    )
    for row in await connection.fetch(
        SQL["called_unknown"],
        [row["merchant_id"] for row in merged],
        [row["message_id"] for row in merged],
    ):
        key = (row["merchant_id"], row["campaign_id"], "unknown")
        counters[key] = counters.get(key, 0) - row["n"]
    return counters


async def _copy_receipts(connection: Connection, receipts: ReceiptColumns) -> None:
    data = _RECEIPT.pack(
        receipts.merchant_ids,
        receipts.message_ids,
        receipts.segments,
        receipts.states,
        _micros(receipts.received_at),
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
        [at + FIRST_TRY_AFTER_MICROS for at in received],
        unmatched.smsc_ids,
        unmatched.errors,
    )
    await copy_binary(connection, "receipt_unmatched", _UNMATCHED.columns, data)


async def insert_postings(connection: Connection, lines: Sequence[PostingLine]) -> None:
    """Write balanced postings, in the caller's transaction."""
    await connection.execute(
        SQL["insert_postings"],
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
    )


async def _chunks(connection: Connection, flush: Flush, owner: int, *, statement: str) -> set[ChunkKey]:
    """Commit the progress of chunks, or only look whose they are; return those that are not ours any more."""
    by_merchant = defaultdict(list)
    for progress in flush.chunks:
        by_merchant[progress.key.merchant_id].append(progress)
    at = max(flush.sent.sent_at, default=None)
    taken_over: set[ChunkKey] = set()
    for merchant_id, chunks in sorted(by_merchant.items()):
        keys: list[Sequence[object]] = [
            [chunk.key.campaign_id for chunk in chunks],
            [chunk.key.chunk_no for chunk in chunks],
            [chunk.key.fence for chunk in chunks],
        ]
        if statement == "chunk_progress":
            rows = await connection.fetch(
                SQL[statement],
                merchant_id,
                *keys,
                [chunk.allowance for chunk in chunks],
                [chunk.done for chunk in chunks],
                at,
                owner,
            )
        else:
            rows = await connection.fetch(SQL[statement], merchant_id, *keys, owner)
        ours = {(row["campaign_id"], row["no"]) for row in rows}
        taken_over |= {c.key for c in chunks if (c.key.campaign_id, c.key.chunk_no) not in ours}
    return taken_over


async def _interactive(connection: Connection, flush: Flush) -> None:
    by_merchant: dict[int, list[int]] = defaultdict(list)
    for merchant_id, message_id in flush.interactive_done:
        by_merchant[merchant_id].append(message_id)
    for merchant_id, message_ids in sorted(by_merchant.items()):
        await connection.execute(SQL["interactive_done"], merchant_id, message_ids)
