"""
API reads beside a running bulk: how long a campaign, a message, a list and a statement take meanwhile.

    python -m benchmarks.beside [--messages N] [--rate N] [--apart] [--smsc HOST:PORT]

One process has the roles `api` and `gateway`, as `smsgate run` has by default; with `--apart` the role `api`
has one of its own (`--serve`) on the same database. The gateway sends a campaign; a reader in a process of
its own (`--reader`) asks for one thing after the other, READS_PER_S a second, before and while the campaign
runs. Times count from when a request was due, so that waiting for the gateway's loop is never left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop

from benchmarks.running import run_as_daemon, show_as_daemon
from benchmarks.watching import ask
from smsgate.bench.main import BenchOptions, bench_settings
from smsgate.bench.meter import percentile
from smsgate.bench.parts import own_smsc, throw_away_database
from smsgate.bench.scene import CAMPAIGN, MERCHANT, begin, prepare
from smsgate.config import HttpSettings, NodeSettings, Settings
from smsgate.daemon.gateway import Gateway
from smsgate.daemon.process import Process, running
from smsgate.daemon.services import Services, add_operator_key
from smsgate.links.profile_values import read_host
from smsgate.security.public_ids import Kind
from smsgate.store.pool import Database

READS_PER_S: Final = 20
QUIET_S: Final = 3.0  # of reads before the campaign begins
LOOK_S: Final = 0.05
TICK_S: Final = 0.005
LIMIT_S: Final = 300.0
UNDER_WAY: Final = 0.05  # of the messages are written when the first is asked for


async def read(base: str, key: str, paths: dict[str, str], until: asyncio.Event) -> dict[str, Any]:
    """Ask for each path in turn until told to end; return what each took in milliseconds."""
    clock, took = asyncio.get_running_loop().time, {name: list[float]() for name in paths}
    refused: Counter[tuple[str, int]] = Counter()
    session = aiohttp.ClientSession(base, headers={"Authorization": f"Bearer {key}"})
    pending: set[asyncio.Task[None]] = set()

    async def one(name: str, due: float) -> None:
        async with session.get(paths[name]) as answer:
            await answer.read()
        if answer.status == 200:
            took[name].append((clock() - due) * 1000)
        else:
            refused[name, answer.status] += 1

    async with session:
        began, nth, names = clock(), 0, list(paths)
        while not until.is_set():
            due = began + nth / READS_PER_S
            await asyncio.sleep(max(0.0, due - clock()))
            task = asyncio.create_task(one(names[nth % len(names)], due))
            pending.add(task)
            task.add_done_callback(pending.discard)
            nth += 1
        await asyncio.gather(*pending)
    found: dict[str, Any] = {name: {"reads": len(values), **_ranks(values)} for name, values in took.items()}
    for (name, status), count in refused.items():
        found[name][f"answered_{status}"] = count
    return found


def _ranks(values: list[float]) -> dict[str, float | None]:
    found = {f"p{percent}": percentile(values, percent) for percent in (50, 99, 100)}
    return {name: None if value is None else round(value, 1) for name, value in found.items()}


async def reader() -> None:
    """Read lines of JSON (address, key, paths); each is followed by an empty one, which ends the reading."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("ready", flush=True)
    while line := await lines.readline():
        until = asyncio.Event()
        base, key, paths = json.loads(line)
        reading = asyncio.create_task(read(base, key, paths, until))
        await lines.readline()
        until.set()
        print(json.dumps(await reading), flush=True)


async def serve(state_dir: Path) -> None:
    """Be the role `api` of the gateway whose directory this is: say the port, and end with the input."""
    node, http = NodeSettings(state_dir=state_dir, roles=("api",)), HttpSettings(port=0)
    async with running(Settings(node=node, http=http), say=lambda _: None) as process:
        assert process.api is not None
        print(process.api.port, flush=True)
        await asyncio.to_thread(sys.stdin.readline)


@asynccontextmanager
async def port_of(process: Process, state_dir: Path) -> AsyncIterator[int]:
    """Lend the port of the API: this process's, or of one that is started for it."""
    if "api" in process.settings.node.roles:
        assert process.api is not None
        yield process.api.port
        return
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.beside", "--serve", str(state_dir),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield int(await child.stdout.readline())
    finally:
        child.stdin.close()
        await child.wait()


