"""
The SMSC of `benchmarks.inbound` as a process of its own: phones that say OK at a rate, and two clocks.

Its first line is its port. It reads lines of JSON (`Answers`), lets these phones answer, and writes what came
of it as a line of JSON when every deliver_sm is answered and every phone was told. Times count from when an
answer was due, so that waiting for the gateway is never left out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import resource
import signal
import sys
from contextlib import suppress
from typing import Any, Final, NamedTuple

import structlog
import uvloop

from smsgate.bench.meter import percentile
from smsgate.bench.scene import PASSWORD, SENDER, SYSTEM_ID
from smsgate.simulator.account import Account
from smsgate.simulator.connection import SmscConnection
from smsgate.simulator.mobile_originated import Mo, MoPart
from smsgate.simulator.smsc import Smsc
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings
from smsgate.simulator.submits import Submits

# What buyers write; each is a yes, and none is told from another's by its octets.
WORDS: Final = ("OK", "ok", "Ok merci", "oui", "Oui !", "d'accord", "OK svp")
STEP_S: Final = 0.005  # between writes of what became due
RECEIPT_DELAY_S: Final = (0.1, 0.3)  # as phones have it: no receipt overtakes its answer
QUIET_LIMIT_S: Final = 20.0  # nothing was answered or told for so long: what is missing is missing


class Answers(NamedTuple):
    msisdns: list[int]
    rate_per_s: float  # 0: all at once


class TimedSmsc(Smsc):
    """Notes how long after it was due each answer was acknowledged, and its phone written to."""

    def __init__(self, settings: SmscSettings) -> None:
        super().__init__(settings, random.Random(1))
        self.acknowledged_s: list[float] = []
        self.told_s: list[float] = []
        self.acknowledged_at = 0.0  # when the last one was
        self._unacknowledged: dict[int, float] = {}  # msisdn -> when its answer was due
        self._untold: dict[int, float] = {}
        self._parts: list[MoPart] = []

    async def answer(self, answers: Answers) -> dict[str, Any]:
        msisdns, rate = answers
        clock = asyncio.get_running_loop().time
        cpu_s, began, nth = _cpu_s(), clock(), 0
        while nth < len(msisdns):
            due = len(msisdns) if not rate else min(len(msisdns), int((clock() - began) * rate) + 1)
            for n in range(nth, due):
                at = began + n / rate if rate else began
                self._unacknowledged[msisdns[n]] = self._untold[msisdns[n]] = at
                self.send_mo(msisdns[n], SENDER, WORDS[n % len(WORDS)])
            nth = due
            for account in self._accounts.values():
                account.put_parts(self._parts)
            self._parts = []
            await asyncio.sleep(STEP_S)
        await self._settled()
        return {
            "unacknowledged": len(self._unacknowledged),
            "untold": len(self._untold),
            "refused": dict(self.log.deliver_refused),
            "answers_per_s": round(len(msisdns) / (self.acknowledged_at - began)),
            "deliver_sm_resp_ms": _ranks(self.acknowledged_s),
            "confirmation_ms": _ranks(self.told_s),
            "smsc_cpu_us": round((_cpu_s() - cpu_s) / len(msisdns) * 1e6, 1),
        }

    async def _settled(self) -> None:
        clock = asyncio.get_running_loop().time
        before, since = 0, clock()
        while self._unacknowledged or self._untold:
            left = len(self._unacknowledged) + len(self._untold)
            if left != before:
                before, since = left, clock()
            if clock() - since > QUIET_LIMIT_S:
                return
            await asyncio.sleep(STEP_S)

    def take(self, connection: SmscConnection, submits: Submits) -> None:
        super().take(connection, submits)
        if self._untold:
            now = asyncio.get_running_loop().time()
            for destination in submits.destinations:
                due = self._untold.pop(int(destination), None)
                if due is not None:
                    self.told_s.append(now - due)

    def mo_taken(self, mo: Mo, connection: SmscConnection) -> None:
        super().mo_taken(mo, connection)
        self.acknowledged_at = asyncio.get_running_loop().time()
        self.acknowledged_s.append(self.acknowledged_at - self._unacknowledged.pop(mo.msisdn))

    def _bring(self, account: Account, mo: Mo) -> None:  # noqa: ARG002  # there is one account
        self._parts += [MoPart(mo, body) for body in mo.bodies]


def _ranks(seconds: list[float]) -> dict[str, float | None]:
    return {
        name: None if (found := percentile(seconds, percent)) is None else round(found * 1000, 1)
        for name, percent in (("p50", 50.0), ("p99", 99.0), ("max", 100.0))
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings = SmscSettings(accounts=(SmscAccount(SYSTEM_ID, PASSWORD),), receipt_delay_s=RECEIPT_DELAY_S)
    smsc = TimedSmsc(settings)
    await smsc.start()
    print(smsc.port, flush=True)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        print(json.dumps(await smsc.answer(Answers(*json.loads(line)))), flush=True)
    await smsc.stop()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends with its input
    with suppress(BrokenPipeError), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
