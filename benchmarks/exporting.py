"""
A month's messages of one merchant into a file: memory while it grows, and CPU a row.

    python -m benchmarks.exporting [--rows N] [--as csv|parquet]

What is measured is what the export itself loads; a command line or a daemon has its own megabytes before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.charged_rows import DAY, MONTH, write_day
from benchmarks.running import in_a_directory
from smsgate.bench.meter import rss_now_mb
from smsgate.billing.periods import Month
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.exporting import CsvRows, Exporting, ExportQuestion, RowWriter
from smsgate.invoicing.tables import ParquetRows
from smsgate.security.public_ids import PublicIds
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from smsgate.store.usage_records import PgUsageRecords

WRITERS: Final[dict[str, Callable[[Path], RowWriter]]] = {"csv": CsvRows, "parquet": ParquetRows}


class Watched:
    """Looks at the memory of the process at each batch."""

    most_mb = 0.0

    def __init__(self, path: Path, form: str) -> None:
        self._writer = WRITERS[form](path)

    def write(self, rows: Any) -> None:
        self._writer.write(rows)
        Watched.most_mb = max(Watched.most_mb, rss_now_mb())

    def close(self, sums: Any) -> None:
        self._writer.close(sums)


async def run(server: EmbeddedPostgres, path: Path, rows: int, form: str) -> dict[str, Any]:
    async with await Database.open(server) as database:
        await write_day(database, rows, merchants=1, messages=True)
        exporting = Exporting(PgUsageRecords(database), PublicIds(bytes(32)))
        merchant = MerchantProfile(1, "Shop 1", "shop-1", "FR", "fr", "Europe/Paris", "EUR", 1, "active")
        before_mb, cpu = rss_now_mb(), time.process_time()
        question = ExportQuestion(merchant, Month.parse(MONTH), "EUR")
        manifest = await exporting.write(question, path, lambda at: Watched(at, form), now=datetime.now(UTC))
        cpu_s = time.process_time() - cpu
        assert manifest.rows == rows, manifest.values
        assert manifest.equal, manifest.values
        return {
            "form": form,
            "rows": rows,
            "day": DAY.date().isoformat(),
            "octets": manifest.values["octets"],
            "rss_before_mb": round(before_mb, 1),
            "rss_most_mb": round(Watched.most_mb, 1),
            "cpu_us_per_row": round(cpu_s * 1e6 / rows, 2),
        }


async def with_server(directory: Path, rows: int, form: str) -> dict[str, Any]:
    async with EmbeddedPostgres(directory / "state", system_dir=directory / "system") as server:
        return await run(server, directory / f"usage.{form}", rows, form)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--as", dest="form", choices=sorted(WRITERS), default="csv")
    arguments = parser.parse_args()
    work = partial(with_server, rows=arguments.rows, form=arguments.form)
    print(json.dumps(in_a_directory(work)))


if __name__ == "__main__":
    main()