class Turns:
    """
    How much CPU of the loop's thread goes by between two looks, TICK_S apart: what a request waits for.

    CPU and not time, so that other work on the machine does not count; up to TICK_S of it is no wait.
    """

    def __init__(self) -> None:
        self.cpu_ms: list[float] = []

    async def run(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.thread_time()
            self.cpu_ms.append((now - before) * 1000)
            before = now


class Reading:
    """The reader's process, told when to begin and to end."""

    def __init__(self, process: asyncio.subprocess.Process, base: str, key: str) -> None:
        self._process, self._base, self._key = process, base, key

    def begin(self, paths: dict[str, str]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([self._base, self._key, paths]).encode() + b"\n")

    async def end(self) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return json.loads(await self._process.stdout.readline())


async def merchants_key(services: Services, base: str) -> str:
    operator, merchant = (
        await add_operator_key(services, "bench"),
        services.public_ids.encode(Kind.MERCHANT, MERCHANT),
    )
    asked = {"name": "reader", "mode": "live", "scopes": ["read", "billing.read"]}
    async with (
        aiohttp.ClientSession(base, headers={"Authorization": f"Bearer {operator}"}) as session,
        session.post(f"/v1/merchants/{merchant}/api_keys", json=asked) as answer,
    ):
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["key"])


async def reached(gateway: Gateway, messages: int, *, settled: bool = False) -> None:
    deadline = time.monotonic() + LIMIT_S
    while gateway.pump.submitted < messages or (settled and gateway.pump.uncommitted):
        assert time.monotonic() < deadline, "it got stuck"
        await asyncio.sleep(LOOK_S)


async def run(options: BenchOptions, *, apart: bool) -> dict[str, Any]:
    messages = options.messages
    async with throw_away_database() as server, own_smsc() as smsc:
        async with await Database.open(server) as database:
            place = await prepare(database, messages)
        settings = bench_settings(server, options, smsc.host, place)
        state_dir = settings.node.state_dir
        node = NodeSettings(state_dir=state_dir, roles=("gateway",) if apart else ("api", "gateway"))
        settings = settings.model_copy(update={"node": node})
        async with running(settings, say=lambda _: None) as process, port_of(process, state_dir) as port:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.beside", "--reader",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            base = f"http://127.0.0.1:{port}"
            reading = Reading(child, base, await merchants_key(process.services, base))
            assert child.stdout is not None
            await child.stdout.readline()
            found = await looked_at(process, reading, messages)
            assert child.stdin is not None
            child.stdin.close()
            await child.wait()
    return {"messages": messages, "api_apart": apart, "reads_per_s": READS_PER_S} | found


async def looked_at(process: Process, reading: Reading, messages: int) -> dict[str, Any]:
    """Read before and beside the campaign."""
    assert process.gateway is not None
    services, gateway = process.services, process.gateway
    campaign = services.public_ids.encode(Kind.CAMPAIGN, CAMPAIGN)
    paths = {
        "campaign": f"/v1/campaigns/{campaign}",
        "messages": f"/v1/messages?campaign={campaign}&limit=20",
        "statement": f"/v1/usage/statements/{time.strftime('%Y-%m', time.gmtime())}",
    }
    reading.begin(paths)
    await asyncio.sleep(QUIET_S)
    before = await reading.end()
    began, turns = time.monotonic(), Turns()
    watching = asyncio.create_task(turns.run())
    await begin(services.database)
    await reached(gateway, int(messages * UNDER_WAY))
    first = await ask(services.database, "SELECT min(message_id) FROM message")
    reading.begin(paths | {"message": f"/v1/messages/{services.public_ids.encode(Kind.MESSAGE, first)}"})
    await reached(gateway, messages, settled=True)
    wall_s = time.monotonic() - began
    watching.cancel()
    return {
        "messages_per_s": round(messages / wall_s),
        "turn_cpu_ms": _ranks(turns.cpu_ms),
        "ms_before": before,
        "ms_beside": await reading.end(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rate", type=int, help="messages a second; left out: as fast as it goes")
    parser.add_argument("--smsc", metavar="HOST:PORT", help="another SMSC that lets smsgate/secret bind")
    parser.add_argument("--reader", action="store_true", help="be the process that reads")
    parser.add_argument("--apart", action="store_true", help="the role api in a process of its own")
    parser.add_argument("--serve", type=Path, metavar="STATE_DIR", help="be that process")
    given = parser.parse_args()
    if given.reader:
        uvloop.run(reader())
    elif given.serve:
        run_as_daemon(serve(given.serve))
    else:
        options = BenchOptions(messages=given.messages, rate_per_s=given.rate)
        if given.smsc:
            options = replace(options, smsc=read_host(given.smsc))
        show_as_daemon(run(options, apart=given.apart))


if __name__ == "__main__":
    main()
