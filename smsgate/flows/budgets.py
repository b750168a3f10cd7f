"""
Budgets in a gateway: chunks, and messages of the queue, are written as far as money was set aside for them.

The border is that of the chunk's allowance, which every write minds already: nothing is asked per message,
and nothing at all of merchants without a budget. Leases are taken in the database (`billing.budgets`), so all
gateways share one budget. A chunk for whose next message there is no money is given back: what its lease has
left is settled, and whoever gets money first goes on.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import fields, replace
from itertools import compress
from typing import Any, Final, TypeVar

import structlog

from smsgate.clock import Clock
from smsgate.errors import StoreUnavailable
from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.budget_records import LeaseAsk, LeaseStore
from smsgate.flows.composing import Refused
from smsgate.flows.long_texts import segments_max
from smsgate.flows.ports import SendingStore
from smsgate.flows.records import InteractiveClaim, SubmittedClaim
from smsgate.flows.sending import Pump

log = structlog.get_logger(__name__)

Queued = TypeVar("Queued", InteractiveClaim, SubmittedClaim)
Made = list[tuple[Batch, Refused]]
SETTLED_MAX: Final = 50  # leases of one look, each of up to 3,000 messages, and a transaction of its own


class Budgets:
    def __init__(
        self, leases: LeaseStore, store: SendingStore, pump: Pump, clock: Clock, *, owner: int
    ) -> None:
        self._leases = leases
        self._store = store
        self._pump = pump
        self._clock = clock
        self._owner = owner
        self.wake = asyncio.Event()  # a chunk waits for its first lease

    # ------------------------------------------------------------ chunks

    async def lease_once(self) -> bool:
        """One step of a loop: let chunks that have written all they may write on; look again later."""
        for chunk in self._hungry():
            prices = _unfunded(chunk)
            if not prices:
                chunk.funded = chunk.message_count
                continue
            currency = next((batch.currency for batch in chunk.batches if batch.currency), "")
            ids = list(prices)
            ask = LeaseAsk(
                chunk.key.merchant_id, self._owner, chunk.key, currency, ids, list(prices.values())
            )
            count = await self._leases.lease(ask, self._clock.now())
            if count is None:
                chunk.funded = None
            else:
                end = count == len(ids)
                chunk.funded = chunk.message_count if end else ids[count] - chunk.message_id_base
            if count == 0 and not chunk.in_flight():
                self._pump.give_back(chunk)
            else:
                self._pump.let(chunk, chunk.limit)
        return False

    def _hungry(self) -> list[Chunk]:
        """Return the chunks that have written as far as their leases go, oldest first."""
        chunks = {
            batch.chunk.key: batch.chunk
            for batch in self._pump.batches()
            if batch.chunk is not None and batch.chunk.funded is not None and not batch.paused
        }
        return [
            chunk
            for chunk in chunks.values()
            if chunk.funded is not None
            and chunk.funded <= chunk.reached()
            and chunk.funded < chunk.message_count
            and not chunk.returned
            and not any(batch.retry or batch.held for batch in chunk.batches)
        ]

    async def settle_once(self) -> bool:
        """One step of a loop: settle leases that are over, whoever took them; True: there may be more."""
        settled = await self._leases.settle(self._clock.now(), SETTLED_MAX)
        if settled.leases:
            self._pump.wake_claims.set()
            self._pump.wake_interactive.set()
        return settled.leases == SETTLED_MAX

    # ------------------------------------------------------------ the queue

    async def covered(self, claim: Queued, compose: Callable[[Queued], Awaitable[Made]]) -> Made:
        """
        Return the batches of those messages of a claim for which money was set aside; the others go back.

        Raises:
            StoreUnavailable: the claim is found forgotten, and given back.
        """
        made = await compose(claim)
        if not claim.budgeted or not made:
            return made
        prices = _prices(claim, made)
        if not prices:  # all are settled unsent; a question about nothing would be told that there is money
            return made
        ids = list(prices)
        currency = next((batch.currency for batch, _ in made if batch.currency), "")
        ask = LeaseAsk(claim.merchant_id, self._owner, None, currency, ids, list(prices.values()))
        try:
            count = await self._leases.lease(ask, self._clock.now())
            if count is None or count == len(ids):
                return made
            waits = set(ids[count:])
            await self._store.release_interactive(
                [(claim.merchant_id, message_id) for message_id in ids[count:]], owner=self._owner
            )
        except StoreUnavailable:
            self._pump.forgotten = True
            raise
        log.info("messages_wait_for_budget", merchant_id=claim.merchant_id, messages=len(waits))
        rest = _less(claim, waits)
        return await compose(rest) if rest.message_ids else []


def _less(claim: Queued, gone: AbstractSet[int]) -> Queued:
    """Return a claim without some of its messages."""
    keep = [message_id not in gone for message_id in claim.message_ids]
    columns: dict[str, Any] = {
        column.name: list(compress(values, keep))
        for column in fields(claim)
        if isinstance(values := getattr(claim, column.name), list)
    }
    return replace(claim, **columns)


def _unfunded(chunk: Chunk) -> dict[int, int]:
    """Return the messages behind the leases that are to be written, in order, and their prices."""
    assert chunk.funded is not None
    first = chunk.message_id_base + chunk.funded
    prices = {
        message_id: batch.sell_micros[index]
        for batch in chunk.batches
        for index, message_id in enumerate(batch.message_ids)
        if message_id >= first and index not in batch.skip
    }
    return dict(sorted(prices.items()))


def _prices(claim: InteractiveClaim | SubmittedClaim, made: Made) -> dict[int, int]:
    """
    Return what each message of a claim may cost, in order; those that are refused are left out.

    Where another carrier may get a text, it may make more segments of it.
    """
    prices: defaultdict[int, int] = defaultdict(int)
    counts: defaultdict[int, int] = defaultdict(int)
    elsewhere: set[int] = set()
    for batch, refused in made:
        gone = {index for index, _ in refused}
        for index, message_id in enumerate(batch.message_ids):
            if index not in gone:
                prices[message_id] += batch.sell_micros[index]
                counts[message_id] += 1 if batch.segments is None else batch.segments[index]
        if batch.way.tiers:
            elsewhere.update(batch.message_ids)
    if isinstance(claim, InteractiveClaim) and elsewhere:
        bodies = dict(zip(claim.message_ids, claim.bodies, strict=True))
        for message_id in elsewhere & prices.keys():
            most = max(counts[message_id], segments_max(bodies[message_id]))
            prices[message_id] = -(-prices[message_id] * most // counts[message_id])
    return dict(sorted(prices.items()))
