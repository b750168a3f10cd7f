"""The pump waits for a rate on whatever loop it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import uvloop

from smsgate.clock import SystemClock
from smsgate.flows.batches import Batch
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.records import Ack, BindStatus, Lane
from smsgate.flows.sending import Pump
from smsgate.flows.sending_limits import FILL_MAX, SendingLimits
from smsgate.flows.stops import RecentStops
from smsgate.protocol.encodings import GSM, Alphabet
from smsgate.protocol.message_ids import ReceiptIds
from smsgate.protocol.segmentation import Concat
from tests.batches import batch_of

CARRIER = 1
LOOKS = 5


class _SpentRate:
    """A carrier whose rate never has room, and always says that it will have some in a moment."""

    carrier_id = CARRIER
    name = "spent"
    rate_per_s = 10
    cost_list: str | None = None
    alphabets: tuple[Alphabet, ...] = (GSM,)
    long_alphabets: tuple[Alphabet, ...] = (GSM,)
    concat: Concat = "udh8"
    retry_statuses: frozenset[int] = frozenset()
    unreachable_statuses: frozenset[int] = frozenset()
    unreachable_wait_s = 300.0
    receipt_ids = ReceiptIds()
    reroute_statuses: frozenset[int] = frozenset()
    opted_out_statuses: frozenset[int] = frozenset()
    opted_out_errors: frozenset[bytes] = frozenset()

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self.looks = 0
        self.looked_often = asyncio.Event()

    def room(self, lane: Lane) -> int:
        self.looks += 1
        if self.looks >= LOOKS:
            self.looked_often.set()
        return 0

    def room_at(self, lane: Lane) -> float | None:
        return self._clock.monotonic()

    def down_since(self) -> float | None:
        return None

    def bodies(
        self,
        sender: str,
        msisdns: Sequence[int],
        texts: Sequence[bytes],
        data_coding: int,
        esm_class: int = 0,
        tlvs: bytes = b"",
    ) -> list[bytes]:
        raise NotImplementedError

    def submitted_bodies(
        self, sender: str, msisdns: Sequence[int], bodies: Sequence[bytes], expires_at: datetime
    ) -> list[bytes]:
        raise NotImplementedError

    def submit(
        self, bodies: Sequence[bytes], slots: Sequence[int], lane: Lane, segments: Sequence[int] = ()
    ) -> int:
        raise NotImplementedError

    def acknowledge(self, acks: Sequence[Ack], status: int = 0) -> None:
        raise NotImplementedError

    def stop_submitting(self) -> None:
        raise NotImplementedError

    def in_flight(self) -> int:
        return 0

    def binds(self) -> Sequence[BindStatus]:
        return []


class _BusyMachine(SystemClock):
    """Two milliseconds pass whenever one asks for the time."""

    def monotonic(self) -> float:
        time.sleep(0.002)
        return super().monotonic()


class _TokenBetweenTwoLooks(_SpentRate):
    """A carrier whose next token is whole just after the first look."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock)
        self.submitted = asyncio.Event()

    def room(self, lane: Lane) -> int:
        self.looks += 1
        return 0 if self.looks == 1 else 1

    def bodies(
        self,
        sender: str,
        msisdns: Sequence[int],
        texts: Sequence[bytes],
        data_coding: int,
        esm_class: int = 0,
        tlvs: bytes = b"",
    ) -> list[bytes]:
        return list(texts)

    def submit(
        self, bodies: Sequence[bytes], slots: Sequence[int], lane: Lane, segments: Sequence[int] = ()
    ) -> int:
        self.submitted.set()
        return len(bodies)


class _RoomForAll(_TokenBetweenTwoLooks):
    """A carrier that takes whatever comes, and notes how much came in one go."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock)
        self.taken = 0

    def room(self, lane: Lane) -> int:
        return FILL_MAX

    def submit(
        self, bodies: Sequence[bytes], slots: Sequence[int], lane: Lane, segments: Sequence[int] = ()
    ) -> int:
        self.taken += len(bodies)
        return len(bodies)


def _pump(carrier: _SpentRate, clock: SystemClock) -> Pump:
    return Pump(
        {CARRIER: carrier},
        Outcomes(iter(range(99)).__next__),
        RecentStops(),
        clock,
        limits=SendingLimits(),
    )


def _a_batch(clock: SystemClock, handle: int = 1) -> Batch:
    batch = batch_of([1], handle=handle, expires_at=clock.now() + timedelta(hours=1))
    batch.consent_read = (clock.monotonic(), 0)
    return batch


async def test_a_token_that_comes_between_two_looks_does_not_leave_the_sending_asleep() -> None:
    """Found with smpp.twisted3: at a slow rate nothing else wakes the pump, and the campaign stood still."""
    clock = SystemClock()
    carrier = _TokenBetweenTwoLooks(clock)
    pump = _pump(carrier, clock)
    pump.add([(_a_batch(clock), [])])
    async with asyncio.timeout(5.0):
        await carrier.submitted.wait()
    pump.drain()


async def test_one_read_has_the_pump_look_for_room_once() -> None:
    clock = SystemClock()
    carrier = _SpentRate(clock)
    pump = _pump(carrier, clock)
    batch = _a_batch(clock)
    pump.add([(batch, []), (_a_batch(clock, 2), [])])
    before = carrier.looks
    pump.answered(batch.slots([0]), [0], [b"1"])
    assert carrier.looks == before
    pump.room_changed(CARRIER)
    assert carrier.looks == before + 1
    pump.drain()


async def test_more_than_a_turn_may_write_is_left_for_the_next_ones() -> None:
    """An answer of a customer waits for the end of a turn with each statement that its order takes."""
    clock = SystemClock()
    carrier = _RoomForAll(clock)
    pump = _pump(carrier, clock)
    messages = 2 * FILL_MAX + 1
    pump.add([(_a_batch(clock, handle), []) for handle in range(1, messages + 1)])
    assert carrier.taken == FILL_MAX
    async with asyncio.timeout(5.0):
        while carrier.taken < messages:
            before = carrier.taken
            await asyncio.sleep(0)
            assert carrier.taken - before <= FILL_MAX
    pump.drain()


def test_a_wait_that_is_over_before_it_is_set_on_uvloop_does_not_break_the_next_one() -> None:
    """uvloop returns a plain Handle, without an instant, for what is due at once."""

    async def fill_again_and_again() -> None:
        clock = _BusyMachine()
        carrier = _SpentRate(clock)
        pump = _pump(carrier, clock)
        pump.add([(_a_batch(clock), [])])
        for _ in range(3):
            pump.room_changed(CARRIER)
        async with asyncio.timeout(5.0):
            await carrier.looked_often.wait()
        pump.drain()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(fill_again_and_again())
