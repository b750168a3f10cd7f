"""How long a flush gathers: as long as answers and receipts come, and never for somebody who waits for us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from smsgate.clock import ManualClock
from smsgate.flows.batches import Batch
from smsgate.flows.flushing import GATHER_S, GATHER_STEP_S, GATHER_STEPS, GATHERED, Flushing
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.records import Ack, CarrierReceipts, ChunkKey, Flush
from smsgate.flows.sending import Pump
from smsgate.flows.sending_limits import SendingLimits
from smsgate.flows.stops import RecentStops
from smsgate.protocol.message_ids import IdForm, ReceiptIds
from tests.simulator.virtual_time import VirtualTimeLoop
from tests.unit.flows.test_cut import AT, SIZE, a_batch

STEP_S = 0.005


class _Flushes:
    """A store that notes when it was given what; nothing else of one is asked for here."""

    def __init__(self) -> None:
        self.given: list[tuple[float, int, int]] = []  # (second of the loop, rows of sent, receipts)

    async def flush(self, flush: Flush, *, owner: int) -> set[ChunkKey]:
        assert owner == 1
        self.given.append(
            (asyncio.get_running_loop().time(), len(flush.sent), len(flush.receipts) + len(flush.unmatched))
        )
        return set()


class _Traffic:
    """Answers and receipts as links bring them, each batch and id once."""

    def __init__(self, outcomes: Outcomes, work: asyncio.Event) -> None:
        self._outcomes = outcomes
        self._work = work
        self._handles = count(1)
        self._ids = ReceiptIds((IdForm.AS_IS,))

    def answers(self, rows: int) -> None:
        for _ in range(-(-rows // SIZE)):
            batch: Batch = a_batch(next(self._handles))
            self._outcomes.unknown(batch, list(range(SIZE)), AT)
        self._work.set()

    def receipts(self, rows: int) -> None:
        ids = [b"%d" % next(self._handles) for _ in range(rows)]
        none = [b""] * rows
        receipts = CarrierReceipts(1, ids, none, [2] * rows, none, Ack(1, 1, list(range(rows))))
        self._outcomes.receipts(receipts, self._ids, AT)
        self._work.set()


def flushed(events: Callable[[float, _Traffic], Any], *, steps: int = 12) -> list[tuple[float, int, int]]:
    """Return the flushes while `events` runs every STEP_S."""
    store = _Flushes()

    async def run() -> None:
        clock = ManualClock(AT)
        outcomes = Outcomes(count(1).__next__)
        pump = Pump({}, outcomes, RecentStops(), clock, limits=SendingLimits())
        flushing = Flushing(store, pump, outcomes, {}, clock, owner=1)  # type: ignore[arg-type]
        traffic = _Traffic(outcomes, pump.work)
        task = asyncio.create_task(flushing.run())
        for step in range(steps):
            events(step * STEP_S, traffic)
            await asyncio.sleep(STEP_S)
        flushing.close()
        await task

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
    return store.given


def test_a_lone_receipt_waits_for_one_look_alone() -> None:
    ((at, sent, receipts),) = flushed(lambda at, traffic: traffic.receipts(1) if at == 0 else None)
    assert at == pytest.approx(GATHER_S)
    assert (sent, receipts) == (0, 1)


def test_answers_without_receipts_wait_for_one_look_alone() -> None:
    given = flushed(lambda _, traffic: traffic.answers(SIZE), steps=4)
    assert given[0][0] == pytest.approx(GATHER_S)


def test_while_answers_and_receipts_come_rows_gather_up_to_the_bound() -> None:
    def both(_: float, traffic: _Traffic) -> None:
        traffic.answers(SIZE)
        traffic.receipts(3)

    (at, sent, receipts), *_ = flushed(both, steps=20)
    assert at == pytest.approx(GATHER_S + GATHER_STEPS * GATHER_STEP_S)
    assert sent >= SIZE * 10
    assert receipts >= 30


def test_who_waits_for_our_answers_brings_no_receipts_and_the_flush_goes() -> None:
    def stalls(at: float, traffic: _Traffic) -> None:
        traffic.answers(SIZE)
        if at < GATHER_S:
            traffic.receipts(3)

    (at, _, receipts), *_ = flushed(stalls, steps=10)
    assert at == pytest.approx(GATHER_S + GATHER_STEP_S)
    assert receipts == 3 * round(GATHER_S / STEP_S)


def test_rows_enough_for_a_transaction_wait_for_no_more() -> None:
    def many(_: float, traffic: _Traffic) -> None:
        traffic.answers(GATHERED)
        traffic.receipts(3)

    (at, _, _), *_ = flushed(many, steps=4)
    assert at == pytest.approx(GATHER_S)
