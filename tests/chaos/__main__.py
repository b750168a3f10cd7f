"""`python -m tests.chaos --kills 300 --seed 1`: kill, and prove that nothing is lost or doubled."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from tests.chaos.story import kill_and_prove


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how many, about 5 s each (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="draws kinds, targets and gaps (default 1)")
    parser.add_argument("--directory", type=Path, help="work there and leave logs and data behind")
    asked = parser.parse_args()
    summary = asyncio.run(kill_and_prove(asked.kills, asked.seed, say, asked.directory))
    for check in summary["checks"]:
        say(f"{'holds' if check['ok'] else 'BROKEN'}: {check['name']} {check['wrong'] or ''}")
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0 if summary["ok"] else 1


def say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
