"""
What a row costs PostgreSQL by COPY, by how many rows come at once: why a chunk has 3,000 people.

    python -m benchmarks.copying

Rows are those of `sent`, in a throw-away database with its partitions, a commit after each COPY. CPU of the
backend, microseconds a row, the least and the median of the rounds.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import asyncpg

from benchmarks.running import run_to_end
from smsgate.bench.parts import throw_away_database
from smsgate.store.connection import copy_binary
from smsgate.store.flushing import SENT
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN

TOGETHER: Final = (100, 300, 500, 1_000, 2_000, 3_000, 6_000)
ROWS: Final = 30_000  # of a round
ROUNDS: Final = 5


def cpu_us(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1_000


def rows(ids: range, at_micros: int) -> bytes:
    smsc_ids = [b"%010x" % each for each in ids]
    return SENT.pack(ids, [at_micros] * len(ids), smsc_ids, 7, 1, 1, 0, 1, 5, 50_000, 6, 40_000, None)


async def measure(connection: asyncpg.Connection[asyncpg.Record]) -> dict[int, list[float]]:
    """Return the rounds' figures by how many rows came at once."""
    pid, first_ids = connection.get_server_pid(), count(1, ROWS)
    found: dict[int, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for together in TOGETHER:
            first = next(first_ids)
            starts = range(first, first + ROWS - together + 1, together)
            streams = [rows(range(start, start + together), 8 * 10**14) for start in starts]
            before = cpu_us(pid)
            for stream in streams:
                async with connection.transaction():
                    await copy_binary(connection, "sent", SENT.columns, stream)
            found[together].append((cpu_us(pid) - before) / (together * len(streams)))
    return found


async def main() -> None:
    async with throw_away_database() as server:
        async with await Database.open(server):
            pass  # with its schema
        connection = await asyncpg.connect(**server.connect_args(ADMIN, "smsgate"))
        try:
            await connection.execute(
                "CREATE TABLE sent_first PARTITION OF sent FOR VALUES FROM (0) TO (10000000)"
            )
            found = await measure(connection)
        finally:
            await connection.close()
    print("rows at once   us a row: least  median")
    for together, figures in found.items():
        print(f"{together:>12,}   {min(figures):>15.2f} {median(figures):>7.2f}")


if __name__ == "__main__":
    run_to_end(main())
