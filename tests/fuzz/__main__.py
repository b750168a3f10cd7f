"""
Try the codec with millions of bad streams, and cut a hundred thousand texts: `make fuzz STREAMS=10000000`.

Ends with 1 and the octets at the first one that breaks a rule. With --state a run is cut into pieces: each
goes on where the last one ended, for --seconds of CPU at most, until all streams were tried.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.oracle import try_stream
from tests.fuzz.streams import BLOCK, block
from tests.fuzz.texts import cut_texts

WARM_BLOCKS = 100  # the heap has its size by then
GROWTH_KIB_MAX = 8 * 1024  # over a whole run; a leak of one octet per stream would be 10 MB


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run(seed: int, first: int, last: int, seconds: float) -> tuple[int, int | None]:
    """Try the blocks from `first` up to `last`; return the next one and how much the memory grew, in KiB."""
    started = time.process_time()
    warm: int | None = None
    for number in range(first, last):
        rnd = Random(~(seed << 32 | number))
        for octets in block(seed, number):
            try:
                try_stream(octets, rnd)
            except Exception:  # noqa: BLE001 - any: that is what is looked for
                sys.stderr.write(
                    f"seed {seed}, block {number}, octets {octets.hex()}\n{traceback.format_exc()}"
                )
                raise SystemExit(1) from None
        if number - first == WARM_BLOCKS:
            warm = peak_kib()
        if time.process_time() - started > seconds:
            last = number + 1
            break
    return last, None if warm is None else peak_kib() - warm


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--streams", type=int, default=10_000_000)
    arguments.add_argument("--texts", type=int, default=100_000, help="cut at the start of a run")
    arguments.add_argument("--seed", type=int, default=19991)
    arguments.add_argument("--seconds", type=float, default=float("inf"), help="of CPU, for this piece")
    arguments.add_argument("--state", type=Path, help="a file that remembers where to go on")
    given = arguments.parse_args()
    state: dict[str, Any] = {"seed": given.seed, "next_block": 0, "cpu_s": 0.0, "growth_kib": 0}
    if given.state is not None and given.state.exists():
        state = json.loads(given.state.read_text())
    if state["next_block"] == 0:
        cut_texts(state["seed"], given.texts)
    last = -(-given.streams // BLOCK)
    started = time.process_time()
    following, grown = run(state["seed"], state["next_block"], last, given.seconds)
    state["next_block"] = following
    state["cpu_s"] = round(state["cpu_s"] + time.process_time() - started, 1)
    state["growth_kib"] = max(state["growth_kib"], grown or 0)
    state["peak_kib"] = peak_kib()
    if given.state is not None:
        given.state.write_text(json.dumps(state))
    report = {"texts": given.texts, "streams": following * BLOCK, "of": last * BLOCK, **state}
    sys.stdout.write(json.dumps(report) + "\n")
    if state["growth_kib"] > GROWTH_KIB_MAX:
        sys.exit(f"memory grew by {state['growth_kib']} KiB: more than {GROWTH_KIB_MAX}")


if __name__ == "__main__":
    main()
