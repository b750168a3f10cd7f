"""
What billing costs a message of the bulk path, of a run like `smsgate bench`.

    python -m benchmarks.ledger_cost [--messages N]

CPU of the gateway to make the lines of the ledger, and of the server process of PostgreSQL for the statement
that writes them, for each message, beside what the message costs in all. Ends with 1 when it is more than
COST_MAX_US.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.running import show_as_daemon
from smsgate.bench.main import BenchOptions, run_bench
from smsgate.flows.ledger import PostingLine, charge_lines
from smsgate.store import flushing
from smsgate.store.connection import Connection

COST_MAX_US: Final = 2.0


class Watch:
    """Stands before the two functions by which a flush posts its messages, and keeps what they take."""

    def __init__(self) -> None:
        self.lines_s = self.statement_s = 0.0
        self.postings = 0
        self._made, self._insert = charge_lines, flushing.insert_postings
        for name, stand_in in (("charge_lines", self.lines), ("insert_postings", self.insert_postings)):
            setattr(flushing, name, stand_in)

    def lines(self, *arguments: Any) -> list[PostingLine]:
        began = time.thread_time()
        lines = self._made(*arguments)
        self.lines_s += time.thread_time() - began
        self.postings += 1
        return lines

    async def insert_postings(self, connection: Connection, lines: Sequence[PostingLine]) -> None:
        pid = connection.get_server_pid()
        began = _cpu_s(pid)
        await self._insert(connection, lines)
        self.statement_s += _cpu_s(pid) - began


def _cpu_s(pid: int) -> float:
    """Return the CPU of a process so far; its first number is nanoseconds (kernel, sched-stats.rst)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def run(messages: int) -> dict[str, Any]:
    watch = Watch()
    figures = await run_bench(BenchOptions(messages=messages))
    gateway_us, database_us = watch.lines_s / messages * 1e6, watch.statement_s / messages * 1e6
    return {
        "messages": messages,
        "postings": watch.postings,
        "lines_us": round(gateway_us, 3),
        "statement_us": round(database_us, 3),
        "message_us": [figures.gateway_cpu_us, figures.database_cpu_us],
        "within": gateway_us + database_us <= COST_MAX_US,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    show_as_daemon(checked(parser.parse_args().messages))


async def checked(messages: int) -> dict[str, Any]:
    found = await run(messages)
    if not found["within"]:
        print(found)
        sys.exit(1)
    return found


if __name__ == "__main__":
    main()
