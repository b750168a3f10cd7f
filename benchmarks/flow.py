"""
Window, rate and enquire_link of one account over real sockets: the figures of docs/performance.md.

The SMSC is the project's simulator in the same process and loop. Run it by `make bench-flow`, or here with
`--seconds 0.2` for a fifth of each run's time.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
import uvloop

from smsgate.clock import SystemClock
from smsgate.links.carrier import CarrierAccount
from smsgate.simulator.faults import Faults
from smsgate.simulator.faulty_smsc import FaultySmsc
from smsgate.simulator.smsc_settings import SmscSettings
from smsgate.simulator.timetable import TICK_S
from tests.links.fake_smsc import a_profile
from tests.links.virtual import Demand


@dataclass
class Seen:
    smsc: FaultySmsc
    demand: Demand
    began_at: float
    seconds: float

    def accepted_per_s(self, from_s: float = 0.0) -> float:
        begin, end = self.began_at + from_s, self.began_at + self.seconds
        return sum(begin <= at < end for at in self.demand.accepted) / (self.seconds - from_s)

    def throttled_share(self, from_s: float) -> float:
        begin = self.began_at + from_s
        throttled = sum(at >= begin for at in self.demand.throttled)
        return throttled / max(1, throttled + sum(at >= begin for at in self.demand.accepted))

    def lost_or_doubled(self) -> int:
        doubled = sum(count - 1 for count in self.smsc.log.by_destination.values())
        lost = self.demand.next_slot - len(self.demand.again) - len(self.demand.accepted)
        return doubled + abs(lost)


@dataclass
class Case:
    name: str
    seconds: float
    show: Callable[[Seen], str]
    profile: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)


def _rates(seen: Seen) -> str:
    return f"{seen.accepted_per_s(1.0):,.0f}/s"


def _limit(limit: int, from_s: float) -> Callable[[Seen], str]:
    def show(seen: Seen) -> str:
        used = seen.accepted_per_s(from_s * seen.seconds / 65.0) / limit
        throttled = seen.throttled_share(from_s * seen.seconds / 65.0)
        return f"{used:.1%} of the limit, {throttled:.2%} throttled, {seen.lost_or_doubled()} lost or doubled"

    return show


def _contract(rate: int) -> Callable[[Seen], str]:
    def show(seen: Seen) -> str:
        times = sorted(seen.demand.accepted)
        most, first = 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - 1.0:
                first += 1
            most = max(most, last - first + 1)
        return f"{seen.accepted_per_s(1.0) / rate:.1%} of the rate, at most {most} in any second"

    return show


def _enquiries(seen: Seen) -> str:
    log, smsc = seen.smsc.log, seen.smsc
    submits, receipts = log.submits / seen.seconds, log.receipts_acknowledged / seen.seconds
    rates = f"{submits:,.0f} submit_sm/s, {receipts:,.0f} receipts/s"
    enquiries = smsc.client["enquire_links_answered"]
    return f"{rates}, slowest of {enquiries} enquire_links {smsc.enquiry_s_max * 1_000:.1f} ms"


CASES = (
    Case(
        "M7 enquire_link under 1,000 submits and 1,000 receipts a second",
        5.0,
        _enquiries,
        {"window_max": 500, "rate_per_s": 1_000},
        {"receipts": True, "deliver_window": 1_000},
        Faults(enquires_per_s=20),
    ),
    *(
        Case(
            f"M14 window {window}, answers after 50 ms",
            5.0,
            _rates,
            {"window_max": window, "rate_per_s": 10_000},
            # The simulator answers up to a tick later: 50 ms in the mean.
            {"response_latency_s": 0.05 - TICK_S / 2},
        )
        for window in (10, 100)
    ),
    Case(
        "M15 contract of 100/s over 4 binds",
        20.0,
        _contract(100),
        {"binds": 4, "rate_per_s": 100},
        {"response_latency_s": 0.02},
    ),
    Case(
        "M16 limit of 30/s, configured 60/s, after 5 s",
        65.0,
        _limit(30, 5.0),
        {"rate_per_s": 60},
        {"response_latency_s": 0.02},
        Faults(account_rate_per_s=30),
    ),
    Case(
        "B8 limit of 200/s that nobody told, ceiling 5,000/s, from 60 s to 90 s",
        90.0,
        _limit(200, 60.0 * 65.0 / 90.0),
        {"window_max": 100, "rate_per_s": 5_000, "rate_control": "adaptive"},
        {"response_latency_s": 0.02},
        Faults(account_rate_per_s=200),
    ),
)


async def run(case: Case, scale: float) -> Seen:
    settings = SmscSettings(**{"receipts": False, **case.settings}, faults=case.faults)
    smsc = FaultySmsc(settings, random.Random(7))
    await smsc.start()
    profile = a_profile(smsc.port, **{"response_timeout_s": 10.0, "interactive_share": 0.0, **case.profile})
    account = CarrierAccount(profile, 7, clock=SystemClock(), random=random.Random(7).random)
    demand = Demand(account)
    account.start(demand)
    while account.binds()[0].state != "bound":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    loop = asyncio.get_running_loop()
    began_at, seconds = loop.time(), case.seconds * scale
    await asyncio.sleep(seconds)
    demand.stopped = True
    await asyncio.sleep(0.5)
    await account.stop(5.0)
    await smsc.stop()
    return Seen(smsc, demand, began_at, seconds)


async def main(scale: float, only: str) -> None:
    for case in CASES:
        if not case.name.startswith(only):
            continue
        seen = await run(case, scale)
        print(f"{case.name}: {case.show(seen)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="scale of each run's time")
    parser.add_argument("--only", default="", help="runs whose names begin so: M14")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    arguments = parser.parse_args()
    uvloop.run(main(arguments.seconds, arguments.only))
