"""
One more process with the role `api` on the port of another, for `benchmarks.intake`.

    python -m benchmarks.intake_server STATE_DIR PORT

It says "ready", then the CPU seconds that it took so far for each line that it reads, and ends with them.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from benchmarks.intake import settings_for
from benchmarks.running import run_as_daemon
from smsgate.daemon.process import running


async def run(state_dir: Path, port: int) -> None:
    async with running(settings_for(state_dir, port), say=lambda _: None):
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(used.ru_utime + used.ru_stime, flush=True)


def main() -> None:
    run_as_daemon(run(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
