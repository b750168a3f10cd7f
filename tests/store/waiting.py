"""Which transactions of a test's database wait for another one's lock."""

from __future__ import annotations

from smsgate.store.pool import Database


async def waiting(database: Database) -> list[str]:
    """Return what each of them waits in; of another role than the bulk one PostgreSQL does not tell."""
    async with database.bulk() as connection:
        rows = await connection.fetch(
            "SELECT query FROM pg_stat_activity "
            "WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
        )
    return [row["query"] for row in rows]


async def so_many_wait(database: Database, transactions: int) -> bool:
    return len(await waiting(database)) == transactions


async def somebody_waits(database: Database) -> bool:
    return bool(await waiting(database))
