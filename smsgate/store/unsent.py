"""Messages that were chosen and will never be written: their outcome, their count, their offers closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from smsgate.store import catalogue
from smsgate.store.connection import Connection

SQL = catalogue.load("sending")


async def settle_unsent(
    connection: Connection,
    merchant_id: int,
    campaign_id: int,
    rows: Sequence[asyncpg.Record],
    reason: str,
    at: datetime,
) -> None:
    """Settle rows of `unsettled_messages` in the caller's transaction."""
    message_ids = [row["message_id"] for row in rows]
    await connection.execute(SQL["insert_not_sent"], merchant_id, message_ids, reason, at)
    await connection.execute(
        SQL["close_unsent_offers"],
        [row["msisdn"] for row in rows],
        [row["sender"] for row in rows],
        message_ids,
    )
    await add_counters(connection, merchant_id, campaign_id, {"not_sent": len(rows)})


async def add_counters(
    connection: Connection, merchant_id: int, campaign_id: int, counts: Mapping[str, int]
) -> None:
    """Add to one campaign's counters; the last thing a transaction does, for others wait for these rows."""
    await add_all_counters(connection, merchant_id, {campaign_id: counts})


async def add_all_counters(
    connection: Connection, merchant_id: int, counts: Mapping[int, Mapping[str, int]]
) -> None:
    """Add to the counters of a merchant's campaigns; as `add_counters`, the last thing."""
    rows = [(campaign_id, kind, n) for campaign_id, own in counts.items() for kind, n in own.items()]
    await connection.execute(
        SQL["add_counters"],
        [merchant_id] * len(rows),
        [campaign_id for campaign_id, _, _ in rows],
        [kind for _, kind, _ in rows],
        [n for _, _, n in rows],
    )
