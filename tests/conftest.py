"""
One PostgreSQL for a whole test run, one migrated template in it, one database of its own for each test that
asks.

The cluster is in a temporary directory of this run. Every worker of pytest-xdist uses it; the first starts
it, the last to leave stops it (that is what EmbeddedPostgres does for the product's own processes).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database, PoolSizes
from smsgate.store.roles import ADMIN

T = TypeVar("T")

# How long an example takes says how busy the machine is; what is tested is what comes out. With CI set,
# Hypothesis takes its own profile, which draws the same examples each time.
settings.register_profile("quiet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if not os.environ.get("CI"):
    settings.load_profile("quiet")

# By itself structlog draws a traceback with rich, frames and all variables: a second of CPU each.
PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], PLAIN])

# Only root can be wrong in root's way; there is nothing to skip for others.
collect_ignore = [] if os.geteuid() == 0 else ["store/test_embedded_root.py"]

CLUSTER_ENV = "SMSGATE_TEST_CLUSTER_DIR"  # from the process that the person started to its workers
TEMPLATE = "smsgate_template"
PARTITIONS_AHEAD_DAYS = (
    1  # yesterday, today and tomorrow; a test with another clock calls `make_ahead` itself
)
# A database is some 500 small files: 15 ms in memory, half a second on a slow disk.
MEMORY_DISK = Path("/dev/shm")
MEMORY_DISK_FREE_MIN = 2 << 30  # octets; a container's default of 64 MiB is not enough
# Durability is not what these tests are about, and two cores are shared: no fsync, in tests alone.
TEST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "min_wal_size": "80MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "autovacuum_naptime": "60s",
}


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[CLUSTER_ENV] = str(_make_reachable_dir())


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        directory = Path(os.environ.pop(CLUSTER_ENV))
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(_system_dir(directory), ignore_errors=True)


def _make_reachable_dir() -> Path:
    roomy = MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free >= MEMORY_DISK_FREE_MIN
    directory = Path(tempfile.mkdtemp(prefix="smsgate-tests-", dir=MEMORY_DISK if roomy else None))
    directory.chmod(0o711)  # ours; PostgreSQL's own user, when root runs the tests, has to get in
    return directory


def _system_dir(directory: Path) -> Path:
    """Return where copies of PostgreSQL's programs may go; a disk in memory may forbid running them."""
    return Path(tempfile.gettempdir()) / f"{directory.name}-system"


@contextmanager
def a_reachable_dir() -> Iterator[Path]:
    """Make a directory that PostgreSQL's own user can reach; pytest's `tmp_path` is private."""
    directory = _make_reachable_dir()
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def reachable_dir() -> Iterator[Path]:
    with a_reachable_dir() as directory:
        yield directory


def in_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread: session fixtures must not touch the loops of the tests."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """Run the one cluster of this test run, with the migrated template in it."""
    directory = Path(os.environ[CLUSTER_ENV])
    server = EmbeddedPostgres(directory / "state", settings=TEST_SETTINGS, system_dir=_system_dir(directory))
    in_own_loop(server.start())
    try:
        with (directory / "template.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (directory / "template.done").exists():
                in_own_loop(_make_template(server))
                (directory / "template.done").touch()
        yield server
    finally:
        in_own_loop(server.close())


@pytest.fixture
async def empty_database(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """Make a database without any schema and return its name."""
    async for name in _database_of_its_own(postgres_server, "template0"):
        yield name


@pytest.fixture
async def database_name(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """Make a migrated database and return its name; `postgres_server.dsn(role, name)` leads to it."""
    async for name in _database_of_its_own(postgres_server, TEMPLATE):
        yield name


@pytest.fixture
async def other_database_name(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """Make another one: for a second gateway that has nothing to do with the first."""
    async for name in _database_of_its_own(postgres_server, TEMPLATE):
        yield name


@pytest.fixture
async def database(postgres_server: EmbeddedPostgres, database_name: str) -> AsyncIterator[Database]:
    """Open a migrated database of the test's own."""
    sizes = PoolSizes(api=4, bulk=4, report=1, control=3)
    async with await Database.open(
        postgres_server, database=database_name, migrate=False, sizes=sizes
    ) as opened:
        yield opened


async def _make_template(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(**server.connect_args(ADMIN, "postgres"))
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    finally:
        await connection.close()
    async with await Database.open(server, database=TEMPLATE) as template, template.control() as control:
        await make_ahead(control, datetime.now(UTC), PARTITIONS_AHEAD_DAYS)


async def _database_of_its_own(server: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(**server.connect_args(ADMIN, "postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield name
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
