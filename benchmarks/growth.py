"""
What a message of the bulk path costs by how many there are, and by whose they are: campaigns and merchants.

    python -m benchmarks.growth [--sizes N ...] [--messages N] [--shapes MERCHANTSxCAMPAIGNS ...]
        [--turns N] [--smsc HOST:PORT]

One campaign of each size, then `--messages` in all for each shape; each run has a database of its own, and
sends WARM_UP messages before it is measured. All of
that `--turns` times, as a machine's own speed moves from minute to minute: the least of a row counts. Ends
with 1 where a row costs more than GROWTH_MAX times what the campaign costs that it is held to: the cheapest
size, and one campaign of as many messages. Nobody answers.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import Any, Final

from benchmarks.running import run_as_daemon
from smsgate.bench.main import BenchOptions, Figures, run_bench
from smsgate.bench.scene import Shape
from smsgate.links.profile_values import read_host

GROWTH_MAX: Final = 1.2
WARM_UP: Final = 10_000
SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
SHAPES: Final = ((1, 10), (1, 100), (10, 10), (100, 100))


def read_shape(text: str) -> Shape:
    """
    Read `10x100`: merchants, and campaigns of all of them.

    Raises:
        ValueError: it is none, or the campaigns are no multiple of the merchants.
    """
    merchants, campaigns = map(int, text.split("x"))
    if merchants < 1 or campaigns < 1 or campaigns % merchants:
        raise ValueError(f"{text!r}: campaigns are a multiple of merchants")
    return Shape(merchants, campaigns, WARM_UP)


def cost(figures: Figures) -> float:
    return figures.gateway_cpu_us + figures.database_cpu_us


def least(runs: list[Figures]) -> Figures:
    assert all(figures.complete for figures in runs)
    return min(runs, key=cost)


def row(figures: Figures, base: Figures) -> dict[str, Any]:
    return {
        "messages": figures.messages,
        "per_second": figures.per_second,
        "gateway_cpu_us": figures.gateway_cpu_us,
        "database_cpu_us": figures.database_cpu_us,
        "ratio": round(cost(figures) / cost(base), 3),
    }


async def run(options: BenchOptions, sizes: list[int], shapes: list[Shape], turns: int) -> dict[str, Any]:
    by_size: dict[int, list[Figures]] = {size: [] for size in sizes}
    one = Shape(warm_up=WARM_UP)
    by_shape: dict[Shape, list[Figures]] = {shape: [] for shape in ([one, *shapes] if shapes else [])}
    for _ in range(turns):
        for size in sizes:
            by_size[size].append(await run_bench(replace(options, messages=size, shape=one)))
        for shape, runs in by_shape.items():
            runs.append(await run_bench(replace(options, shape=shape)))
    found = [least(runs) for runs in by_size.values()]
    cheapest = min(found, key=cost, default=None)
    of_shapes = {shape: least(runs) for shape, runs in by_shape.items()}
    return {
        "sizes": [row(figures, cheapest) for figures in found if cheapest is not None],
        "shapes": [
            {"merchants": shape.merchants, "campaigns": shape.campaigns} | row(figures, of_shapes[one])
            for shape, figures in of_shapes.items()
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--messages", type=int, default=600_000, help="of each shape, in all")
    parser.add_argument(
        "--shapes",
        type=read_shape,
        nargs="*",
        default=[Shape(*each, WARM_UP) for each in SHAPES],
        metavar="MERCHANTSxCAMPAIGNS",
    )
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--smsc", metavar="HOST:PORT", help="another SMSC that lets smsgate/secret bind")
    given = parser.parse_args()
    options = BenchOptions(messages=given.messages, answers=False)
    if given.smsc:
        options = replace(options, smsc=read_host(given.smsc))
    found = run_as_daemon(run(options, list(given.sizes), list(given.shapes), given.turns))
    print(json.dumps(found, indent=2))
    return 0 if all(each["ratio"] <= GROWTH_MAX for each in found["sizes"] + found["shapes"]) else 1


if __name__ == "__main__":
    sys.exit(main())
