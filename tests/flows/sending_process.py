"""
Gateways in a process of their own, until it is killed.

Run as: python -m tests.flows.sending_process DSN DATABASE SMPP_PORT GATEWAYS. It begins when a line comes,
and prints its owners' epochs.
"""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import cast

from smsgate.cli.sessions import silence_logs
from smsgate.flows.sending_limits import SendingLimits
from smsgate.simulator.serve import Simulator
from smsgate.store.dsn import Dsns
from smsgate.store.pool import Database, PoolSizes
from tests.flows.world import World

RATE_PER_S = 60  # of each gateway, so that all of them get chunks


async def send(dsn: str, name: str, smpp_port: int, gateways: int) -> None:
    sizes = PoolSizes(api=1, bulk=4, report=1, control=2)
    async with await Database.open(
        Dsns(control=dsn, data=dsn), database=name, migrate=False, sizes=sizes
    ) as database:
        smsc = cast("Simulator", SimpleNamespace(smpp_port=smpp_port))
        world = World(database, smsc, rate_per_s=RATE_PER_S, limits=SendingLimits(poll_s=0.05))
        made = [await world.make() for _ in range(gateways)]
        tasks = [task for gateway, _lease in made for task in gateway.start()]
        sys.stdout.write(" ".join(str(lease.epoch) for _gateway, lease in made) + "\n")
        sys.stdout.flush()
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    silence_logs()
    sys.stdin.readline()
    asyncio.run(send(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
