"""
The store's door: one pool per database role, and nothing else in smsgate opens a connection.

    api      sg_api     the API and the portal: row-level security, one merchant per transaction
    bulk     sg_bulk    sending, flush, inbound: all merchants, statements from the catalogue
    report   sg_report  reads that may take long
    control  sg_owner   leases, partitions; always the control server

LISTEN and the renewal of leases have connections of their own, beside the pools.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from smsgate.errors import CommitUnknown, StoreNotReady, StoreUnavailable
from smsgate.store import migrate as migrations
from smsgate.store import roles
from smsgate.store.connection import OPEN_PREFIXES, Connection, translate
from smsgate.store.driver import TypedConnection
from smsgate.store.dsn import Dsns, Source
from smsgate.store.embedded import EmbeddedPostgres

SERVER_MIN: Final = 160_000  # server_version_num: PostgreSQL 16
ACQUIRE_TIMEOUT_S: Final = (
    10.0  # a caller that waits longer gets StoreUnavailable: the shop's own time-out is near
)
CONNECT_TIMEOUT_S: Final = 10.0
COMMON_SETTINGS: Final = {
    "timezone": "UTC",
    "citus.max_adaptive_executor_pool_size": "1",  # plain PostgreSQL takes it as a placeholder
}
_CLEAN: Final = "RESET ALL; RESET ROLE;"  # the second is not in the first
_BEGIN: Final = "BEGIN"  # as the driver begins a transaction
# A forgotten transaction holds locks and stops VACUUM: the server ends it.
ROLE_SETTINGS: Final[dict[str, dict[str, str]]] = {
    roles.API: {
        "statement_timeout": "30s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
    },
    roles.BULK: {
        "statement_timeout": "60s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "60s",
    },
    roles.REPORT: {"statement_timeout": "600s", "default_transaction_read_only": "on"},
    roles.OWNER: {},
}


@dataclass(frozen=True, slots=True)
class PoolSizes:
    """Connections at most, per role; together well under the server's max_connections (100)."""

    api: int = 10
    bulk: int = 8
    report: int = 2
    control: int = 3


class _Session(TypedConnection):
    """A pooled connection whose role is put back between users: RESET ALL leaves a changed one."""

    def get_reset_query(self) -> str:
        return f"{super().get_reset_query()}\nRESET ROLE;"


class _ApiSession(TypedConnection):
    """
    A pooled connection that is put back to what it was when it is taken, in one step with BEGIN.

    Beside a running campaign each step of a request waits for its turn of the loop and of the database.
    """

    _entry = ""

    def get_reset_query(self) -> str:
        return ""

    def enter(self, merchant_id: int, *, planned_once: bool, in_order: bool = False) -> None:
        """
        Let the next transaction be this merchant's. Without it no row of any merchant is seen.

        `in_order`: a page is its first rows by an index. Of a table that grows faster than it is analyzed the
        planner takes a few to be all, and sorts what a bitmap finds: a whole campaign for 20 messages.
        """
        self._entry = f"SELECT set_config('app.merchant', '{merchant_id:d}', true)"
        if in_order:
            self._entry += ", set_config('enable_bitmapscan', 'off', true)"
        if planned_once:
            self._entry += ", set_config('plan_cache_mode', 'force_generic_plan', true)"

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        if self._entry and query.startswith(_BEGIN):
            query, self._entry = f"{_CLEAN} {query} {self._entry};", ""
        status: str = await super().execute(query, *args, **options)
        return status


class _BulkSession(TypedConnection):
    """
    A pooled connection that nobody leaves a trace on, so putting it back needs no statement.

    The catalogue's statements set nothing and listen to nothing; an open transaction is ended all the same.
    A reset costs 0.1 ms of PostgreSQL, a dozen times a second and more.
    """

    def get_reset_query(self) -> str:
        return ""


