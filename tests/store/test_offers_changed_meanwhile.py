"""What closes or answers an open offer finds it although another changed it while the lock was waited for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from smsgate.store.catalogue import load
from smsgate.store.pool import Database
from tests.flows.world import eventually

MERCHANT, MSISDN, MESSAGE, SENDER = 7, 33600000005, 50, "38123"
ANSWERED_AT = datetime(2026, 1, 2, tzinfo=UTC)
OPENED = """
INSERT INTO open_offer (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, offer_version,
    subscriber_id, expires_at, opened_at)
SELECT n, '38123', 7, 1, n - 33600000000 + 45, 1, 1, n, now() + interval '1 hour', now()
FROM generate_series(33600000005, 33600000040) n
"""
CHANGED = {
    "lasts longer": "expires_at = expires_at + interval '1 hour'",
    "was answered": "answered_at = now()",
    "is the merchant's next": "message_id = 99, expires_at = expires_at + interval '1 hour'",
}


@pytest.mark.parametrize(
    ("file", "name", "arguments", "change", "left"),
    [
        ("inbound", "close_offers", ([MERCHANT], [MSISDN]), "lasts longer", []),
        ("inbound", "close_offers", ([MERCHANT], [MSISDN]), "was answered", []),
        ("inbound", "close_offers", ([MERCHANT], [MSISDN]), "is the merchant's next", []),
        ("sending", "close_unsent_offers", ([MSISDN], [SENDER], [MESSAGE]), "was answered", []),
        ("sending", "close_unsent_offers", ([MSISDN], [SENDER], [MESSAGE]), "is the merchant's next", [None]),
        (
            "inbound",
            "answered",
            ([MSISDN], [SENDER], [MESSAGE], [ANSWERED_AT]),
            "lasts longer",
            [ANSWERED_AT],
        ),
        (
            "inbound",
            "answered",
            ([MSISDN], [SENDER], [MESSAGE], [ANSWERED_AT]),
            "was answered",
            [ANSWERED_AT],
        ),
        (
            "inbound",
            "answered",
            ([MSISDN], [SENDER], [MESSAGE], [ANSWERED_AT]),
            "is the merchant's next",
            [None],
        ),
    ],
)
async def test_an_offer_that_was_changed_meanwhile_is_found(
    database: Database,
    file: str,
    name: str,
    arguments: tuple[object, ...],
    change: str,
    left: list[datetime | None],
) -> None:
    """A STOP that waited for a claim left the offer open that the claim had just made."""
    async with database.control() as connection:
        await connection.execute(OPENED)

    async def close() -> None:
        async with database.bulk_transaction() as closing:
            await closing.execute(load(file)[name], *arguments)

    async def somebody_waits() -> bool:
        async with database.control() as connection:
            found: bool = await connection.fetchval(
                "SELECT count(*) > 0 FROM pg_stat_activity "
                "WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
            )
        return found

    async with database.bulk_transaction() as claiming:
        await claiming.execute(f"UPDATE open_offer SET {CHANGED[change]} WHERE msisdn = $1", MSISDN)
        task = asyncio.create_task(close())
        await eventually(somebody_waits)
    await task
    async with database.control() as connection:
        rows = await connection.fetch("SELECT answered_at FROM open_offer WHERE msisdn = $1", MSISDN)
        assert [row["answered_at"] for row in rows] == left
        assert await connection.fetchval("SELECT count(*) FROM open_offer WHERE msisdn <> $1", MSISDN) == 35
