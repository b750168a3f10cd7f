"""
One more gateway process on the database of `benchmarks.inbound`: another node, with its own binds.

    python -m benchmarks.inbound_gateway DIRECTORY NTH SMSC_PORT PROCESSES PLACE

It says what it has done (`Done`) as a line of JSON when it has started, and again for each line that it
reads; it ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import SecretStr

from benchmarks.running import run_as_daemon
from smsgate.bench.main import BINDS, BenchOptions, bench_settings
from smsgate.bench.meter import rss_max_mb
from smsgate.config import DatabaseSettings, NodeSettings, Settings
from smsgate.daemon.gateway import Gateway
from smsgate.daemon.process import running
from smsgate.links.profile_values import Host
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.keyring import MASTER_KEY_FILE


class Done(NamedTuple):
    """Of one process: what it wrote and committed, what it still has to, and what it took."""

    submitted: int
    answers: int
    busy: bool  # with messages that are not written, or whose outcome is not committed
    cpu_s: float
    rss_mb: int


def done_by(gateway: Gateway) -> Done:
    pump, used = gateway.pump, resource.getrusage(resource.RUSAGE_SELF)
    busy = bool(pump.held_messages or pump.uncommitted or pump.batches()) or not gateway.outcomes.empty()
    return Done(pump.submitted, gateway.intake.taken, busy, used.ru_utime + used.ru_stime, rss_max_mb())


class Other:
    """The process, seen from the one that measures."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def begun(self) -> Self:
        await self._heard()
        return self

    async def done(self) -> Done:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return await self._heard()

    async def _heard(self) -> Done:
        assert self._process.stdout is not None
        return Done(*json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def another_gateway(
    directory: Path, nth: int, smsc: Host, processes: int, place: str
) -> AsyncIterator[Other]:
    given = (directory, nth, smsc.port, processes, place)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.inbound_gateway", *map(str, given),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        yield await Other(process).begun()
    finally:
        process.stdin.close()
        await process.wait()


def share_of(settings: Settings, processes: int) -> Settings:
    """Return the settings of one of so many: binds are a process's own, and a contract says how many."""
    carriers = tuple(each.model_copy(update={"binds": BINDS // processes}) for each in settings.carriers)
    return settings.model_copy(update={"carriers": carriers})


def node_settings(first: Settings, server: EmbeddedPostgres, nth: int) -> Settings:
    """Return those of another node: its own directory, the first one's master key, the server by DSN."""
    state_dir = server.data_dir.parent.parent / f"node-{nth}"
    state_dir.mkdir()
    key = state_dir / MASTER_KEY_FILE
    key.touch(0o600)
    key.write_bytes((first.node.state_dir / MASTER_KEY_FILE).read_bytes())
    node = NodeSettings(state_dir=state_dir, roles=("gateway",))
    return first.model_copy(update={"node": node, "database": DatabaseSettings(dsn=SecretStr(server.dsn()))})


async def run(directory: Path, nth: int, smsc: Host, processes: int, place: str) -> None:
    async with EmbeddedPostgres(directory / "state", system_dir=directory / "system") as server:
        first = share_of(bench_settings(server, BenchOptions(messages=0), smsc, place), processes)
        async with running(node_settings(first, server, nth), say=lambda _: None) as process:
            assert process.gateway is not None
            print(json.dumps(done_by(process.gateway)), flush=True)
            while await asyncio.to_thread(sys.stdin.readline):
                print(json.dumps(done_by(process.gateway)), flush=True)


def main() -> None:
    directory, nth, port, processes, place = sys.argv[1:]
    run_as_daemon(run(Path(directory), int(nth), Host("127.0.0.1", int(port)), int(processes), place))


if __name__ == "__main__":
    main()
