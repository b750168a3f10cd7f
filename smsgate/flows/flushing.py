"""The flush loop: as soon as the last commit returned and a little time passed, one transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.errors import StoreUnavailable
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.ports import Carrier, SendingStore
from smsgate.flows.records import Ack, Flush
from smsgate.flows.sending import Pump

log = structlog.get_logger(__name__)

# Time for a flush to gather rows: a transaction costs some 2 ms of CPU, and a row of a COPY less when many
# are together. It goes on as long as each step brings more answers and more receipts: where nothing comes any
# more somebody may be waiting for us (windows of both sides are full), and the flush goes at once.
GATHER_S: Final = 0.01
GATHER_STEP_S: Final = 0.005
GATHER_STEPS: Final = 8
GATHERED: Final = 4_000  # rows are enough: more would only be a longer transaction
RETRY_MAX_S: Final = 5.0  # the database is away: the cap stops the sending, nothing is dropped
DURATIONS_KEPT: Final = 1_024  # flushes, for the percentiles of the metrics


class Flushing:
    """One flush at a time; receipts are acknowledged and the cap released after the commit only."""

    def __init__(
        self,
        store: SendingStore,
        pump: Pump,
        outcomes: Outcomes,
        carriers: Mapping[int, Carrier],
        clock: Clock,
        *,
        owner: int,
    ) -> None:
        self.committed: Callable[[Flush], None] = lambda _flush: None  # who looks at what was committed
        self._store = store
        self._pump = pump
        self._outcomes = outcomes
        self._carriers = carriers
        self._clock = clock
        self._owner = owner
        self._closing = False
        self.durations_s: deque[float] = deque(maxlen=DURATIONS_KEPT)
        self.busy = False  # a commit is under way
        self.flushes = 0
        self.failures = 0

    async def run(self) -> None:
        """Flush until `close`; what happened before it is committed."""
        while True:
            if self._outcomes.empty():
                if self._closing:
                    return
                self._pump.work.clear()
                await self._pump.work.wait()
            await self._gather()
            if not self._outcomes.empty():
                self.busy = True
                await self._flush()
                self.busy = False

    async def _gather(self) -> None:
        """Let rows come together for one transaction."""
        before = 0, 0
        for step_s in (GATHER_S, *repeat(GATHER_STEP_S, GATHER_STEPS)):
            if self._closing:
                return
            await asyncio.sleep(step_s)
            found = self._outcomes.gathered()
            if sum(found) >= GATHERED or found[0] == before[0] or found[1] == before[1]:
                return
            before = found

    def close(self) -> None:
        self._closing = True
        self._pump.work.set()

    async def _flush(self) -> None:
        cut = self._outcomes.cut(self._pump.grants(), self._clock.now())
        delay = 0.1
        started = self._clock.monotonic()
        while True:
            try:
                taken_over = await self._store.flush(cut.flush, owner=self._owner)
                break
            except StoreUnavailable as exc:
                self.failures += 1
                log.error("flush_waits", error=str(exc), rows=len(cut.flush.sent), retry_s=delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MAX_S)
        self.flushes += 1
        self.durations_s.append(self._clock.monotonic() - started)
        acks: dict[int, list[Ack]] = {}
        for ack in cut.acks:
            acks.setdefault(ack.carrier_id, []).append(ack)
        for carrier_id, group in acks.items():
            if (carrier := self._carriers.get(carrier_id)) is not None:  # else it was taken out meanwhile
                carrier.acknowledge(group)
        self.committed(cut.flush)
        self._pump.committed(cut, taken_over)
        cut.let_go()
