"""A peer that floods leaves everybody else a turn, on the daemon's own loop as on asyncio's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import pytest
import uvloop

from smsgate.clock import ManualClock
from smsgate.turns import FULL_READ_OCTETS, DeadlineTimer, FairReading, make_room

FLOOD_OCTETS = 4 << 20
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Reader(asyncio.Protocol):
    """Counts the full reads that come between two turns of the loop."""

    def __init__(self) -> None:
        self.octets = 0
        self.reads_in_turn = 0
        self.reads_in_turn_max = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.fair = FairReading(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        if len(data) >= FULL_READ_OCTETS:
            if self.reads_in_turn == 0:
                asyncio.get_running_loop().call_soon(self._turn)
            self.reads_in_turn += 1
            self.reads_in_turn_max = max(self.reads_in_turn_max, self.reads_in_turn)
        self.octets += len(data)
        self.fair.took(len(data))

    def _turn(self) -> None:
        self.reads_in_turn = 0


async def flooded(reader: Reader) -> None:
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    ours.setblocking(False)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FLOOD_OCTETS)
    transport, _ = await loop.create_connection(lambda: reader, sock=ours)
    with theirs:
        await asyncio.to_thread(theirs.sendall, bytes(FLOOD_OCTETS))
        async with asyncio.timeout(30):
            while reader.octets < FLOOD_OCTETS:
                await asyncio.sleep(0)
    transport.close()


@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_flood_is_read_whole_and_once_per_turn(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    reader = Reader()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(flooded(reader))
    assert reader.octets == FLOOD_OCTETS
    assert reader.reads_in_turn_max == 1


async def held_and_released(reader: Reader) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: reader, sock=ours)
    with theirs:
        await asyncio.to_thread(theirs.sendall, bytes(FULL_READ_OCTETS))
        while not reader.octets:
            await asyncio.sleep(0)
        reader.fair.hold()  # the turn after the read must not undo it
        before = reader.octets
        theirs.sendall(b"more")
        for _ in range(20):
            await asyncio.sleep(0)
        assert reader.octets == before
        reader.fair.release()
        async with asyncio.timeout(30):
            while reader.octets < FULL_READ_OCTETS + 4:
                await asyncio.sleep(0)
    transport.close()


@pytest.mark.parametrize("new_loop", LOOPS)
def test_what_its_owner_holds_is_not_read_until_it_is_released(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    reader = Reader()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(held_and_released(reader))


async def test_one_timer_serves_a_deadline_that_moves_on_with_every_octet() -> None:
    clock, rung = ManualClock(datetime(2026, 11, 26, tzinfo=UTC)), asyncio.Event()
    timer = DeadlineTimer(clock.monotonic, rung.set)
    timer.set(clock.monotonic() + 3_600)
    first = timer._timer
    for seconds in range(3_601, 3_700):
        timer.set(clock.monotonic() + seconds)
    assert timer._timer is first
    timer.set(clock.monotonic())  # an earlier one does count
    await asyncio.wait_for(rung.wait(), 5)
    assert timer._timer is None
    timer.set(clock.monotonic() + 3_600)
    timer.set(None)
    assert timer._timer is None


@pytest.mark.parametrize("new_loop", LOOPS)
def test_who_waits_for_octets_goes_on_before_long_work_does(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(an_answer_and_work()) == ["answer", "work"]


async def an_answer_and_work() -> list[str]:
    order: list[str] = []
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)

    async def waits_for_octets() -> None:
        await reader.readexactly(1)
        order.append("answer")

    waiting = asyncio.create_task(waits_for_octets())
    await asyncio.sleep(0)
    with theirs:
        theirs.send(b"1")  # here already, and nobody has looked
        await make_room()
        order.append("work")
        await waiting
    writer.close()
    return order
