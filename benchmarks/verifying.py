"""
`smsgate billing verify` over a day of messages, in a throw-away database: CPU of PostgreSQL and of this
process.

    python -m benchmarks.verifying [--rows N] [--budgets]
"""

from __future__ import annotations

import argparse
import asyncio
import json
from functools import partial
from typing import Any

from benchmarks.charged_rows import write_day
from smsgate.bench.main import throw_away_database
from smsgate.bench.meter import Meter
from smsgate.cli.sessions import silence_logs
from smsgate.flows.verifying import verify
from smsgate.store.bench_books import wal_octets
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify


async def run(rows: int, budgets: bool) -> dict[str, Any]:
    async with throw_away_database() as server, await Database.open(server) as database:
        await write_day(database, rows, budgets=budgets)
        meter = Meter(server.data_dir, partial(wal_octets, database))
        before = await meter.read()
        proof = await verify(PgVerify(database))
        after = await meter.read()
        assert proof.holds, proof.broken
        assert proof.rows == rows
        async with database.report() as connection:
            entries = await connection.fetchval("SELECT count(*) FROM ledger_entry")
        return {
            "message_rows": rows,
            "ledger_entries": entries,
            "wall_s": round(after.wall_s - before.wall_s, 2),
            "database_cpu_s": round(after.database_cpu_s - before.database_cpu_s, 2),
            "process_cpu_s": round(after.gateway_cpu_s - before.gateway_cpu_s, 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--budgets", action="store_true", help="every message was leased")
    arguments = parser.parse_args()
    silence_logs()
    print(json.dumps(asyncio.run(run(arguments.rows, arguments.budgets))))


if __name__ == "__main__":
    main()
