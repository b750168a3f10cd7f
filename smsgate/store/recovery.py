"""
What dead owners left, settled set-wise.

A chunk whose owner is gone: messages below its committed allowance without an outcome are in doubt and
become unknown (offers are never resent); the rest was never written and goes out by its next owner.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from smsgate.flows.records import Recovery, ReportColumns
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.store import catalogue
from smsgate.store.esme_reports import insert_reports
from smsgate.store.node_lease import ended
from smsgate.store.pool import Database
from smsgate.store.unsent import add_counters, settle_unsent

SQL = catalogue.load("sending")

CANCELLED_MAX: Final = 500  # chunks of cancelled campaigns ended by one call; the rest by the next


async def recover(
    database: Database,
    next_id: Callable[[], int],
    segments_of: Callable[[str, str | bytes], int],
    now: datetime,
) -> Recovery:
    """
    Settle what owners without a live lease hold; safe beside other nodes doing the same.

    `segments_of(sender, body)` says what a system message counts for of which nobody knows an outcome.
    """
    dead = await _dead_owners(database)
    async with database.bulk() as connection:
        chunks = await connection.fetch(SQL["orphaned_chunks"], dead) if dead else []
        interactive = await connection.fetch(SQL["orphaned_interactive"], dead) if dead else []
    resumed = unknown = 0
    for merchant_id, campaign_id, no in chunks:
        found = await _return_chunk(database, merchant_id, campaign_id, no, dead, now)
        if found is not None:
            resumed += 1
            unknown += found
    silent = 0
    for merchant_id, listed in interactive:
        async with database.bulk_transaction() as connection:
            held = await connection.fetch(SQL["lock_orphaned_interactive"], merchant_id, listed, dead)
            message_ids = [row["message_id"] for row in held]
            texts = await connection.fetch(SQL["orphaned_texts"], merchant_id, message_ids)
            rows = await connection.fetch(
                SQL["unknown_interactive"],
                merchant_id,
                [row["message_id"] for row in texts],
                [row["segments"] or segments_of(row["sender"], row["push"] or row["body"]) for row in texts],
                now,
            )
            await connection.execute(SQL["interactive_done"], merchant_id, message_ids)
            reports = ReportColumns()
            unknown_ids = sorted({row["message_id"] for row in rows})
            for message_id in unknown_ids:
                reports.add(merchant_id, next_id(), message_id, ReceiptState.UNKNOWN, b"", now)
            await insert_reports(connection, reports)
            silent += len(unknown_ids)
    cancelled = await _end_cancelled(database, now)
    return Recovery(resumed, unknown, silent, cancelled)


async def _dead_owners(database: Database) -> list[int]:
    async with database.bulk() as connection:
        owners = {row["owner"] for row in await connection.fetch(SQL["owners"])}
    return await ended(database, owners)


async def _end_cancelled(database: Database, now: datetime) -> int:
    """End the chunks of cancelled campaigns that nobody holds; what they had chosen is not sent."""
    async with database.bulk() as connection:
        chunks = await connection.fetch(SQL["cancelled_chunks"], CANCELLED_MAX)
    for merchant_id, campaign_id, no, reason in chunks:
        async with database.bulk_transaction() as connection:
            chunk = await connection.fetchrow(SQL["end_chunk"], merchant_id, campaign_id, no, now)
            if chunk is None or chunk["message_id_base"] is None:
                continue
            base, count = chunk["message_id_base"], chunk["message_count"]
            rows = await connection.fetch(
                SQL["unsettled_messages"], merchant_id, base, base + count, chunk["members"]
            )
            if rows:
                await settle_unsent(connection, merchant_id, campaign_id, rows, reason, now)
    return len(chunks)


async def _return_chunk(
    database: Database, merchant_id: int, campaign_id: int, no: int, dead: list[int], now: datetime
) -> int | None:
    async with database.bulk_transaction() as connection:
        chunk = await connection.fetchrow(SQL["lock_orphaned_chunk"], merchant_id, campaign_id, no, dead)
        if chunk is None:
            return None
        unknown = 0
        if chunk["message_id_base"] is not None:
            base = chunk["message_id_base"]
            rows = await connection.fetch(
                SQL["mark_unknown"], merchant_id, base, base + chunk["allowance"], now, chunk["members"]
            )
            unknown = len(rows)
        await connection.execute(SQL["return_chunk"], merchant_id, campaign_id, no, now)
        if unknown:
            await add_counters(connection, merchant_id, campaign_id, {"unknown": unknown})
        return unknown
