"""Migrations are applied once, in order, by one process; what does not fit is refused with a sentence."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from smsgate.errors import StoreNotReady
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.migrate import check, migrate, shipped
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN, ROLES, ensure_roles
from tests.store.embedded_clusters import a_server

Admin: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
FIRST = "CREATE TABLE a (n int PRIMARY KEY);"
SECOND = "CREATE TABLE b (n int PRIMARY KEY); INSERT INTO b VALUES (1);"
GRANTS = "GRANT SELECT ON a TO sg_api;"


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text(FIRST)
    (tmp_path / "0002_second.sql").write_text(SECOND)
    (tmp_path / "grants.sql").write_text(GRANTS)
    (tmp_path / "README").write_text("not a migration")
    return tmp_path


@pytest.fixture
async def connection(postgres_server: EmbeddedPostgres, empty_database: str) -> AsyncIterator[Admin]:
    opened = await asyncpg.connect(**postgres_server.connect_args(ADMIN, empty_database))
    yield opened
    await opened.close()


async def test_each_migration_is_applied_once(connection: Admin, migrations: Path) -> None:
    assert await migrate(connection, login=True, directory=migrations) == ["0001_first", "0002_second"]
    assert await migrate(connection, login=True, directory=migrations) == []
    assert await connection.fetchval("SELECT n FROM b") == 1
    (migrations / "0003_third.sql").write_text("DROP TABLE b")
    assert await migrate(connection, login=True, directory=migrations) == ["0003_third"]
    await check(connection, directory=migrations)


async def test_the_owner_role_owns_what_is_made_and_the_session_is_given_back(
    connection: Admin, migrations: Path
) -> None:
    await migrate(connection, login=True, directory=migrations)
    assert await connection.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = 'a'") == "sg_owner"
    assert await connection.fetchval("SELECT current_user") == ADMIN
    # Of this database: others of the same server have tests of their own.
    sql = (
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory'"
    )
    assert await connection.fetchval(f"{sql} AND datname = current_database()") == 0
    assert await connection.fetchval("SHOW lock_timeout") == "0"


async def test_two_migrators_at_once_apply_everything_once(
    postgres_server: EmbeddedPostgres, empty_database: str, migrations: Path
) -> None:
    async def one() -> list[str]:
        opened = await asyncpg.connect(**postgres_server.connect_args(ADMIN, empty_database))
        try:
            return await migrate(opened, login=True, directory=migrations)
        finally:
            await opened.close()

    applied = await asyncio.gather(one(), one(), one())
    assert sorted(applied) == [[], [], ["0001_first", "0002_second"]]


async def test_a_failed_migration_leaves_nothing_and_says_which(connection: Admin, migrations: Path) -> None:
    (migrations / "0002_second.sql").write_text("CREATE TABLE c (n int); SELECT 1 / 0;")
    with pytest.raises(StoreNotReady, match="0002_second failed: division by zero"):
        await migrate(connection, login=True, directory=migrations)
    assert await connection.fetchval("SELECT to_regclass('c')") is None
    assert await connection.fetchval("SELECT array_agg(version) FROM schema_migration") == [1]
    assert await connection.fetchval("SELECT current_user") == ADMIN
    (migrations / "0002_second.sql").write_text(SECOND)
    assert await migrate(connection, login=True, directory=migrations) == ["0002_second"]


async def test_a_migration_changed_after_it_was_applied_is_refused(
    connection: Admin, migrations: Path
) -> None:
    await migrate(connection, login=True, directory=migrations)
    (migrations / "0001_first.sql").write_text(FIRST + " -- better")
    with pytest.raises(StoreNotReady, match="0001_first was changed"):
        await migrate(connection, login=True, directory=migrations)


async def test_a_newer_schema_is_refused(connection: Admin, migrations: Path) -> None:
    await migrate(connection, login=True, directory=migrations)
    (migrations / "0002_second.sql").unlink()
    for attempt in (
        migrate(connection, login=True, directory=migrations),
        check(connection, directory=migrations),
    ):
        with pytest.raises(StoreNotReady, match="newer than this smsgate"):
            await attempt


async def test_check_changes_nothing_and_names_what_is_missing(connection: Admin, migrations: Path) -> None:
    with pytest.raises(StoreNotReady, match="no smsgate schema"):
        await check(connection, directory=migrations)
    await migrate(connection, login=True, directory=migrations)
    (migrations / "0003_third.sql").write_text("SELECT 1")
    with pytest.raises(StoreNotReady, match="0003_third"):
        await check(connection, directory=migrations)


async def test_a_table_in_use_is_waited_for(
    postgres_server: EmbeddedPostgres,
    empty_database: str,
    connection: Admin,
    migrations: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lock timeout is short and the migration tries again, so that senders never queue behind it."""
    monkeypatch.setattr("smsgate.store.migrate.LOCK_TIMEOUT", "20ms")
    await migrate(connection, login=True, directory=migrations)
    (migrations / "0003_third.sql").write_text("ALTER TABLE a ADD COLUMN m int")
    user = await asyncpg.connect(**postgres_server.connect_args("sg_owner", empty_database))
    try:
        transaction = user.transaction()
        await transaction.start()
        await user.execute("LOCK TABLE a IN ACCESS SHARE MODE")
        task = asyncio.create_task(migrate(connection, login=True, directory=migrations))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass"
        while not await user.fetchval(waiting):
            assert not task.done()
        while await user.fetchval(waiting):  # it gave up for a moment
            assert not task.done()
        await transaction.rollback()
        assert await task == ["0003_third"]
    finally:
        await user.close()


