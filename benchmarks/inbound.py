"""
Phones that say OK to open offers at a given rate: from the deliver_sm to the order and its confirmation.

    python -m benchmarks.inbound [--rate N] [--seconds N] [--answers N] [--stock N] [--ordinary N]
                                 [--profile FILE]

With `--rate 0` and `--stock` it is a flash sale: all at once, and a piece for few. Everybody has an offer,
sent by this very gateway, and answers it once; the SMSC and its phones are a process of their own
(`benchmarks.inbound_phones`), which measures both ends. Orders, texts, events, ledger and stock are checked
afterwards. CPU is per answer, of this process and of all of PostgreSQL, until the last receipt of a
confirmation is committed. Beside it, in the same run, an ordinary design (`ordinary_inbound`).
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from benchmarks.ordinary_inbound import run_ordinary
from benchmarks.running import show_as_daemon
from benchmarks.watching import ask, nothing_waits, reached
from smsgate.bench.main import BenchOptions, bench_settings, throw_away_database, until
from smsgate.bench.meter import Meter, rss_max_mb, used_between
from smsgate.bench.scene import begin, msisdn_of, prepare
from smsgate.daemon.process import running
from smsgate.links.profile_values import Host
from smsgate.store.bench_books import wal_octets
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


async def run_ours(answers: int, rate_per_s: float, stock: int | None, profile: str | None) -> dict[str, Any]:
    options = BenchOptions(messages=answers)
    async with throw_away_database() as server, phones() as peer:
        async with await Database.open(server) as database:
            place = await prepare(database, answers)
            await ask(database, "UPDATE offer SET stock = $1, stock_remaining = $1", stock)
        async with running(bench_settings(server, options, peer.host, place), say=lambda _: None) as process:
            gateway, database = process.gateway, process.services.database
            assert gateway is not None
            await begin(database)
            await reached(
                lambda: gateway.pump.submitted >= answers and not gateway.pump.batches()
                and gateway.outcomes.empty() and not gateway.pump.uncommitted,
                SENT_LIMIT_S,
            )  # fmt: skip
            meter = Meter(server.data_dir, partial(wal_octets, database))
            profiler = cProfile.Profile() if profile else None
            before = await meter.read()
            if profiler:
                profiler.enable()
            said = await peer.answer([msisdn_of(nth) for nth in range(answers)], rate_per_s)
            assert await until(partial(nothing_waits, database, gateway), CONFIRMED_LIMIT_S)
            after = await meter.read()
            if profiler:
                profiler.disable()
                profiler.dump_stats(str(profile))
            assert said.pop("unacknowledged") == 0, said
            assert said.pop("untold") == 0, said
            used = used_between(before, after, answers)
            return {
                "answers": answers,
                "rate_per_s": rate_per_s,
                **said,
                "gateway_cpu_us": used.gateway_cpu_us,
                "database_cpu_us": used.database_cpu_us,
                "wal_octets_each": used.wal_octets // answers,
                "rss_mb": rss_max_mb(),
                **await check_books(database, answers, stock),
            }


async def run(given: argparse.Namespace) -> dict[str, Any]:
    rate = float(given.rate)
    answers = given.answers or int(rate * given.seconds)
    ours = await run_ours(answers, rate, given.stock, given.profile)
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
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's statistics of the gateway")
    given = parser.parse_args()
    show_as_daemon(run(given))


if __name__ == "__main__":
    main()
