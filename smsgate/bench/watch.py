"""Beside the campaign: phones that answer now and then, and what is noted of the gateway each second."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from smsgate.bench.meter import rss_now_mb
from smsgate.bench.scene import is_reached, msisdn_of
from smsgate.daemon.gateway import Gateway
from smsgate.flows.batches import Batch
from smsgate.store.bench_books import confirmations
from smsgate.store.pool import Database

OKS_PER_S: Final = 10
# A phone answers an offer that has been delivered: so many messages behind the last one written.
BEHIND: Final = 20_000
DRAWS: Final = 100  # of people, until one is found who has the offer
LOOK_S: Final = 1.0


class Confirmations:
    """When the texts of the interactive lane were written to a socket, by message id."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._written_at: dict[int, datetime] = {}
        gateway.pump.on_interactive = self._written

    def _written(self, batch: Batch, indexes: Sequence[int], at: datetime) -> None:
        for index in indexes:
            self._written_at.setdefault(batch.message_ids[index], at)

    async def delays_ms(self, database: Database) -> list[float]:
        """Return how long after its deliver_sm each confirmation left."""
        written_at = self._written_at
        return [
            (written_at[message_id] - received_at).total_seconds() * 1000
            for message_id, received_at in await confirmations(database)
            if message_id in written_at
        ]


async def answer_now_and_then(gateway: Gateway, phones: asyncio.StreamWriter, messages: int) -> None:
    """
    Have a phone say OK, OKS_PER_S times a second, until all offers are written.

    Each says it at most once, and none before it has the offer.
    """
    rng = random.Random(1)  # noqa: S311  # chance, no secret
    answered: set[int] = set()
    while (submitted := gateway.pump.submitted) < messages:
        share = (submitted - min(BEHIND, messages // 2)) / messages
        for msisdn in (msisdn_of(rng.randrange(messages)) for _ in range(DRAWS if share > 0 else 0)):
            if is_reached(msisdn, share) and msisdn not in answered:
                answered.add(msisdn)
                phones.write(b"%d\n" % msisdn)
                break
        await asyncio.sleep(1 / OKS_PER_S)


class Seconds:
    """How much was written, how long flushes took and how much memory there is, looked at once a second."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._flushes = gateway.flushing.flushes
        self.flushes_ms: list[float] = []
        self.submitted: list[tuple[float, int]] = []  # (monotonic second, submits so far)
        self.memory_mb: list[float] = []  # at the same looks

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            self.submitted.append((clock(), self._gateway.pump.submitted))
            self.memory_mb.append(rss_now_mb())
            await asyncio.sleep(LOOK_S)
            self.note_flushes()

    def note_flushes(self) -> None:
        """Take over the durations of flushes since the last look; the gateway keeps the newest alone."""
        flushing = self._gateway.flushing
        fresh = min(flushing.flushes - self._flushes, len(flushing.durations_s))
        self._flushes = flushing.flushes
        if fresh:
            self.flushes_ms += [seconds * 1000 for seconds in list(flushing.durations_s)[-fresh:]]

    def rate_after(self, settle_s: float) -> float | None:
        """Return messages a second from `settle_s` after the start to the last look; None: it was shorter."""
        started = self.submitted[0][0] if self.submitted else 0.0
        later = [entry for entry in self.submitted if entry[0] >= started + settle_s]
        if len(later) < 2:
            return None
        (first_at, first), (last_at, last) = later[0], later[-1]
        return (last - first) / (last_at - first_at)
