"""The flush loop: as soon as the last commit returned and a little time passed, one transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.errors import StoreUnavailable
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.ports import Carrier, SendingStore
from smsgate.flows.records import Ack
from smsgate.flows.sending import Pump

log = structlog.get_logger(__name__)

GATHER_S: Final = 0.02  # time for a flush to gather rows; a commit costs the same for one as for thousands
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
            if not self._outcomes.empty():
                self.busy = True
                await self._flush()
                self.busy = False
            elif self._closing:
                return
            else:
                self._pump.work.clear()
                await self._pump.work.wait()
                await asyncio.sleep(0 if self._closing else GATHER_S)

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
        self._pump.committed(cut, taken_over)
        cut.let_go()
