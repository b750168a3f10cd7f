"""A process starts whoever reads the tables meanwhile, and insists only on the partitions that it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smsgate.clock import ManualClock
from smsgate.daemon.services import open_services
from smsgate.errors import StoreUnavailable
from smsgate.security.master_key_file import load_master_key
from smsgate.store import partitions
from smsgate.store.distribution import load, partitioned
from smsgate.store.dsn import Dsns
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.keyring import MASTER_KEY_FILE
from smsgate.store.partitions import existing
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN

NOW = datetime.now(UTC)


class Start:
    """How a process comes up on the test's database, at any time."""

    def __init__(self, dsn: str, state_dir: Path) -> None:
        self._dsn = dsn
        self._state_dir = state_dir
        load_master_key(state_dir / MASTER_KEY_FILE, create=True)

    async def at(self, now: datetime) -> None:
        async with open_services(self._state_dir, Dsns(self._dsn), ManualClock(now), print):
            pass


@pytest.fixture
def start(postgres_server: EmbeddedPostgres, database_name: str, tmp_path: Path) -> Start:
    return Start(postgres_server.dsn(ADMIN, database_name), tmp_path)


async def days_ahead(database: Database) -> list[int]:
    """Return for how many days after today each table has partitions."""
    async with database.control() as connection:
        last = [(await existing(connection, table.name))[-1][1] for table in partitioned(load())]
    return [(day - NOW.date()).days for day in last]


@asynccontextmanager
async def in_use(database: Database, mode: str) -> AsyncIterator[None]:
    """Hold all tables in a mode, as a transaction does that has used them so."""
    async with database.control() as connection, connection.transaction():
        for table in partitioned(load()):
            await connection.execute(f'LOCK TABLE "{table.name}" IN {mode} MODE')
        yield


async def test_a_process_starts_on_the_next_day_beside_a_dump_of_the_day_before(
    start: Start, database: Database
) -> None:
    await start.at(NOW)
    assert await days_ahead(database) == [7] * 5
    async with in_use(database, "ACCESS SHARE"):
        await start.at(NOW + timedelta(days=1))
    assert await days_ahead(database) == [8] * 5


async def test_a_process_starts_where_only_partitions_of_later_days_cannot_be_made(
    start: Start, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "10ms")
    assert await days_ahead(database) == [1] * 5
    async with in_use(database, "SHARE UPDATE EXCLUSIVE"):
        await start.at(NOW)
        with pytest.raises(StoreUnavailable):
            await start.at(NOW + timedelta(days=1))
    assert await days_ahead(database) == [1] * 5
