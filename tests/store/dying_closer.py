"""
Closes months again and again, and dies by SIGKILL: at a named step, or after some time.

Run as a process of its own: python -m tests.store.dying_closer DSN DATABASE KILLS SEED. It forks for each
life, so that 200 of them take seconds, and prints how many ended by SIGKILL.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final

from smsgate.cli.sessions import silence_logs
from smsgate.clock import ManualClock
from smsgate.flows.billing_records import CloseFacts, CutAsked, DocumentRow, Issue, Period
from smsgate.flows.closing import Closing
from smsgate.ids import IdMaker
from smsgate.store.closing import PgClosing
from smsgate.store.documents import issue
from smsgate.store.dsn import Dsns
from smsgate.store.pool import Database, PoolSizes
from tests.store.books import CLOSE_AT, SELLER

STEPS: Final = ("before the cut", "after the cut", "after the count", "before the commit", "after the commit")
TIMES_S: Final = 0.15  # within this a life is ended that is to be ended by time


class _Dying(PgClosing):
    """Dies the nth time that it comes to a step."""

    def __init__(self, database: Database, step: str, nth: int) -> None:
        super().__init__(database, str)
        self._own, self._step, self._left = database, step, nth

    def _at(self, step: str) -> None:
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    async def cut(self, asked: Sequence[CutAsked]) -> None:
        self._at("before the cut")
        await super().cut(asked)
        self._at("after the cut")

    async def facts(self, period: Period, zone_name: str) -> CloseFacts:
        facts = await super().facts(period, zone_name)
        self._at("after the count")
        return facts

    async def issue(self, issue_: Issue) -> list[DocumentRow]:
        async with self._own.bulk_transaction() as connection:
            rows = await issue(connection, issue_)
            self._at("before the commit")
        self._at("after the commit")
        return rows


async def live(dsn: str, database: str, step: str, nth: int, slot: int) -> None:
    sizes = PoolSizes(api=1, bulk=1, report=1, control=1)
    source = Dsns(control=dsn, data=dsn)
    async with await Database.open(source, database=database, migrate=False, sizes=sizes) as opened:
        ids = IdMaker(slot, lambda: time.time_ns() // 1_000_000)
        await Closing(_Dying(opened, step, nth), SELLER, ManualClock(CLOSE_AT), ids.next).close_due()


def main(dsn: str, database: str, kills: int, seed: int) -> None:
    silence_logs()
    rng = random.Random(seed)
    killed = life = 0
    while killed < kills:
        by_step = rng.random() < 0.5
        step, nth, after_s = rng.choice(STEPS[2:]), rng.randint(1, 3), rng.random() * TIMES_S
        if life < 2:  # the month is cut once
            by_step, step, nth = True, STEPS[life], 1
        life += 1
        pid = os.fork()
        if not pid:
            asyncio.run(live(dsn, database, step if by_step else "", nth, life % 64))
            os._exit(0)
        if not by_step:
            time.sleep(after_s)  # the kill itself: any moment will do
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            break  # it lived: nothing is left to close
        killed += os.WIFSIGNALED(status)
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
