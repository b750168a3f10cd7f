"""Sums over a demonstration's database, which holds one merchant: the other side of its checks."""

from __future__ import annotations

from typing import Any, Final

from smsgate.protocol.receipt_states import ReceiptState
from smsgate.store.catalogue import load
from smsgate.store.pool import Database

_SQL: Final = load("demo")


async def fetch_books(database: Database) -> dict[str, Any]:
    """Return the fields of `smsgate.demo.story.Books`, all from one snapshot."""
    async with database.report() as connection:
        sums = await connection.fetchrow(_SQL["sums"], int(ReceiptState.DELIVRD))
        replies = await connection.fetch(_SQL["replies"])
    assert sums is not None
    return {**dict(sums), "replies": {row["label"]: row["n"] for row in replies}}
