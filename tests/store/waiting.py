"""Whether a transaction of a test's database waits for another one's lock."""

from __future__ import annotations

from smsgate.store.pool import Database


async def somebody_waits(database: Database) -> bool:
    async with database.control() as connection:
        found: bool = await connection.fetchval(
            "SELECT count(*) > 0 FROM pg_stat_activity "
            "WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
        )
    return found
