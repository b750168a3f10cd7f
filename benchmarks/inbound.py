"""
Phones that say OK to open offers at a given rate: from the deliver_sm to the order and its confirmation.

    python -m benchmarks.inbound [--rate N] [--seconds N] [--answers N] [--stock N] [--ordinary N]
                                 [--processes N] [--profile FILE]

With `--rate 0` and `--stock` it is a flash sale: all at once, and a piece for few. Everybody has an offer,
sent by this very gateway, and answers it once; the SMSC and its phones are a process of their own
(`benchmarks.inbound_phones`), which measures both ends. Orders, texts, events, ledger and stock are checked
afterwards. CPU is per answer, of all gateway processes and of all of PostgreSQL, until the last receipt of a
confirmation is committed. With --processes more than one, this one and others like it (`inbound_gateway`)
share the work, each with its share of the binds. Beside it, in the same run, an ordinary design
(`ordinary_inbound`).
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.inbound_gateway import Done, Other, another_gateway, done_by, share_of
from benchmarks.ordinary_inbound import run_ordinary
from benchmarks.running import show_as_daemon
from benchmarks.watching import ask
from smsgate.bench.main import BenchOptions, bench_settings, until
from smsgate.bench.meter import Meter, used_between
from smsgate.bench.parts import throw_away_database
from smsgate.bench.scene import begin, msisdn_of, prepare
from smsgate.daemon.gateway import Gateway
from smsgate.daemon.process import running
from smsgate.links.profile_values import Host
from smsgate.store.bench_books import waiting, wal_octets
from smsgate.store.pool import Database

SENT_LIMIT_S: Final = 120.0
CONFIRMED_LIMIT_S: Final = 30.0
LINE_OCTETS_MAX: Final = 1 << 26  # of the numbers of all phones


@dataclass(frozen=True, slots=True)
class Phones:
    host: Host
    process: asyncio.subprocess.Process

    async def answer(self, msisdns: list[int], rate_per_s: float) -> Any:
        """Let these say OK; return what the SMSC saw, once all is answered."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([msisdns, rate_per_s]).encode() + b"\n")
        return json.loads(await self.process.stdout.readline())


@asynccontextmanager
async def phones() -> AsyncIterator[Phones]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.inbound_phones",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_OCTETS_MAX,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Phones(Host("127.0.0.1", int(await process.stdout.readline())), process)
    finally:
        process.stdin.close()
        await process.wait()


async def check_books(database: Database, answers: int, stock: int | None) -> dict[str, int]:
    """Everybody has one fate, nothing was sold twice, and everything is charged and told once."""
    expected = answers if stock is None else min(stock, answers)
    found = {
        "orders": await ask(database, "SELECT count(*) FROM orders WHERE state = 'placed'"),
        "buyers": await ask(database, "SELECT count(DISTINCT msisdn) FROM orders"),
        "receipts": await ask(database, "SELECT count(*) FROM message WHERE kind = 'order_receipt'"),
        "events": await ask(database, "SELECT count(*) FROM event WHERE type = 'order.created'"),
        "steps": await ask(database, "SELECT count(*) FROM order_event"),
    }
    assert set(found.values()) == {expected}, found
    sold_out = await ask(database, "SELECT count(*) FROM message WHERE kind = 'sold_out'")
    assert sold_out == answers - expected, sold_out
    charged = await ask(
        database,
        "SELECT coalesce(sum(messages), 0)::bigint FROM ledger_entry WHERE direction = 'mo' AND line = 1",
    )
    assert charged == answers, charged
    assert await ask(database, "SELECT count(*) FROM inbound_message") == answers
    left = await ask(database, "SELECT min(stock_remaining) FROM offer")
    assert left == (None if stock is None else stock - expected), left
    return {"orders": expected, "sold_out": sold_out}


