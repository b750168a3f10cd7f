"""
A flash sale: everybody who got an offer says OK at once, and there is one piece for every two hundred.

    python -m benchmarks.replies [--replies N] [--profile FILE]

Measured over SMPP from a simulator process: replies a second until the last deliver_sm_resp (so the order,
the outgoing text, the event and the ledger line are durable), and until the last answer has left. One bought,
or was told "sold out", for each reply; the books are checked. CPU is per reply.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
from functools import partial
from typing import Any, Final

import uvloop

from smsgate.bench.main import BenchOptions, bench_settings, own_smsc, throw_away_database, until
from smsgate.bench.meter import Meter, percentile, used_between
from smsgate.bench.scene import begin, msisdn_of, prepare
from smsgate.cli.sessions import silence_logs
from smsgate.daemon.gateway import Gateway
from smsgate.daemon.process import running
from smsgate.store.bench_books import waiting, wal_octets
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN

PIECES_OF: Final = 200  # replies for each piece of the stock
SENT_LIMIT_S: Final = 300.0
ANSWERED_LIMIT_S: Final = 600.0


async def ask(database: Database, sql: str, *values: object) -> Any:
    connection = await database.connect(ADMIN)
    try:
        return await connection.fetchval(sql, *values)
    finally:
        await connection.close()


async def check_books(database: Database, replies: int, stock: int) -> dict[str, int]:
    """Everybody has one fate; nothing was sold twice."""
    orders = await ask(database, "SELECT count(*) FROM orders")
    told = await ask(database, "SELECT count(*) FROM message WHERE kind = 'sold_out'")
    receipts = await ask(database, "SELECT count(*) FROM message WHERE kind = 'order_receipt'")
    left = await ask(database, "SELECT min(stock_remaining) FROM offer")
    events = await ask(database, "SELECT count(*) FROM event WHERE type = 'order.created'")
    assert (orders, receipts, events, left) == (stock, stock, stock, 0), (orders, receipts, events, left)
    assert told == replies - stock, told
    return {"orders": orders, "sold_out": told}


async def run(replies: int, profile: str | None) -> dict[str, Any]:
    stock = max(1, replies // PIECES_OF)
    options = BenchOptions(messages=replies, receipts=False)
    async with throw_away_database() as server, own_smsc() as smsc:
        async with await Database.open(server) as database:
            place = await prepare(database, replies)
            await ask(database, "UPDATE offer SET stock_remaining = $1", stock)
        async with running(bench_settings(server, options, smsc.host, place), say=lambda _: None) as process:
            gateway, database = process.gateway, process.services.database
            assert gateway is not None
            await begin(database)
            await reached(
                lambda: gateway.pump.submitted >= replies and not gateway.pump.batches(), SENT_LIMIT_S
            )
            meter = Meter(server.data_dir, partial(wal_octets, database))
            before = await meter.read()
            profiler = cProfile.Profile() if profile else None
            if profiler:
                profiler.enable()
            smsc.phones.writelines(b"%d\n" % msisdn_of(nth) for nth in range(replies))
            await reached(lambda: gateway.intake.taken >= replies, ANSWERED_LIMIT_S)
            committed = await meter.read()
            assert await until(partial(nothing_waits, database, gateway), ANSWERED_LIMIT_S)
            after = await meter.read()
            if profiler:
                profiler.disable()
                profiler.dump_stats(str(profile))
            taken, answered = used_between(before, committed, replies), used_between(before, after, replies)
            return {
                "replies": replies,
                "replies_per_s": taken.per_second,
                "answered_per_s": answered.per_second,
                "gateway_cpu_us": answered.gateway_cpu_us,
                "database_cpu_us": answered.database_cpu_us,
                "wal_octets_each": answered.wal_octets // replies,
                "flush_ms_p99": percentile([1000 * each for each in gateway.flushing.durations_s], 99),
                **await check_books(database, replies, stock),
            }


async def reached(condition: Any, limit_s: float) -> None:
    async def met() -> bool:
        return bool(condition())

    assert await until(met, limit_s), "it got stuck"


async def nothing_waits(database: Database, gateway: Gateway) -> bool:
    if gateway.pump.held_messages or gateway.pump.uncommitted:
        return False
    return not await waiting(database)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replies", type=int, default=20_000)
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's statistics of the gateway")
    given = parser.parse_args()
    silence_logs()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(given.replies, given.profile)), indent=2))


if __name__ == "__main__":
    main()