def test_the_same_number_twice_is_refused(migrations: Path) -> None:
    (migrations / "0002_other.sql").write_text("SELECT 1")
    with pytest.raises(ValueError, match="number 2"):
        shipped(migrations)


def test_the_shipped_migrations_are_numbered_without_a_gap() -> None:
    assert [migration.version for migration in shipped()] == list(range(1, len(shipped()) + 1))


async def test_roles_are_made_at_once_from_several_databases(reachable_dir: Path) -> None:
    """Roles belong to the cluster, so a lock in one database does not help another."""
    async with a_server(reachable_dir) as server:
        connections = [await asyncpg.connect(**server.connect_args(ADMIN, "postgres")) for _ in range(3)]
        connections += [await asyncpg.connect(**server.connect_args(ADMIN)) for _ in range(3)]
        await asyncio.gather(*(ensure_roles(connection, login=True) for connection in connections))
        rows = await connections[0].fetch(
            "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = ANY ($1::text[]) ORDER BY "
            "1",
            list(ROLES),
        )
        for connection in connections:
            await connection.close()
    assert [tuple(row) for row in rows] == [
        ("sg_api", False, False),
        ("sg_audit", False, False),
        ("sg_bulk", False, True),
        ("sg_owner", False, True),
        ("sg_report", False, True),
    ]


async def test_an_ordinary_user_of_somebody_elses_server_can_run_everything(
    postgres_server: EmbeddedPostgres, database_name: str, connection: Admin
) -> None:
    """By DSN: a member of the roles, no superuser, takes each role for the session."""
    user = f"gateway_{uuid.uuid4().hex}"
    await connection.execute(f"CREATE ROLE {user} NOLOGIN; GRANT {', '.join(ROLES)} TO {user}")
    opened = await asyncpg.connect(**postgres_server.connect_args(ADMIN, database_name))
    try:
        await opened.execute(f"SET SESSION AUTHORIZATION {user}")
        assert await migrate(opened) == []
        assert await opened.fetchval("SELECT current_user") == user
    finally:
        await opened.close()
        await connection.execute(f"DROP ROLE {user}")


async def test_a_user_who_may_not_make_roles_is_told_what_to_run(
    postgres_server: EmbeddedPostgres, database_name: str, connection: Admin
) -> None:
    user = f"stranger_{uuid.uuid4().hex}"
    await connection.execute(f"CREATE ROLE {user}")
    opened = await asyncpg.connect(**postgres_server.connect_args(ADMIN, database_name))
    try:
        await opened.execute(f"SET SESSION AUTHORIZATION {user}")
        with pytest.raises(StoreNotReady, match="GRANT sg_owner, sg_api"):
            await migrate(opened)
    finally:
        await opened.close()
        await connection.execute(f"DROP ROLE {user}")


async def test_a_database_without_our_schema_is_not_opened_unmigrated(
    postgres_server: EmbeddedPostgres, empty_database: str
) -> None:
    with pytest.raises(StoreNotReady, match="run smsgate migrate"):
        await Database.open(postgres_server, database=empty_database, migrate=False)
    async with await Database.open(postgres_server, database=empty_database) as opened:
        assert opened.migrated[0] == "0001_core"
