"""
Migrations: plain SQL files `migrations/NNNN_name.sql`, each applied once, in order, in one transaction.

What was applied stands in `schema_migration` with its checksum. Two processes may start at once: a session
lock on the control connection lets one go first, and the other then finds nothing to do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from smsgate.errors import SchemaOutdated, StoreNotReady, StoreUnavailable
from smsgate.store.connection import Connection, retry_transaction, translate
from smsgate.store.roles import OWNER, ROLES, ensure_roles

LOCK_KEY: Final = 0x736D7367_00000001  # "smsg", 1: one migrator at a time
LOCK_WAIT_MAX: Final = "600s"  # the other migrator may be building an index
LOCK_TIMEOUT: Final = "2s"  # a migration must not make senders queue behind it
FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
GRANTS: Final = "grants.sql"

_JOURNAL: Final = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version     int PRIMARY KEY,
    name        text NOT NULL,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
)"""

_RIGHTS: Final = """
SELECT bool_and(has_database_privilege(role, current_database(), 'CONNECT'))
   AND bool_and(has_schema_privilege(role, 'public', 'USAGE'))
   AND has_schema_privilege($2, 'public', 'CREATE')
  FROM unnest($1::text[]) role"""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped(directory: Traversable | None = None) -> tuple[Migration, ...]:
    """
    Return the migrations of a directory (ours, unless told), oldest first.

    Raises:
        ValueError: a version twice.
    """
    return _ours() if directory is None else _read(directory)


@cache
def _ours() -> tuple[Migration, ...]:
    """Some sixty files, which a process reads once, however many databases it opens."""
    return _read(_directory(None))


def _read(directory: Traversable) -> tuple[Migration, ...]:
    found: dict[int, Migration] = {}
    for path in directory.iterdir():
        if match := FILE_NAME.fullmatch(path.name):
            version = int(match[1])
            if version in found:
                raise ValueError(
                    f"two migrations have the number {version}: {found[version].name} and {match[2]}"
                )
            found[version] = Migration(version, match[2], path.read_text(encoding="utf-8"))
    return tuple(found[version] for version in sorted(found))


async def migrate(
    connection: Connection, *, login: bool = False, directory: Traversable | None = None
) -> list[str]:
    """
    Bring roles, schema and grants up to date and return the names of what was applied.

    Args:
        connection: a control connection of its own: its session role is changed meanwhile.
        login: the roles may log in; for the embedded cluster only.
        directory: where the migrations and grants.sql are.

    Raises:
        StoreNotReady: the schema is newer than this smsgate, an applied migration was changed, or rights are
        missing.
    """
    migrations = shipped(directory)
    grants = _directory(directory) / GRANTS
    applied: list[str] = []
    with translate():
        await connection.execute(f"SET lock_timeout = '{LOCK_WAIT_MAX}'")
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        try:
            await _prepare(connection, login=login)
            await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'; SET ROLE {OWNER}; {_JOURNAL}")
            for migration in await _pending(connection, migrations):
                await retry_transaction(partial(_apply, connection, migration), idempotent=False)
                applied.append(f"{migration.version:04}_{migration.name}")
            if grants.is_file():
                sql = grants.read_text(encoding="utf-8")
                await retry_transaction(partial(_execute, connection, sql), idempotent=True)
        finally:
            if not connection.is_closed():
                await connection.execute("RESET ROLE; RESET lock_timeout")
                await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)
    return applied


async def check(connection: Connection, *, directory: Traversable | None = None) -> None:
    """
    Compare the database's schema with ours, changing nothing.

    Raises:
        StoreNotReady: they differ; says whether to migrate or to upgrade.
    """
    with translate():
        if not await connection.fetchval("SELECT to_regclass('schema_migration') IS NOT NULL"):
            raise SchemaOutdated("The database has no smsgate schema yet: run smsgate migrate.", empty=True)
        if pending := await _pending(connection, shipped(directory)):
            names = ", ".join(f"{migration.version:04}_{migration.name}" for migration in pending)
            raise SchemaOutdated(
                f"The database schema is older than this smsgate (missing: {names}): run smsgate migrate.",
                empty=False,
            )


def _directory(directory: Traversable | None) -> Traversable:
    return files("smsgate.store") / "migrations" if directory is None else directory


async def _prepare(connection: Connection, *, login: bool) -> None:
    """Give the roles the rights that only the owner of the database and of its schema can give."""
    await ensure_roles(connection, login=login)
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    grants = (
        f"GRANT CONNECT ON DATABASE {database} TO {', '.join(ROLES)}",
        f"GRANT USAGE ON SCHEMA public TO {', '.join(ROLES)}",
        f"GRANT CREATE ON SCHEMA public TO {OWNER}",
    )
    if await connection.fetchval(_RIGHTS, list(ROLES), OWNER):
        return
    for grant in grants:
        await connection.execute(grant)
    if not await connection.fetchval(_RIGHTS, list(ROLES), OWNER):  # without the right, GRANT only warns
        raise StoreNotReady(f"The owner of the database must run: {'; '.join(grants)};")


async def _pending(connection: Connection, migrations: Sequence[Migration]) -> list[Migration]:
    """Return what is not applied yet, after comparing what is."""
    rows = await connection.fetch("SELECT version, name, checksum FROM schema_migration ORDER BY version")
    known = {migration.version: migration for migration in migrations}
    for row in rows:
        ours = known.get(row["version"])
        label = f"{row['version']:04}_{row['name']}"
        if ours is None:
            raise StoreNotReady(
                f"The database schema is newer than this smsgate: it has the migration {label}. Use the "
                "newer smsgate."
            )
        if ours.checksum != row["checksum"]:
            raise StoreNotReady(
                f"The migration {label} was changed after it was applied to this database. Put the file back "
                "as it was; "
                "what has to change goes into a new migration."
            )
    done = {row["version"] for row in rows}
    return [migration for migration in migrations if migration.version not in done]


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        with translate():
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migration (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
    except StoreUnavailable:
        raise
    except Exception as exc:
        raise StoreNotReady(f"The migration {migration.version:04}_{migration.name} failed: {exc}") from exc


async def _execute(connection: Connection, sql: str) -> None:
    with translate():
        async with connection.transaction():
            await connection.execute(sql)
