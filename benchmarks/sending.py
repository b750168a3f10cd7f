"""
`smsgate bench` beside an ordinary design, on the same machine in the same minutes, with the ratios.

    python -m benchmarks.sending [--messages N] [--ordinary N] [--smsc HOST:PORT]

CPU is per message; PostgreSQL's is of all its processes. The SMSC's own CPU is not counted, but it shares the
machine.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from benchmarks.ordinary import run_ordinary
from benchmarks.running import run_to_end
from smsgate.bench.main import BenchOptions, run_bench
from smsgate.cli.bench import report
from smsgate.cli.sessions import silence_logs
from smsgate.daemon.collector import calm_collector
from smsgate.links.profile_values import read_host


def ratios(ours: dict[str, Any], ordinary: dict[str, Any]) -> dict[str, float]:
    """How many times the ordinary design needs what this one needs; of per_second the other way round."""

    def cpu(figures: dict[str, Any]) -> float:
        return float(figures["gateway_cpu_us"] + figures["database_cpu_us"])

    def wal(figures: dict[str, Any]) -> float:
        return float(figures["wal_bytes"] / figures["messages"])

    return {
        "per_second": _ratio(ours["per_second"], ordinary["per_second"]),
        "cpu": _ratio(cpu(ordinary), cpu(ours)),
        "gateway_cpu": _ratio(ordinary["gateway_cpu_us"], ours["gateway_cpu_us"]),
        "database_cpu": _ratio(ordinary["database_cpu_us"], ours["database_cpu_us"]),
        "wal_bytes": _ratio(wal(ordinary), wal(ours)),
    }


def _ratio(more: float, less: float) -> float:
    """Return 0.0 where there is nothing to compare: too few messages for the clock's grain of 10 ms."""
    return round(more / less, 1) if less else 0.0


async def run(messages: int, ordinary: int, smsc: str | None) -> dict[str, Any]:
    host = None if smsc is None else read_host(smsc)
    options = BenchOptions(messages=messages, smsc=host)
    figures = await run_bench(options)
    print("smsgate:", *report(figures, options), sep="\n  ")
    ours = figures.as_json()
    if not ordinary:
        return {"smsgate": ours}
    theirs = await run_ordinary(host, ordinary)
    return {"smsgate": ours, "ordinary": theirs, "ratios": ratios(ours, theirs)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument(
        "--ordinary", type=int, default=2_000, help="messages of the baseline; 0 leaves it out"
    )
    parser.add_argument("--smsc", metavar="HOST:PORT", help="another SMSC that lets smsgate/secret bind")
    given = parser.parse_args()
    silence_logs()
    calm_collector()
    print(json.dumps(run_to_end(run(given.messages, given.ordinary, given.smsc)), indent=2))


if __name__ == "__main__":
    main()
