"""
`smsgate billing verify` over a day of messages, in a throw-away database: CPU of PostgreSQL and of this
process.

    python -m benchmarks.verifying [--rows N] [--budgets] [--receipts] [--closed] [--each]

`--each` also says how long the dearest statements took.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any, Final

from benchmarks.billed_months import close_months
from benchmarks.charged_rows import DAY, write_day
from benchmarks.running import run_to_end
from smsgate.bench.meter import Meter
from smsgate.bench.parts import throw_away_database
from smsgate.cli.sessions import silence_logs
from smsgate.flows.verifying import Looked, verify
from smsgate.store.bench_books import wal_octets
from smsgate.store.catalogue import load
from smsgate.store.pool import Database
from smsgate.store.verify import looked_of

CLOSE_AT: Final = DAY + timedelta(days=30)
EACH_MAX: Final = 12  # statements that are told
CATALOGUES: Final = (
    "verify", "verify_messages", "verify_documents", "verify_payouts", "verify_budgets", "verify_spent",
    "retired", "ledger_seals",
)  # fmt: skip


class WatchedVerify:
    """Implements `verifying.VerifyStore` and keeps how long each statement took."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names = {sql: f"{file}.{name}" for file in CATALOGUES for name, sql in load(file).items()}
        self.taken_s: Counter[str] = Counter()

    async def looked(self) -> Looked:
        async with self._database.report() as connection:
            with connection.query_logger(self._note):
                return await looked_of(connection)

    def _note(self, query: Any) -> None:
        self.taken_s[self._names.get(query.query, "others")] += query.elapsed

    def dearest(self) -> dict[str, float]:
        return {name: round(taken_s, 2) for name, taken_s in self.taken_s.most_common(EACH_MAX)}


async def run(rows: int, *, budgets: bool, receipts: bool, closed: bool, each: bool) -> dict[str, Any]:
    async with throw_away_database() as server, await Database.open(server) as database:
        await write_day(database, rows, budgets=budgets, messages=receipts, delivered=receipts)
        if closed:
            await close_months(database, CLOSE_AT)
        meter = Meter(server.data_dir, partial(wal_octets, database))
        store = WatchedVerify(database)
        before = await meter.read()
        proof = await verify(store)
        after = await meter.read()
        assert proof.holds, proof.broken
        assert proof.counts.messages == rows
        async with database.report() as connection:
            entries = await connection.fetchval("SELECT count(*) FROM ledger_entry")
        return {
            "message_rows": rows,
            "ledger_entries": entries,
            "wall_s": round(after.wall_s - before.wall_s, 2),
            "database_cpu_s": round(after.database_cpu_s - before.database_cpu_s, 2),
            "process_cpu_s": round(after.gateway_cpu_s - before.gateway_cpu_s, 2),
        } | ({"each_s": store.dearest()} if each else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--budgets", action="store_true", help="every message was leased")
    parser.add_argument(
        "--receipts",
        action="store_true",
        help="every message has its receipt, which half of them are charged by",
    )
    parser.add_argument("--closed", action="store_true", help="the month is closed, and its ledger sealed")
    parser.add_argument("--each", action="store_true", help="how long the dearest statements took")
    options = vars(parser.parse_args())
    silence_logs()
    print(json.dumps(run_to_end(run(**options))))


if __name__ == "__main__":
    main()
