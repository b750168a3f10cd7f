"""
One more process with the role `api` on the port of another, for `benchmarks.intake`.

    python -m benchmarks.intake_server STATE_DIR PORT

It says "ready", then the CPU seconds that it took so far for each line that it reads, and ends with them.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

import uvloop

from benchmarks.intake import settings_for
from smsgate.daemon.collector import calm_collector
from smsgate.daemon.process import running
from smsgate.telemetry.logs import configure_logs


async def run(state_dir: Path, port: int) -> None:
    async with running(settings_for(state_dir, port), say=lambda _: None):
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(used.ru_utime + used.ru_stime, flush=True)


def main() -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_logs(form="json", stream=nowhere)
        calm_collector()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
