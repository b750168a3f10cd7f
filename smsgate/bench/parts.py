"""What a run is made with: a throw-away database, written before or new, and an SMSC."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from smsgate.bench.scene import prepare
from smsgate.errors import SmsgateError
from smsgate.links.profile_values import Host
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database


class BenchFailed(SmsgateError):
    code = "bench_failed"


def _reachable_dir() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="smsgate-bench-"))
    directory.chmod(0o711)  # ours; PostgreSQL's own user, when root runs this, has to get in
    return directory


@asynccontextmanager
async def throw_away_database(written: Path | None = None) -> AsyncIterator[EmbeddedPostgres]:
    """
    Run an embedded server with the settings that `smsgate run` has: fsync and synchronous_commit on.

    `written`: the state directory of a stopped server, whose copy it begins with.
    """
    directory = _reachable_dir()
    try:
        if written is not None:
            await _copy(written, directory / "state")
        async with EmbeddedPostgres(directory / "state", system_dir=directory / "system") as server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _copy(state_dir: Path, target: Path) -> None:
    """Copy a stopped server with its owners and modes; what follows does not pay for writing the copy."""
    for command in (["cp", "-a", "--reflink=auto", str(state_dir), str(target)], ["sync"]):
        process = await asyncio.create_subprocess_exec(*command)
        if await process.wait():
            raise BenchFailed(f"{state_dir} could not be copied to {target}")


@dataclass(frozen=True, slots=True)
class Written:
    """A database that runs begin with a copy of: a stopped server's state directory, and where people are."""

    state_dir: Path
    place: str


@asynccontextmanager
async def written_database(
    messages: int, past: Callable[[Database], Awaitable[object]] | None = None
) -> AsyncIterator[Written]:
    """Write the people and the one campaign of a run, and what the database has from before."""
    directory = _reachable_dir()
    try:
        state_dir = directory / "state"
        async with (
            EmbeddedPostgres(state_dir, system_dir=directory / "system") as server,
            await Database.open(server) as database,
        ):
            place = await prepare(database, messages)
            if past is not None:
                await past(database)
        yield Written(state_dir, place)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class OwnSmsc:
    host: Host
    phones: asyncio.StreamWriter  # an MSISDN and "\n": it says OK


@asynccontextmanager
async def own_smsc() -> AsyncIterator[OwnSmsc]:
    """Run the simulator as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "smsgate.bench.smsc",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = (await process.stdout.readline()).strip()
        if not port:
            raise BenchFailed("the SMSC simulator did not start; `smsgate smsc` says why")
        yield OwnSmsc(Host("127.0.0.1", int(port)), process.stdin)
    finally:
        process.stdin.close()  # it ends with its input
        await process.wait()
