"""The simulator as a process of its own: SMPP on a free port of loopback, receipts at once, no phones."""

from __future__ import annotations

import asyncio
import signal

import uvloop

from smsgate.simulator.serve import Simulator, SimulatorSettings, run_simulator
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings

SYSTEM_ID = "smsgate"
PASSWORD = "secret"


def show_port(simulator: Simulator) -> None:
    print(simulator.smpp_port, flush=True)


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    accounts = (SmscAccount(SYSTEM_ID, PASSWORD),)
    settings = SimulatorSettings(control_port=None, phones=False, smsc=SmscSettings(accounts=accounts))
    await run_simulator(settings, stop, show_port)


if __name__ == "__main__":
    uvloop.run(main())