class Database:
    """
    Open with `Database.open`; every method raises StoreUnavailable or StoreError, never the driver's
    errors.
    """

    def __init__(self, source: Source, database: str, sizes: PoolSizes, application_name: str) -> None:
        self._source = source
        self._database = database
        self._sizes = sizes
        self._application_name = application_name
        self._pools: dict[str, asyncpg.Pool[asyncpg.Record]] = {}
        self._ending: set[asyncio.Task[None]] = set()  # reads that are over; at most as many as connections
        self.migrated: Sequence[str] = ()  # what `open` applied

    @classmethod
    async def open(
        cls,
        source: Source,
        *,
        database: str | None = None,
        migrate: bool = True,
        sizes: PoolSizes | None = None,
        application_name: str = "smsgate",
    ) -> Self:
        """
        Check the server, migrate (or only check the schema) and return the open database.

        The source is an `EmbeddedPostgres` that runs, or `Dsns`; `database` is for another name than its
        usual one.

        Raises:
            StoreNotReady: the server is too old, or the schema is not as it must be.
            StoreUnavailable: it cannot be reached.
        """
        name = source.database if database is None else database
        self = cls(source, name, sizes or PoolSizes(), application_name)
        connection = await self.connect(roles.ADMIN)
        try:
            await _check_version(connection)
            if migrate:
                self.migrated = await migrations.migrate(connection, login=not isinstance(source, Dsns))
            else:
                await migrations.check(connection)
        finally:
            await connection.close()
        with translate():
            for role, size in (
                (roles.API, self._sizes.api),
                (roles.BULK, self._sizes.bulk),
                (roles.REPORT, self._sizes.report),
                (roles.OWNER, self._sizes.control),
            ):
                self._pools[role] = await self._make_pool(role, size)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for what runs and close every connection."""
        with translate():
            for pool in self._pools.values():
                await pool.close()

    @property
    def data_dir(self) -> Path | None:
        """Return where the embedded server's data are; None: the server is somebody else's."""
        return self._source.data_dir if isinstance(self._source, EmbeddedPostgres) else None

    @asynccontextmanager
    async def transaction(self, merchant_id: int, *, planned_once: bool = False) -> AsyncIterator[Connection]:
        """
        Open a transaction of the API role that sees and writes this merchant's rows only.

        `planned_once`: its statements are planned without their values, for keys of many partitions: with a
        value they are planned anew each time, which takes twenty times as long as the look-up itself.
        """
        async with self._acquire(roles.API) as connection:
            cast("_ApiSession", connection).enter(merchant_id, planned_once=planned_once)
            async with connection.transaction():
                yield connection

    @asynccontextmanager
    async def reading(self, merchant_id: int, *, planned_once: bool = False) -> AsyncIterator[Connection]:
        """
        Open a transaction as `transaction` does, of one snapshot, for reads: nobody waits for its end.

        Beside a running campaign each step of it waits for its turn of the loop, and the end is two of them.
        """
        with translate():
            connection = await self._take(roles.API)
            cast("_ApiSession", connection).enter(merchant_id, planned_once=planned_once, in_order=True)
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            try:
                await transaction.start()
                yield connection
            finally:
                task = asyncio.create_task(self._end(connection, transaction))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    async def _end(self, connection: Any, transaction: Transaction) -> None:
        """Give a reader's connection back. It may be gone: who read has heard of that, or has its answer."""
        try:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await transaction.rollback()
        finally:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._pools[roles.API].release(connection, timeout=ACQUIRE_TIMEOUT_S)

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Connection]:
        """
        Lend a connection of the API role outside of any merchant: keys, prices; no merchant's row is
        seen.
        """
        async with self._acquire(roles.API) as connection:
            await connection.execute(_CLEAN)
            yield connection

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[Connection]:
        """Lend a connection of the bulk role, each statement its own transaction unless you open one."""
        async with self._acquire(roles.BULK) as connection:
            yield connection

    @asynccontextmanager
    async def bulk_transaction(self) -> AsyncIterator[Connection]:
        """
        Open a transaction of the bulk role.

        Raises:
            CommitUnknown: the connection broke at COMMIT; after any other error nothing of it stands.
        """
        committing = False
        try:
            async with self._acquire(roles.BULK) as connection, connection.transaction():
                yield connection
                committing = True
        except StoreUnavailable as exc:
            if committing and exc.sqlstate.startswith(OPEN_PREFIXES):
                unknown = CommitUnknown(str(exc))
                unknown.sqlstate = exc.sqlstate
                raise unknown from exc
            raise

    @asynccontextmanager
    async def report(self) -> AsyncIterator[Connection]:
        """Open a read-only transaction with one snapshot, so that sums and lists of a report agree."""
        async with self._acquire(roles.REPORT) as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield connection

    @asynccontextmanager
    async def control(self) -> AsyncIterator[Connection]:
        """Lend a connection of the owner role to the control server."""
        async with self._acquire(roles.OWNER) as connection:
            yield connection

    async def connect(
        self, role: str, settings: Mapping[str, str] | None = None
    ) -> asyncpg.Connection[asyncpg.Record]:
        """
        Return a connection outside of the pools, for LISTEN, renewals or a long session lock; the caller
        closes it.

        `settings` are PostgreSQL's, of this session alone.
        """
        with translate():
            try:
                return await asyncpg.connect(**self._arguments(role, settings or {}))
            except asyncpg.ClientConfigurationError as exc:
                raise StoreNotReady(f"The DSN of the database cannot be used: {exc}") from exc
            except ValueError:  # its text may quote what stands where a port should, perhaps a password
                raise StoreNotReady(
                    "The DSN of the database cannot be read: quote its special characters."
                ) from None

    async def _make_pool(self, role: str, size: int) -> asyncpg.Pool[asyncpg.Record]:
        arguments = self._arguments(role, {})
        kind = {roles.API: _ApiSession, roles.BULK: _BulkSession}.get(role, _Session)
        return await asyncpg.create_pool(**arguments, connection_class=kind, min_size=0, max_size=size)

    def _arguments(self, role: str, more: Mapping[str, str]) -> dict[str, Any]:
        settings = {"application_name": f"{self._application_name} {role}", **COMMON_SETTINGS, **more}
        if role != roles.ADMIN:
            # As a start-up setting the role is the session's default, to which `_Session` comes back.
            settings |= {"role": role, **ROLE_SETTINGS[role]}
        return {
            **self._source.connect_args(role, self._database),
            "timeout": CONNECT_TIMEOUT_S,
            "server_settings": settings,
        }

    @asynccontextmanager
    async def _acquire(self, role: str) -> AsyncIterator[Connection]:
        with translate():
            connection = await self._take(role)
            try:
                yield connection
            finally:
                await self._pools[role].release(connection, timeout=ACQUIRE_TIMEOUT_S)

    async def _take(self, role: str) -> PoolConnectionProxy[asyncpg.Record]:
        # The driver's own limit makes a task of it, also where a connection is free: two turns of the loop.
        async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
            return await self._pools[role].acquire()


async def _check_version(connection: Connection) -> None:
    with translate():
        number = int(await connection.fetchval("SHOW server_version_num"))
    if number < SERVER_MIN:
        raise StoreNotReady(
            f"The server is PostgreSQL {number // 10_000}, and smsgate needs {SERVER_MIN // 10_000} or later."
        )
