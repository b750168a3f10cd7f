"""The interactive lane holds its carrier's rate, however long claims take, and takes only a little ahead."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from smsgate.flows.records import InteractiveClaim
from smsgate.ids import IdMaker
from smsgate.store.pool import Database
from smsgate.store.sending import StoredSending
from tests.flows.test_budgets import prepaid, verified
from tests.flows.world import PUBLIC_IDS, SENDER, UNIT_MICROS, World, a_world, eventually

RATE_PER_S, TEXTS = 100, 200
BURST = 10  # of such a rate: a tenth of a second
HELD_PER_S = 75  # of 100, on a machine that does much else
STEP = 25  # messages of its rate that a carrier may have ahead; twice as many while claims take long


class _SlowClaims(StoredSending):
    """Claims that take as long as a database that does much else."""

    wait_s = 0.0
    claims = 0

    async def claim_interactive(self, **kwargs) -> list[InteractiveClaim]:  # type: ignore[no-untyped-def]  # noqa: ANN003
        await asyncio.sleep(self.wait_s)
        _SlowClaims.claims += 1
        return await super().claim_interactive(**kwargs)


@pytest.mark.parametrize("wait_s", [0.0, 0.15])
async def test_a_backlog_of_confirmations_is_sent_at_the_carrier_s_rate(
    database: Database, wait_s: float
) -> None:
    """A claim took what the rate had saved up, the bucket at most, and the next one waited for a poll."""
    async with a_world(database, subscribers=TEXTS, rate_per_s=RATE_PER_S) as world:
        await prepaid(world, TEXTS * UNIT_MICROS)
        for number in range(TEXTS):
            await world.system_message(number, "Boxman: bonjour")
        _SlowClaims.claims, _SlowClaims.wait_s = 0, wait_s
        gateway, lease = await world.make()
        gateway.claiming._store.__class__ = _SlowClaims
        gateway.start()
        try:
            await eventually(lambda: world.log.accepted > 0)
            started, before = time.monotonic(), world.log.accepted
            ahead = 0
            while world.log.accepted < TEXTS and time.monotonic() < started + 30:
                ahead = max(ahead, await _in_memory(world))
                await asyncio.sleep(0.02)
            took_s = time.monotonic() - started
            claims = _SlowClaims.claims
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        finally:
            await gateway.drain(5.0)
            await world.release(lease)
        assert (TEXTS - before) / took_s > HELD_PER_S
        assert ahead <= BURST + 2 * STEP
        assert claims < TEXTS / 4, "claims of a few texts"
        assert set(world.log.by_destination.values()) == {1}
        await verified(world)


async def _in_memory(world: World) -> int:
    """Return how many texts are claimed and were not seen by the carrier yet."""
    sent = world.log.submits  # first: what is claimed and sent in between makes this too many, not too few
    claimed = TEXTS - int(await world.value("SELECT count(*) FROM interactive_queue WHERE owner IS NULL"))
    return claimed - sent


async def test_a_claim_takes_what_waits_also_where_one_merchant_has_most_of_it(database: Database) -> None:
    """The rest of its texts waited for the next claim, though there was room for them."""
    async with a_world(database, subscribers=7) as world:
        await world.another_merchant(8, 1)
        for number in range(7):
            await world.system_message(number, "Boxman: bonjour")
        await world.system_message(0, "Shop: bonjour", merchant=8)
        store = StoredSending(database, IdMaker(3, lambda: 0), PUBLIC_IDS)
        claims = await store.claim_interactive(owner=5, limit=10, senders=[SENDER], now=datetime.now(UTC))
        assert sum(len(claim.message_ids) for claim in claims) == 8
