"""
A carrier's bill of a line for each message against ours: memory while both sides meet, and CPU a line.

    python -m benchmarks.reconciling [--rows N]

A message of nine has two segments, and a line for each of them; each thousandth line has another price.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.charged_rows import MONTH, write_day
from benchmarks.running import in_a_directory
from smsgate.bench.meter import rss_now_mb
from smsgate.billing.carrier_files import CarrierFile, FileTerms
from smsgate.billing.networks import NetworkTable
from smsgate.billing.periods import Month
from smsgate.billing.reconciliation import JudgedRow, Tolerance
from smsgate.clock import SystemClock
from smsgate.flows.reconciling import BillQuestion, OurRow, Reconciling
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from smsgate.store.portability import PgPortability
from smsgate.store.reconciling import PgReconciling

BILL = """
SELECT concat_ws(',', encode(s.smsc_id, 'escape'),
    to_char(s.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    1, trim_scale((s.cost_micros / s.segments
        + CASE WHEN row_number() OVER () % 1000 = 0 THEN 1000 ELSE 0 END) / 1000000.0))
FROM sent s CROSS JOIN generate_series(1, s.segments) AS part
"""


class Watched:
    """Looks at the memory of the process at each thousandth row."""

    most_mb = 0.0
    rows = 0

    def write(self, row: JudgedRow, ours: OurRow | None) -> None:
        del row, ours
        self.rows += 1
        if self.rows % 1000 == 0:
            self.most_mb = max(self.most_mb, rss_now_mb())


async def run(server: EmbeddedPostgres, path: Path, rows: int) -> dict[str, Any]:
    async with await Database.open(server) as database:
        await write_day(database, rows, merchants=1, messages=True)
        async with database.control() as connection:
            await connection.execute("INSERT INTO carrier (carrier_id, name) VALUES (1, 'sim')")
        lines = 0
        with path.open("w") as file:
            file.write("id,at,segments,cost\n")
            async with database.report() as connection:
                async for (line,) in connection.cursor(BILL, prefetch=10_000):
                    file.write(f"{line}\n")
                    lines += 1
        reconciling = Reconciling(
            PgReconciling(database), PgPortability(database), NetworkTable({}), SystemClock(), lambda: 1
        )
        question = BillQuestion(
            "sim", Month.parse(MONTH), "UTC", "EUR", Tolerance(0, 0), path.name, bytes(32)
        )
        watched, before_mb, cpu, wall = Watched(), rss_now_mb(), time.process_time(), time.monotonic()
        with path.open(newline="") as file:
            bill = CarrierFile(file, path.name, FileTerms(), "EUR")
            result = await reconciling.reconcile(question, bill, [watched])
        assert result.file_rows == lines
        assert sum(result.counts.values()) == rows, result.counts
        return {
            "messages": rows,
            "lines": lines,
            "counts": result.counts,
            "rss_before_mb": round(before_mb, 1),
            "rss_most_mb": round(watched.most_mb, 1),
            "cpu_us_per_line": round((time.process_time() - cpu) * 1e6 / lines, 2),
            "wall_s": round(time.monotonic() - wall, 1),
        }


async def with_server(directory: Path, rows: int) -> dict[str, Any]:
    async with EmbeddedPostgres(directory / "state", system_dir=directory / "system") as server:
        return await run(server, directory / "bill.csv", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    print(json.dumps(in_a_directory(partial(with_server, rows=arguments.rows))))


if __name__ == "__main__":
    main()
