"""
What dead owners and early receipts left, settled set-wise.

A chunk whose owner is gone: messages below its committed allowance without an outcome are in doubt and
become unknown (offers are never resent); the rest was never written and goes out by its next owner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from smsgate.flows.records import KIND_ESME, Recovery, ReportColumns
from smsgate.ids import first_id_at
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store import catalogue
from smsgate.store.connection import Connection
from smsgate.store.esme_reports import insert_reports
from smsgate.store.pool import Database
from smsgate.store.unsent import add_counters, settle_unsent

SQL = catalogue.load("sending")

# Carriers deliver receipts up to 72 h after the submit; a day more for clocks and queues.
RECEIPT_AGE_MAX: Final = timedelta(hours=96)
# How far back a receipt's message is looked for, by how long the receipt has waited: nearly all come within
# the hour, so the wide scans are for the few that are left. Seconds waited -> how long before the receipt.
LOOK_BACK: Final = (
    (0.0, timedelta(hours=1)),
    (10.0, timedelta(hours=6)),
    (60.0, RECEIPT_AGE_MAX),
)
CANCELLED_MAX: Final = 500  # chunks of cancelled campaigns ended by one call; the rest by the next


async def recover(database: Database, next_id: Callable[[], int], now: datetime) -> Recovery:
    """Settle what owners without a live lease hold; safe beside other nodes doing the same."""
    async with database.control() as connection:
        live = [row["epoch"] for row in await connection.fetch(SQL["live_owners"])]
    async with database.bulk() as connection:
        chunks = await connection.fetch(SQL["orphaned_chunks"], live)
        interactive = await connection.fetch(SQL["orphaned_interactive"], live)
    resumed = unknown = 0
    for merchant_id, campaign_id, no in chunks:
        found = await _return_chunk(database, merchant_id, campaign_id, no, live, now)
        if found is not None:
            resumed += 1
            unknown += found
    silent = 0
    for merchant_id, message_ids in interactive:
        async with database.bulk_transaction() as connection:
            rows = await connection.fetch(SQL["unknown_interactive"], merchant_id, message_ids, now)
            await connection.execute(SQL["interactive_done"], merchant_id, message_ids)
            reports = ReportColumns()
            for row in rows:
                reports.add(merchant_id, next_id(), row["message_id"], ReceiptState.UNKNOWN, b"", now)
            await insert_reports(connection, reports)
            silent += len(rows)
    cancelled = await _end_cancelled(database, now)
    return Recovery(resumed, unknown, silent, cancelled)


async def _end_cancelled(database: Database, now: datetime) -> int:
    """End the chunks of cancelled campaigns that nobody holds; what they had chosen is not sent."""
    async with database.bulk() as connection:
        chunks = await connection.fetch(SQL["cancelled_chunks"], CANCELLED_MAX)
    for merchant_id, campaign_id, no in chunks:
        async with database.bulk_transaction() as connection:
            chunk = await connection.fetchrow(SQL["end_chunk"], merchant_id, campaign_id, no, now)
            if chunk is None or chunk["message_id_base"] is None:
                continue
            base, count = chunk["message_id_base"], chunk["message_count"]
            rows = await connection.fetch(SQL["unsettled_messages"], merchant_id, base, base + count)
            if rows:
                await settle_unsent(connection, merchant_id, campaign_id, rows, "cancelled", now)
    return len(chunks)


async def _return_chunk(
    database: Database, merchant_id: int, campaign_id: int, no: int, live: list[int], now: datetime
) -> int | None:
    async with database.bulk_transaction() as connection:
        chunk = await connection.fetchrow(SQL["lock_orphaned_chunk"], merchant_id, campaign_id, no, live)
        if chunk is None:
            return None
        unknown = 0
        if chunk["message_id_base"] is not None:
            base = chunk["message_id_base"]
            rows = await connection.fetch(
                SQL["mark_unknown"], merchant_id, base, base + chunk["allowance"], now
            )
            unknown = len(rows)
        await connection.execute(SQL["return_chunk"], merchant_id, campaign_id, no, now)
        if unknown:
            await add_counters(connection, merchant_id, campaign_id, {"unknown": unknown})
        return unknown


async def resolve_unmatched(
    database: Database, next_id: Callable[[], int], carrier_id: int, limit: int, now: datetime
) -> int:
    """Match waiting receipts of one carrier by message id; those without a match wait twice as long."""
    async with database.bulk_transaction() as connection:
        waiting = await connection.fetch(SQL["unmatched_due"], carrier_id, now, limit)
        if not waiting:
            return 0
        newest = await _newest_by_smsc_id(connection, carrier_id, waiting, now)
        matched = [(row, newest[row["smsc_id"]]) for row in waiting if row["smsc_id"] in newest]
        missed = [row["unmatched_id"] for row in waiting if row["smsc_id"] not in newest]
        if matched:
            await insert_reports(connection, _reports(matched, next_id))
            await connection.execute(
                SQL["insert_receipts"],
                [s["merchant_id"] for _, s in matched],
                [s["message_id"] for _, s in matched],
                [s["segment"] for _, s in matched],
                [r["state"] for r, _ in matched],
                [r["error"] for r, _ in matched],
                [r["received_at"] for r, _ in matched],
            )
            await connection.execute(SQL["matched"], carrier_id, [r["unmatched_id"] for r, _ in matched])
            counts = _first_finals(matched)
            keys = sorted(counts)
            await connection.execute(
                SQL["add_counters"],
                [key[0] for key in keys],
                [key[1] for key in keys],
                [key[2] for key in keys],
                [counts[key] for key in keys],
            )
        if missed:
            await connection.execute(SQL["not_matched"], carrier_id, missed, now)
        return len(matched)


async def _newest_by_smsc_id(
    connection: Connection, carrier_id: int, waiting: Sequence[asyncpg.Record], now: datetime
) -> dict[bytes, asyncpg.Record]:
    """Return the newest accepted message of each waiting receipt's id, as far as one is found."""
    newest: dict[bytes, asyncpg.Record] = {}
    for waited_s, look_back in LOOK_BACK:
        left = [
            row
            for row in waiting
            if row["smsc_id"] not in newest and (now - row["received_at"]).total_seconds() >= waited_s
        ]
        if not left:
            break
        since = min(row["received_at"] for row in left) - look_back
        sent = await connection.fetch(
            SQL["sent_by_smsc_id"],
            carrier_id,
            list({row["smsc_id"] for row in left}),
            first_id_at(int(since.timestamp() * 1000)),
            sorted(FINAL),
        )
        newest |= {row["smsc_id"]: row for row in sorted(sent, key=lambda row: row["message_id"])}
    return newest


def _reports(
    matched: Sequence[tuple[asyncpg.Record, asyncpg.Record]], next_id: Callable[[], int]
) -> ReportColumns:
    """Return what these receipts say of messages that ESMEs submitted."""
    reports = ReportColumns()
    for r, s in matched:
        if s["kind"] == KIND_ESME:
            reports.add(
                s["merchant_id"], next_id(), s["message_id"], r["state"], r["error"] or b"", r["received_at"]
            )
    return reports


def _first_finals(
    matched: Sequence[tuple[asyncpg.Record, asyncpg.Record]],
) -> dict[tuple[int, int, str], int]:
    """Count messages of campaigns by their first final receipt: (merchant, campaign, kind) -> n."""
    counts: dict[tuple[int, int, str], int] = {}
    settled = {s["message_id"] for _, s in matched if s["settled"]}
    for r, s in matched:
        if r["state"] not in FINAL or s["campaign_id"] is None or s["message_id"] in settled:
            continue
        settled.add(s["message_id"])
        kind = "delivered" if r["state"] == ReceiptState.DELIVRD else "failed"
        key = (s["merchant_id"], s["campaign_id"], kind)
        counts[key] = counts.get(key, 0) + 1
    return counts
