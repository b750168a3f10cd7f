"""
The memory of a gateway that sends for long: it must be flat.

    python -m benchmarks.soak [--rate N] [--seconds N]

A paced campaign as `smsgate bench` sends it, with its own simulator. Memory is looked at each second; the
most of the last quarter may be GROWTH_MAX_MB above the most of the first. Ends with 1 when it is more, or a
message is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.running import run_to_end
from smsgate.bench.main import BenchOptions, Figures, run_bench
from smsgate.cli.sessions import silence_logs
from smsgate.daemon.collector import calm_collector

QUARTERS: Final = 4
GROWTH_MAX_MB: Final = 10.0  # from the first quarter to the last: what caches and the allocator still take


def quarters(memory_mb: Sequence[float]) -> list[float]:
    """Return the most memory of each quarter of the run."""
    size = len(memory_mb) / QUARTERS
    return [
        round(max(memory_mb[int(nth * size) : int((nth + 1) * size)], default=0.0), 1)
        for nth in range(QUARTERS)
    ]


def judged(figures: Figures) -> dict[str, Any]:
    found = quarters(figures.memory_mb)
    return {
        "messages": figures.messages,
        "per_second": figures.per_second,
        "accepted": figures.accepted,
        "unknown": figures.unknown,
        "rss_mb_by_quarter": found,
        "growth_mb": round(found[-1] - found[0], 1),
        "complete": figures.complete,
        "flat": found[-1] - found[0] <= GROWTH_MAX_MB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=int, default=3_600)
    args = parser.parse_args()
    silence_logs()
    calm_collector()
    options = BenchOptions(messages=args.rate * args.seconds, rate_per_s=args.rate)
    found = judged(run_to_end(run_bench(options)))
    print(json.dumps(found, indent=2))
    return 0 if found["flat"] and found["complete"] else 1


if __name__ == "__main__":
    sys.exit(main())
