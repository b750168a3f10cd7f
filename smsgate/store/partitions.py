"""
Daily range partitions by 64-bit id: made ahead, dropped when old. Runs on the control connection, as the
owner.

Two may run at once: an advisory lock lets one after the other. Each partition is its own short transaction.
A dump, an export or a proof may hold what it reads for hours. A partition is made beside all of them, for
ATTACH lets others read and write its table. DROP needs the table for itself for a moment, and who sends
queues behind it until then: it waits only so long as a sender may.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Final

from smsgate.ids import first_id_at
from smsgate.store.connection import Connection, retry_transaction, translate
from smsgate.store.distribution import Table, load, partitioned

LOCK_KEY: Final = 0x736D7367_00000002  # "smsg", 2: one partition job at a time
LOCK_TIMEOUT: Final = "2s"
DROP_LOCK_TIMEOUT: Final = "100ms"  # all that write into the table wait behind it
DAYS_BACK: Final = 1  # a node whose clock is behind makes yesterday's ids just after midnight
NAME: Final = "{table}_p{day:%Y%m%d}"


def name_of(table: str, day: date) -> str:
    return NAME.format(table=table, day=day)


def first_id_of_name(name: str) -> int:
    """Return the first id that a daily partition, given by its name, can hold."""
    day = datetime.strptime(name.rpartition("_p")[2], "%Y%m%d").replace(tzinfo=UTC).date()
    return _first_id(day)


def borders(day: date) -> tuple[int, int]:
    """Return the first id of a UTC day and of the day after."""
    return _first_id(day), _first_id(day + timedelta(days=1))


def _first_id(day: date) -> int:
    return first_id_at(int(datetime.combine(day, time(), UTC).timestamp()) * 1000)


async def make_ahead(
    connection: Connection, now: datetime, days: int, *, tables: Mapping[str, Table] | None = None
) -> list[str]:
    """
    Make the partitions from yesterday until `days` after today that are missing; return their names.

    Raises:
        StoreUnavailable: a lock was not had in time, again and again; try later.
    """
    today = now.astimezone(UTC).date()
    wanted = [today + timedelta(days=offset) for offset in range(-DAYS_BACK, days + 1)]
    made: list[str] = []
    for table in partitioned(load() if tables is None else tables):
        present = {name for name, _day in await existing(connection, table.name)}
        for day in wanted:
            if (name := name_of(table.name, day)) not in present:
                await retry_transaction(partial(_make, connection, table.name, day), idempotent=True)
                made.append(name)
    return made


async def drop_older(
    connection: Connection,
    table: str,
    before: datetime,
    *,
    keep: Callable[[Connection, date], Awaitable[None]] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[str]:
    """
    Drop the partitions of `table` that hold nothing from `before` or later; return their names.

    `keep` writes what has to stay of a day, in the transaction that drops it.

    Raises:
        StoreUnavailable: with LOCK_NOT_AVAILABLE: the table was in use all the time; what was dropped is
            dropped, try later.
    """
    border = before.astimezone(UTC).date()
    dropped: list[str] = []
    for name, day in await existing(connection, table):
        if day < border:
            kept = None if keep is None else partial(keep, connection, day)
            await retry_transaction(partial(_drop, connection, name, kept), idempotent=True, sleep=sleep)
            dropped.append(name)
    return dropped


async def existing(connection: Connection, table: str) -> list[tuple[str, date]]:
    """Return the daily partitions of a table, oldest first."""
    with translate():
        rows = await connection.fetch(
            """SELECT child.relname FROM pg_catalog.pg_inherits
               JOIN pg_catalog.pg_class child ON child.oid = inhrelid
               WHERE inhparent = $1::text::regclass ORDER BY 1""",
            table,
        )
    pattern = re.compile(re.escape(table) + r"_p(\d{8})")
    matches = [match for row in rows if (match := pattern.fullmatch(row["relname"]))]
    return [(match[0], datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date()) for match in matches]


async def _make(connection: Connection, table: str, day: date) -> None:
    name, (low, high) = name_of(table, day), borders(day)
    with translate():
        async with connection.transaction():
            await _begin(connection)
            if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name):
                return  # another process was faster
            # Not PARTITION OF, which wants the table for itself; what comes out is the same.
            await connection.execute(
                f'CREATE TABLE "{name}" (LIKE "{table}" INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
                "INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION)"
            )
            # Nobody reads a partition by its own name; without a policy the API role would see nothing there.
            if await connection.fetchval(
                "SELECT relrowsecurity FROM pg_catalog.pg_class WHERE oid = $1::text::regclass", table
            ):
                await connection.execute(
                    f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'
                )
            await connection.execute(
                f'ALTER TABLE "{table}" ATTACH PARTITION "{name}" FOR VALUES FROM ({low}) TO ({high})'
            )


async def _drop(connection: Connection, name: str, keep: Callable[[], Awaitable[None]] | None) -> None:
    with translate():
        async with connection.transaction():
            await _begin(connection)
            if keep is not None:
                await keep()
            await connection.execute(f"SET LOCAL lock_timeout = '{DROP_LOCK_TIMEOUT}'")
            await connection.execute(f'DROP TABLE IF EXISTS "{name}"')


async def _begin(connection: Connection) -> None:
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
