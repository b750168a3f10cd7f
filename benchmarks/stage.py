"""What both designs stand on: a throw-away PostgreSQL with the durable settings, an SMSC, a meter."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.roles import ADMIN

SENDER = "36111"
FIRST_MSISDN = 33_612_000_000
TEXT = (  # 160 septets
    "Boxman: le dernier CD de Madonna est là, 19,90€ port compris. Répondez OK = commande avec obligation "
    "de paiement. Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
)
LOOK_S = 0.02
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _reachable_dir() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="smsgate-bench-"))
    directory.chmod(0o711)  # ours; PostgreSQL's own user, when root runs this, has to get in
    return directory


@asynccontextmanager
async def throw_away_database() -> AsyncIterator[EmbeddedPostgres]:
    """Run an embedded server with the settings that `smsgate run` has: fsync and synchronous_commit on."""
    directory = _reachable_dir()
    try:
        async with EmbeddedPostgres(directory / "state", system_dir=directory / "system") as server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def an_smsc(given: str | None) -> AsyncIterator[tuple[str, int]]:
    """Return host and port of the given SMSC, or of a simulator that is started for this run."""
    if given is not None:
        host, _, port = given.rpartition(":")
        yield host, int(port)
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.smsc", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield "127.0.0.1", int(await process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@dataclass(frozen=True)
class Reading:
    wall_s: float
    gateway_cpu_s: float
    database_cpu_s: float
    wal_octets: int


class Meter:
    """Time, CPU of this process, CPU of all processes of PostgreSQL, octets of WAL."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        lines = (server.data_dir / "postmaster.pid").read_text().splitlines()
        self._postmaster = int(lines[0])

    async def read(self) -> Reading:
        connection = await asyncpg.connect(**self._server.connect_args(ADMIN, "postgres"))
        try:
            wal = int(await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))
        finally:
            await connection.close()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return Reading(time.monotonic(), used.ru_utime + used.ru_stime, self._database_cpu_s(), wal)

    def _database_cpu_s(self) -> float:
        """Add up the server, its children, and its children that have ended (counted by their parent)."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            user, system, children_user, children_system = map(int, fields[11:15])
            if int(path.parent.name) == self._postmaster:
                ticks += user + system + children_user + children_system
            elif int(fields[1]) == self._postmaster:
                ticks += user + system
        return ticks / TICKS_PER_S


def figures(before: Reading, after: Reading, messages: int) -> dict[str, Any]:
    wall_s = after.wall_s - before.wall_s
    return {
        "messages": messages,
        "wall_s": round(wall_s, 3),
        "per_second": round(messages / wall_s),
        "gateway_cpu_us": _us(after.gateway_cpu_s - before.gateway_cpu_s, messages),
        "database_cpu_us": _us(after.database_cpu_s - before.database_cpu_s, messages),
        "wal_bytes_per_message": round((after.wal_octets - before.wal_octets) / messages),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _us(cpu_s: float, messages: int) -> float:
    return round(cpu_s * 1e6 / messages, 1)


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float) -> bool:
    """Wait until `condition` holds; False: it did not within the limit, and the figures say so."""
    deadline = time.monotonic() + limit_s
    while not await condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_S)
    return True
