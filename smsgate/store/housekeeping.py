"""The store's side of housekeeping: partitions as the owner, bounded deletes as the bulk role."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from smsgate.flows.events import first_id_of
from smsgate.store import partitions
from smsgate.store.catalogue import load
from smsgate.store.retired import keep_sums

if TYPE_CHECKING:
    from smsgate.store.pool import Database

_SQL: Final = load("housekeeping")
_BY_ID: Final = frozenset({"webhook_delivery", "budget_charge"})  # their border is a time-ordered id


class PgHousekeeping:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def make_partitions(self, now: datetime, days: int) -> int:
        async with self._database.control() as connection:
            return len(await partitions.make_ahead(connection, now, days))

    async def drop_partitions(self, table: str, before: datetime) -> int:
        async with self._database.control() as connection:
            keep = keep_sums if table == "sent" else None
            return len(await partitions.drop_older(connection, table, before, keep=keep))

    async def delete_older(self, job: str, before: datetime, rows_max: int) -> int:
        border = first_id_of(before) if job in _BY_ID else before
        deleted = 0
        async with self._database.bulk() as connection:
            for row in await connection.fetch(_SQL[f"{job}_owners"], border):
                rows = await connection.fetch(_SQL[f"{job}_delete"], row["owner"], border, rows_max - deleted)
                deleted += len(rows)
                if deleted >= rows_max:
                    break
        return deleted

    async def trim_receipts(self, kept: int, rows_max: int) -> int:
        deleted = 0
        async with self._database.bulk() as connection:
            for owner, border in await connection.fetch(_SQL["receipts_beyond"], kept):
                deleted += len(await connection.fetch(_SQL["trim_receipts"], owner, border, rows_max))
        return deleted
