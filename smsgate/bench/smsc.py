"""
The SMSC of a benchmark as a process of its own: SMPP on a free port of loopback, receipts at once.

It writes its port as the first line. Each MSISDN that it reads, one a line, answers OK to the offer's number.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import suppress

import structlog

from smsgate.bench.scene import PASSWORD, SENDER, SYSTEM_ID
from smsgate.simulator.serve import Simulator, SimulatorSettings, run_simulator
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings

ANSWER = "OK"


async def _answer(simulator: Simulator) -> None:
    """Let phones answer, as standard input names them; return at its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async for line in reader:
        simulator.smsc.send_mo(int(line), SENDER, ANSWER)


async def main() -> None:
    # Standard output is read for the port alone.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    answering: list[asyncio.Task[None]] = []

    def ready(simulator: Simulator) -> None:
        answering.append(asyncio.create_task(_answer(simulator)))
        answering[0].add_done_callback(lambda _: stop.set())  # who started us is gone
        sys.stdout.write(f"{simulator.smpp_port}\n")
        sys.stdout.flush()

    settings = SimulatorSettings(
        control_port=None, phones=False, smsc=SmscSettings(accounts=(SmscAccount(SYSTEM_ID, PASSWORD),))
    )
    await run_simulator(settings, stop, ready)
    for task in answering:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


if __name__ == "__main__":
    with suppress(ImportError):
        import uvloop

        uvloop.install()
    asyncio.run(main())