@dataclass(frozen=True, slots=True)
class Gateways:
    """The one of this process, and others; all on one database."""

    gateway: Gateway
    others: list[Other]
    database: Database

    async def done(self) -> list[Done]:
        return [done_by(self.gateway), *[await other.done() for other in self.others]]

    async def sent(self, messages: int) -> bool:
        """Return whether so many are written, and what came of them is committed."""
        done = await self.done()
        return sum(each.submitted for each in done) >= messages and not any(each.busy for each in done)

    async def idle(self) -> bool:
        """Return whether every text has left, and what came of it is committed."""
        return not any(each.busy for each in await self.done()) and not await waiting(self.database)


async def run_ours(given: argparse.Namespace, answers: int) -> dict[str, Any]:
    options, processes = BenchOptions(messages=answers), given.processes
    async with throw_away_database() as server, phones() as peer, AsyncExitStack() as stack:
        async with await Database.open(server) as database:
            place = await prepare(database, answers)
            await ask(database, "UPDATE offer SET stock = $1, stock_remaining = $1", given.stock)
        settings = share_of(bench_settings(server, options, peer.host, place), processes)
        process = await stack.enter_async_context(running(settings, say=lambda _: None))
        directory = server.data_dir.parent.parent
        others = [
            await stack.enter_async_context(another_gateway(directory, nth, peer.host, processes, place))
            for nth in range(1, processes)
        ]
        assert process.gateway is not None
        gateways = Gateways(process.gateway, others, process.services.database)
        await begin(gateways.database)
        assert await until(partial(gateways.sent, answers), SENT_LIMIT_S), "it got stuck"
        figures = await measure(given, answers, gateways, peer, server.data_dir)
        return figures | await check_books(gateways.database, answers, given.stock)


async def measure(
    given: argparse.Namespace, answers: int, gateways: Gateways, peer: Phones, data_dir: Path
) -> dict[str, Any]:
    meter = Meter(data_dir, partial(wal_octets, gateways.database))
    profiler = cProfile.Profile() if given.profile else None
    before, done_before = await meter.read(), await gateways.done()
    if profiler:
        profiler.enable()
    said = await peer.answer([msisdn_of(nth) for nth in range(answers)], given.rate)
    assert await until(gateways.idle, CONFIRMED_LIMIT_S)
    after, done = await meter.read(), await gateways.done()
    if profiler:
        profiler.disable()
        profiler.dump_stats(given.profile)
    assert said.pop("unacknowledged") == 0, said
    assert said.pop("untold") == 0, said
    used = used_between(before, after, answers)
    each = [now.answers - then.answers for then, now in zip(done_before, done, strict=True)]
    cpu_s = sum(now.cpu_s - then.cpu_s for then, now in zip(done_before, done, strict=True))
    return {
        "answers": answers,
        "rate_per_s": given.rate,
        **said,
        "gateway_cpu_us": round(cpu_s * 1e6 / answers, 1),
        "database_cpu_us": used.database_cpu_us,
        "wal_octets_each": used.wal_octets // answers,
        "rss_mb": max(now.rss_mb for now in done),
        "answers_of_each": each,
    }


async def run(given: argparse.Namespace) -> dict[str, Any]:
    ours = await run_ours(given, given.answers or int(given.rate * given.seconds))
    if not given.ordinary:
        return {"smsgate": ours}
    async with phones() as peer:
        ordinary = await run_ordinary(peer, given.ordinary)
    cpu = [each["gateway_cpu_us"] + each["database_cpu_us"] for each in (ordinary, ours)]
    return {
        "smsgate": ours,
        "ordinary": ordinary,
        "ratios": {
            "answers_per_s": round(ours["answers_per_s"] / ordinary["answers_per_s"], 1),
            "cpu": round(cpu[0] / cpu[1], 1),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=2_000, help="answers a second; 0: all at once")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--answers", type=int, default=0, help="instead of rate times seconds")
    parser.add_argument("--stock", type=int, help="pieces; left out: as many as are wanted")
    parser.add_argument("--ordinary", type=int, default=1_500, help="answers of the baseline; 0: none")
    parser.add_argument("--processes", type=int, default=1, help="of the gateway, on one database")
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's statistics of this process")
    given = parser.parse_args()
    show_as_daemon(run(given))


if __name__ == "__main__":
    main()
