"""An account and the simulated SMSC in one loop whose time jumps: minutes of traffic, no sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from smsgate.clock import SystemClock
from smsgate.flows.records import CarrierReceipts, Lane, MobileOriginated
from smsgate.links.carrier import CarrierAccount
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import FrameDecoder
from smsgate.simulator.faulty_smsc import FaultySmsc
from smsgate.simulator.smsc_settings import SmscSettings
from tests.links.fake_smsc import a_profile
from tests.simulator.virtual_time import VirtualTimeLoop


class LoopClock(SystemClock):
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Pipe(asyncio.Transport):
    """One end of a connection in memory."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.other: Pipe
        self.seen: list[tuple[float, int]] = []  # (second, submit_sm of one write) that this end wrote
        self._decoder = FrameDecoder()
        self._closing = False

    def write(self, data: Any) -> None:
        loop = asyncio.get_running_loop()
        submits = sum(f.command_id == CommandId.SUBMIT_SM for f in self._decoder.feed(bytes(data)))
        if submits:
            self.seen.append((loop.time(), submits))
        loop.call_soon(self.other.take, bytes(data))

    def take(self, data: bytes) -> None:
        if not self._closing:
            self.protocol.data_received(data)

    def close(self) -> None:
        for end in (self, self.other):
            if not end._closing:
                end._closing = True
                asyncio.get_running_loop().call_soon(end.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class MemoryLoop(VirtualTimeLoop):
    """Connections lead to `smsc`, whatever their address."""

    def __init__(self) -> None:
        super().__init__()
        self.smsc: FaultySmsc | None = None
        self.pipes: list[Pipe] = []  # the ESME's ends
        self.connected_at: list[float] = []

    async def create_connection(self, factory: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]
        assert self.smsc is not None
        ours = Pipe(factory())
        theirs = Pipe(cast("Any", self.smsc._connection(next(self.smsc._connection_numbers))))
        ours.other, theirs.other = theirs, ours
        self.pipes.append(ours)
        self.connected_at.append(self.time())
        theirs.protocol.connection_made(theirs)
        ours.protocol.connection_made(ours)
        return ours, ours.protocol


@dataclass
class Demand:
    """CarrierEvents of a sender who always has more to send, and sends again what was throttled."""

    account: CarrierAccount
    throttled: list[float] = field(default_factory=list)  # when
    accepted: list[float] = field(default_factory=list)
    refused: int = 0
    doubtful: int = 0
    next_slot: int = 0
    again: list[int] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    stopped: bool = False

    def fill(self) -> None:
        account, loop = self.account, asyncio.get_running_loop()
        while not self.stopped and (room := min(500, account.room(Lane.INTERACTIVE))):
            slots = [self.again.pop() for _ in range(min(room, len(self.again)))]
            fresh = range(self.next_slot, self.next_slot + room - len(slots))
            self.next_slot += len(fresh)
            slots += fresh
            numbers = [33_600_000_000 + slot for slot in slots]
            bodies = account.bodies("36111", numbers, [b"x"] * room, 0)
            assert account.submit(bodies, slots, Lane.INTERACTIVE) == room
        at = account.room_at(Lane.INTERACTIVE)
        if at is not None and not self.stopped:
            if self.timer is not None:
                self.timer.cancel()
            self.timer = loop.call_at(at, self.fill)

    def answered(self, slots: Any, statuses: Any, smsc_ids: Any) -> None:
        now = asyncio.get_running_loop().time()
        for slot, status in zip(slots, statuses, strict=True):
            if status == 0:
                self.accepted.append(now)
            elif status in self.account.retry_statuses:
                self.throttled.append(now)
                self.again.append(slot)
            else:
                self.refused += 1

    def in_doubt(self, carrier_id: int, slots: Any) -> None:
        self.doubtful += len(slots)

    def receipts(self, receipts: CarrierReceipts) -> None:
        self.account.acknowledge([receipts.ack])

    def delivered(self, mo: MobileOriginated) -> None: ...

    def reachable(self, carrier_id: int, msisdn: int) -> None: ...

    def room_changed(self, carrier_id: int) -> None:
        self.fill()


@dataclass
class Run:
    """What `seconds` of traffic came to; times count from the first bind."""

    smsc: FaultySmsc
    demand: Demand
    account: CarrierAccount
    submits: list[tuple[float, int]]
    connected_at: list[float]

    def accepted_between(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at in self.demand.accepted)

    def throttled_between(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at in self.demand.throttled)

    def most_in_a_second(self) -> int:
        """Return the most submit_sm that the SMSC saw in any second."""
        most = first = inside = 0
        for at, count in self.submits:
            inside += count
            while self.submits[first][0] <= at - 1.0:
                inside -= self.submits[first][1]
                first += 1
            most = max(most, inside)
        return most


def run_virtually(
    settings: SmscSettings,
    seconds: float,
    *,
    change: Callable[[MemoryLoop], Awaitable[None]] | None = None,
    **profile: Any,
) -> Run:
    """Let one account send all that it may to one SMSC, and end in order."""
    loop = MemoryLoop()

    async def go() -> Run:
        smsc = loop.smsc = FaultySmsc(settings, random.Random(7), clock=LoopClock())
        values: dict[str, Any] = {"response_timeout_s": 10.0, "interactive_share": 0.0, **profile}
        await smsc.start()
        account = CarrierAccount(
            a_profile(2775, **values), 7, clock=LoopClock(), random=random.Random(7).random
        )
        demand = Demand(account)
        account.start(demand)
        if change is not None:
            await change(loop)
        await asyncio.sleep(seconds - loop.time())
        demand.stopped = True
        await asyncio.sleep(1.0)
        await account.stop(5.0)
        smsc.timetable.close()
        assert smsc._server is not None
        smsc._server.close()
        submits = sorted(seen for pipe in loop.pipes for seen in pipe.seen)
        return Run(smsc, demand, account, submits, loop.connected_at)

    try:
        return loop.run_until_complete(go())
    finally:
        loop.close()
