"""
The chain of hashes over a merchant's ledger: each close seals what was recorded since the one before.

Nothing is recorded before a cut that stands, so what is sealed here can be hashed at leisure, and again after
a crash; sending knows nothing of it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Final

from smsgate.store.catalogue import load
from smsgate.store.pool import Database

_SQL: Final = load("ledger_seals")
BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)  # before any ledger


async def seal(database: Database, merchant_id: int, month: date, cut_at: datetime) -> None:
    """Seal what was recorded before the cut of a month and no seal has; a second time it changes nothing."""
    async with database.report() as connection:
        before = await connection.fetchrow(_SQL["sealed_before"], merchant_id, month)
        since, head = (
            (BEGINNING, b"") if before is None else (before["cut_at"], bytes(before["ledger_sha256"]))
        )
        days = await connection.fetch(_SQL["days"], merchant_id, since, cut_at)
    previous, chain = [], []
    for day in days:
        previous.append(head)
        told = f"{month} {day['day']} {day['entries']} ".encode()
        head = hashlib.sha256(head + told + day["sha256"]).digest()
        chain.append(head)
    async with database.bulk_transaction() as connection:
        if await connection.fetchval(_SQL["lock_period"], merchant_id, month) is not None:
            return
        await connection.execute(
            _SQL["insert"], merchant_id, month, [day["day"] for day in days],
            [day["entries"] for day in days], [day["sha256"] for day in days], previous, chain,
        )  # fmt: skip
        await connection.execute(_SQL["seal_period"], merchant_id, month, head)
