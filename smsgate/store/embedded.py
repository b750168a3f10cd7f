"""
PostgreSQL inside smsgate: the wheel's programs, our own start, our own rules of access.

Several processes may use one server (the daemon and a command line): the first starts it, the last one to
leave stops it. Two locks in the state directory say who is there; the kernel drops them when a process dies:

* `postgres.start.lock`  exclusive, while somebody decides to start or to stop;
* `postgres.users.lock`  shared, as long as one uses the server.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import asyncpg

from smsgate.errors import StoreError, StoreNotReady, StoreUnavailable
from smsgate.store import embedded_server as steps
from smsgate.store.connection import translate
from smsgate.store.dsn import DATABASE
from smsgate.store.embedded_paths import SYSTEM_DIR, Layout, make_state_dir, plan
from smsgate.store.roles import ADMIN

START_LIMIT_S: Final = 600.0  # crash recovery of max_wal_size on a slow disk takes minutes, not hours
STALL_LIMIT_S: Final = 120.0  # log and control file silent for so long: it no longer gets on
LAUNCH_GRACE_S: Final = 5.0  # between pg_ctl's return and postmaster.pid
REPORT_INTERVAL_S: Final = 2.0
POLL_INTERVAL_S: Final = 0.02
# Between two looks whether the server lives: found dead and recovered, it is back before a node's lease ends.
GUARD_INTERVAL_S: Final = 0.5

CANNOT_CONNECT_NOW: Final = "57P03"

OnProgress = Callable[[str], None]


def _silent(_sentence: str) -> None:
    return


class EmbeddedPostgres:
    """
    One server, as an async context manager: `async with EmbeddedPostgres(Path("var")) as server: ...`.

    Args:
        state_dir: data go to `postgres` in it; made when missing.
        database: the one that is meant where none is named; made when missing.
        on_progress: called with a sentence for the operator about every 2 s while a start takes long, and for
            everything worth knowing about where the data are.
        settings: PostgreSQL settings that differ from ours.
        keep_running: leave the server running on close, whoever is last.
        system_dir: where root puts what PostgreSQL's user cannot reach in `state_dir`.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        database: str = DATABASE,
        on_progress: OnProgress = _silent,
        settings: Mapping[str, str] | None = None,
        keep_running: bool = False,
        system_dir: Path = SYSTEM_DIR,
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._database = database
        self._on_progress = on_progress
        self._settings = dict(settings or {})
        self._keep_running = keep_running
        self._system_dir = system_dir
        self._layout: Layout | None = None
        self._socket_dir: Path | None = None
        self._users_lock: int | None = None
        self.started = False  # whether this object started the server, rather than finding it

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def data_dir(self) -> Path:
        assert self._layout is not None
        return self._layout.data_dir

    @property
    def database(self) -> str:
        return self._database

    def connect_args(self, role: str, database: str | None = None) -> dict[str, Any]:
        """Return the keyword arguments of asyncpg.connect for one of the roles of `store.roles`."""
        assert self._socket_dir is not None, "not started"
        return {
            "host": str(self._socket_dir),
            "port": steps.PORT,
            "user": role,
            "database": database or self._database,
            "ssl": False,
        }

    def dsn(self, role: str = ADMIN, database: str | None = None) -> str:
        """Return the same as a DSN, for another process of the same system user."""
        args = self.connect_args(role, database)
        host, name = quote(args["host"], safe=""), quote(args["database"])
        return f"postgresql://{role}@/{name}?host={host}&port={args['port']}"

    async def start(self) -> None:
        """
        Start the server, or find it running, and return when it takes connections.

        Raises:
            StoreNotReady: it cannot start; the sentence says why. After a time-out the server may still be
                recovering, and the next start finds it.
        """
        assert self._users_lock is None, "started twice"
        try:
            await asyncio.to_thread(make_state_dir, self._state_dir)
            start_lock = await self._lock("postgres.start.lock", fcntl.LOCK_EX)
            try:
                self._layout = await asyncio.to_thread(plan, self._state_dir, self._system_dir)
                for notice in self._layout.notices:
                    self._on_progress(notice)
                await self._ensure_running(self._layout)
                self._users_lock = await self._lock("postgres.users.lock", fcntl.LOCK_SH)
            except asyncio.CancelledError:
                # Nobody uses it yet; what recovery has not done it does at the next start.
                if self.started and self._layout is not None:
                    await asyncio.shield(asyncio.to_thread(steps.stop, self._layout))
                raise
            finally:
                os.close(start_lock)
        except OSError as exc:
            raise StoreNotReady(f"The embedded database in {self._state_dir} cannot be used: {exc}") from exc

    async def close(self) -> bool:
        """Leave, and stop the server when nobody else uses it; return whether it was stopped."""
        if self._users_lock is None or self._layout is None:
            return False
        users_lock, self._users_lock = self._users_lock, None
        start_lock = await self._lock("postgres.start.lock", fcntl.LOCK_EX)
        try:
            fcntl.flock(users_lock, fcntl.LOCK_UN)
            if self._keep_running or not _try_lock(users_lock, fcntl.LOCK_EX):
                return False
            if await asyncio.to_thread(steps.find, self._layout.data_dir) is None:
                return False
            await asyncio.shield(asyncio.to_thread(steps.stop, self._layout))
            return True
        finally:
            os.close(users_lock)
            os.close(start_lock)

    @asynccontextmanager
    async def guarded(self) -> AsyncIterator[None]:
        """
        Start the server again when it dies (the kernel was out of memory, somebody killed it) meanwhile.

        Else whoever works with the database must end, and what it knew of the carriers' answers is lost.
        """
        guard = asyncio.create_task(self._guard(), name="database-guard")
        try:
            yield
        finally:
            guard.cancel()
            await asyncio.gather(guard, return_exceptions=True)

    async def _guard(self) -> None:
        while True:
            await asyncio.sleep(GUARD_INTERVAL_S)
            try:
                await self._revive()
            except (StoreError, OSError) as exc:
                self._on_progress(f"The database could not be started again: {exc}")

    async def _revive(self) -> None:
        """Bring a dead server up; one whose data are gone stays dead: an empty one is no replacement."""
        layout = self._layout
        assert layout is not None
        if await asyncio.to_thread(steps.find, layout.data_dir) is not None:
            return
        start_lock = await self._lock("postgres.start.lock", fcntl.LOCK_EX)
        try:
            if not await asyncio.to_thread((layout.data_dir / "PG_VERSION").is_file):
                raise StoreNotReady(f"{layout.data_dir} is gone.")
            if await asyncio.to_thread(steps.find, layout.data_dir) is None:
                self._on_progress("The database server has died; starting it again")
                await self._ensure_running(layout)
                self._on_progress("The database server runs again")
        finally:
            os.close(start_lock)

    async def _lock(self, name: str, kind: int) -> int:
        """Return an open file with this lock on it; waits as long as another process may take to start."""
        fd = await asyncio.to_thread(_open_lock, self._state_dir, name)
        try:
            await self._wait_for_lock(fd, name, kind)
        except BaseException:
            os.close(fd)
            raise
        return fd

    async def _wait_for_lock(self, fd: int, name: str, kind: int) -> None:
        report = _Report(self._on_progress)
        while not _try_lock(fd, kind):
            if report.seconds() > START_LIMIT_S + STALL_LIMIT_S:
                raise StoreNotReady(f"Another process has held {self._state_dir / name} for too long.")
            report.say(lambda: "Another smsgate process is starting or stopping the database; waiting for it")
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _ensure_running(self, layout: Layout) -> None:
        """Bring the server up; the start lock is held."""
        if await asyncio.to_thread(layout.data_dir.is_dir):
            await asyncio.to_thread(steps.check_major, layout)
        else:
            self._on_progress(f"Making the database in {layout.data_dir}")
            durable = self._settings.get("fsync", "on") == "on"
            await _to_its_end(partial(steps.initialise, layout, durable=durable))
        server = await asyncio.to_thread(steps.find, layout.data_dir)
        if server is not None and server.status == "stopping":
            await self._wait_until_gone(layout)
            server = None
        since = steps.wall_time()
        if server is None:
            await self._wait_for_orphans(layout)
            await asyncio.to_thread(steps.forget_dead_server, layout)
            await asyncio.to_thread(steps.configure, layout, self._settings)
            self.started = True  # before it is: a launch that is cancelled is stopped
            await _to_its_end(partial(steps.launch, layout))
        self._socket_dir = await self._wait_until_ready(layout, since)
        await self._ensure_database()

    async def _wait_until_ready(self, layout: Layout, since: float) -> Path:
        report = _Report(self._on_progress)
        seen, mark, moved_at = False, None, time.monotonic()
        while True:
            server = await asyncio.to_thread(steps.find, layout.data_dir)
            if server is not None and server.status == "ready":
                return server.socket_dir
            seen = seen or server is not None
            if server is None and (
                seen
                or report.seconds() > LAUNCH_GRACE_S
                or await asyncio.to_thread(steps.refusal, layout.data_dir)
            ):
                words = await asyncio.to_thread(steps.failure_words, layout.data_dir, since)
                raise StoreNotReady(
                    f"PostgreSQL did not start: {words or 'it said nothing'} ({layout.data_dir}/log)"
                )
            if (fresh := await asyncio.to_thread(steps.progress_mark, layout.data_dir)) != mark:
                mark, moved_at = fresh, time.monotonic()
            if report.seconds() > START_LIMIT_S or time.monotonic() - moved_at > STALL_LIMIT_S:
                raise StoreNotReady(
                    f"PostgreSQL was not ready after {report.seconds():.0f} s; it goes on by itself, and the "
                    "next start "
                    f"finds it. Its log: {layout.data_dir}/log"
                )
            report.say(lambda: _starting_words(layout, since))
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _wait_until_gone(self, layout: Layout) -> None:
        report = _Report(self._on_progress)
        ending = asyncio.create_task(asyncio.to_thread(steps.await_end, layout))
        while not ending.done():
            await asyncio.wait([ending], timeout=REPORT_INTERVAL_S)
            report.say(lambda: "The database is being stopped by another process; waiting for it")
        await ending

    async def _wait_for_orphans(self, layout: Layout) -> None:
        """
        After a kill of the server alone its children end by themselves; until then nobody may start
        another.
        """
        report = _Report(self._on_progress)
        while pids := await asyncio.to_thread(steps.orphans, layout.data_dir):
            if report.seconds() > STALL_LIMIT_S:
                raise StoreNotReady(
                    f"PostgreSQL was killed, but its processes {pids} still work in {layout.data_dir}: end "
                    "them first."
                )
            report.say(lambda: "PostgreSQL was killed; waiting for the processes that it left")
            await asyncio.sleep(POLL_INTERVAL_S)

    async def recreate_database(self, name: str) -> None:
        """Drop a database with everything in it, and make it empty: for demonstrations and benchmarks."""
        assert name != DATABASE, "that one is the product's own"
        async with self._administration() as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            await _create_database(connection, name)

    async def _ensure_database(self) -> None:
        report = _Report(self._on_progress)
        while True:
            try:
                async with self._administration() as connection:
                    if not await connection.fetchval(
                        "SELECT 1 FROM pg_database WHERE datname = $1", self._database
                    ):
                        await _create_database(connection, self._database)
            except StoreUnavailable as exc:
                # It lost a backend and recovers from that; its status file says "ready" all the while.
                if exc.sqlstate != CANNOT_CONNECT_NOW or report.seconds() > START_LIMIT_S:
                    raise
                report.say(lambda: "The database recovers from the death of one of its processes")
                await asyncio.sleep(POLL_INTERVAL_S)
            else:
                return

    @asynccontextmanager
    async def _administration(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        with translate():
            connection = await asyncpg.connect(**self.connect_args(ADMIN, "postgres"))
            try:
                yield connection
            finally:
                await connection.close()


async def _create_database(connection: asyncpg.Connection[asyncpg.Record], name: str) -> None:
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')


class _Report:
    """Say something about every REPORT_INTERVAL_S, with the seconds waited so far."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._began_at = self._said_at = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._began_at

    def say(self, words: Callable[[], str]) -> None:
        if time.monotonic() - self._said_at >= REPORT_INTERVAL_S:
            self._said_at = time.monotonic()
            self._on_progress(f"{words()} ({self.seconds():.0f} s so far)")


def _starting_words(layout: Layout, since: float) -> str:
    words = steps.last_words(layout.data_dir, since)
    return f"The database is starting: {words}" if words else "The database is starting"


async def _to_its_end(step: Callable[[], object]) -> None:
    """Run a step in a thread; who is cancelled waits for its end: it would go on writing without us."""
    running = asyncio.create_task(asyncio.to_thread(step))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _open_lock(state_dir: Path, name: str) -> int:
    path = state_dir / name
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    # Made by root in somebody's directory: its owner must be able to take the lock next time.
    owner = state_dir.stat()
    if owner.st_uid != os.geteuid():
        os.fchown(fd, owner.st_uid, owner.st_gid)
    return fd


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
