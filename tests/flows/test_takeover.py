"""Chunks that change hands: two owners' outcomes, chunks out of retention, allowances over gaps."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from smsgate.flows.allowances import Grants
from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.gates import ALWAYS_OPEN
from smsgate.flows.long_texts import Parts
from smsgate.flows.offers import LIFE_MIN
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.records import ChunkClaim, ChunkKey, Recovery
from smsgate.flows.sending_limits import SendingLimits
from smsgate.ids import IdMaker
from smsgate.store.node_lease import take_slot
from smsgate.store.partitions import borders
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN
from smsgate.store.sending import StoredSending
from tests.batches import batch_of
from tests.flows.test_recovery import a_claimed_chunk, books
from tests.flows.world import MERCHANT, PUBLIC_IDS, SENDER, World, a_world, eventually, one_segment

STEP = 50  # of an allowance


def a_batch(claim: ChunkClaim) -> Batch:
    chunk = Chunk(
        ChunkKey(MERCHANT, claim.campaign_id, claim.chunk_no, claim.fence),
        claim.message_id_base,
        claim.message_count,
        claim.allowance,
    )
    chunk.step = STEP
    return batch_of(
        claim.message_ids,
        chunk=chunk,
        handle=claim.fence,
        sender=claim.offer.sender,
        expires_at=claim.offer.expires_at,
        msisdns=claim.msisdns,
    )


class _Owner:
    """One process's claim and the flush that it will make of it."""

    def __init__(self, world: World, epoch: int) -> None:
        ids = IdMaker(epoch, lambda: int(datetime.now(UTC).timestamp() * 1000))
        self.ids = ids
        self.store = StoredSending(world.database, ids, PUBLIC_IDS)
        self.epoch = epoch
        self.outcomes = Outcomes(ids.next)

    async def claim(self, campaign_id: int) -> Batch:
        (claim,) = await self.store.claim_chunks(
            MERCHANT,
            [campaign_id],
            owner=self.epoch,
            allowance_step=STEP,
            now=datetime.now(UTC),
            gates=ALWAYS_OPEN,
            senders=[SENDER],
        )
        return a_batch(claim)

    def ends(self, batch: Batch, accepted: int) -> None:
        """The carrier took the first ones; the rest is given up, whatever the allowance says."""
        now, size = datetime.now(UTC), batch.size
        ids = [b"%d-%d" % (self.epoch, n) for n in range(accepted)]
        if accepted:
            self.outcomes.accepted(batch, range(accepted), ids, now)
        self.outcomes.not_sent(batch, range(accepted, size), "expired", now)

    async def flush(self) -> set[ChunkKey]:
        return await self.store.flush(
            self.outcomes.cut(Grants(8_000, SendingLimits()), datetime.now(UTC)).flush, owner=self.epoch
        )


@asynccontextmanager
async def a_recovery_that_waits_for(
    world: World, change: str, found: list[Recovery]
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Have a recovery wait for a transaction of another process, which goes on in the body and commits."""
    connection = await world.database.connect(ADMIN)
    try:
        async with connection.transaction():
            await connection.execute(change)
            looking = _Owner(world, 6).store
            recovery = asyncio.create_task(looking.recover(segments_of=one_segment, now=datetime.now(UTC)))
            await eventually(
                lambda: world.value(
                    "SELECT count(*) > 0 FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )
            yield connection
        found.append(await recovery)
    finally:
        await connection.close()
    assert await world.value("SELECT count(*)::int FROM sent") == 0


async def test_who_begins_to_claim_while_the_dead_are_looked_for_is_not_one_of_them(
    database: Database,
) -> None:
    """Another node gives the chunk of a dead owner back, and a third one, just started, claims it."""
    found: list[Recovery] = []
    async with a_world(database, subscribers=100) as world:
        campaign_id = await world.campaign()
        await _Owner(world, 5).claim(campaign_id)
        change = "LOCK TABLE campaign_chunk IN ACCESS EXCLUSIVE MODE"
        async with a_recovery_that_waits_for(world, change, found) as connection:
            lease = await take_slot(connection, "third")
            await connection.execute("UPDATE campaign_chunk SET owner = $1, fence = fence + 1", lease.epoch)
        assert (found[0].chunks_resumed, found[0].messages_unknown) == (0, 0)
        assert await world.value("SELECT owner FROM campaign_chunk") == lease.epoch


async def test_a_text_that_its_owner_gives_back_while_it_is_settled_is_not_settled(
    database: Database,
) -> None:
    """It stood still, lost its lease, and gives back what it has not written in stopping."""
    found: list[Recovery] = []
    async with a_world(database, subscribers=1) as world:
        await world.system_message(0, "Boxman: bonjour")
        await world.execute("UPDATE interactive_queue SET owner = 5")
        async with a_recovery_that_waits_for(world, "UPDATE interactive_queue SET owner = NULL", found):
            pass
        assert found[0].interactive_unknown == 0
        assert await world.value("SELECT count(*)::int FROM interactive_queue") == 1


@pytest.mark.parametrize("flushes", ["before the recovery", "after the recovery", "after the other owner"])
async def test_an_owner_taken_for_dead_and_its_successor_keep_the_books_in_any_order(
    database: Database, flushes: str
) -> None:
    async with a_world(database, subscribers=100) as world:
        campaign_id = await world.campaign()
        old, new = _Owner(world, 5), _Owner(world, 6)
        batch = await old.claim(campaign_id)
        old.ends(batch, accepted=6)
        if flushes == "before the recovery":
            assert await old.flush() == set()
            await new.store.recover(segments_of=one_segment, now=datetime.now(UTC))
            assert (await books(world, campaign_id))["not_sent"] == 94
            return
        await new.store.recover(segments_of=one_segment, now=datetime.now(UTC))
        if flushes == "after the recovery":
            assert await old.flush() == {batch.key}
            await books(world, campaign_id)
        rest = await new.claim(campaign_id)
        new.ends(rest, accepted=rest.size)
        assert await new.flush() == set()
        if flushes == "after the other owner":
            assert await old.flush() == {batch.key}
        counters = await books(world, campaign_id)
        assert (counters["accepted"], counters["unknown"], counters["not_sent"]) == (56, 44, 0)
        assert await world.value("SELECT count(*) FROM open_offer") == 100
        assert await world.value("SELECT sum(amount_micros)::bigint FROM ledger_entry") == 0


async def test_an_outcome_that_another_owner_wrote_first_is_neither_counted_nor_charged_twice(
    database: Database,
) -> None:
    async with a_world(database, subscribers=10) as world:
        campaign_id = await world.campaign()
        first, second = _Owner(world, 5), _Owner(world, 6)
        batch = await first.claim(campaign_id)
        first.ends(batch, accepted=10)
        second.ends(copy.copy(batch), accepted=7)
        await first.flush()
        await second.flush()
        counters = await books(world, campaign_id)
        assert (counters["accepted"], counters["not_sent"]) == (10, 0)
        assert await world.value("SELECT sum(amount_micros)::bigint FROM ledger_entry") == 0


def esme_messages(segments: dict[int, int], *, unit_micros: int = 45_000) -> Batch:
    """Return messages of an ESME by their ids, each with the segments that it makes."""
    size, counts = len(segments), list(segments.values())
    return batch_of(
        list(segments),
        merchant_id=MERCHANT,
        sender="38123",
        sell_micros=[unit_micros * count for count in counts],
        cost_micros=[unit_micros * 2 // 3 * count for count in counts],
        bodies=[b"x"] * size,
        segments=counts,
    )


def parts_of(message_id: int, count: int) -> Batch:
    """Return the parts of one system message."""
    ids = [message_id] * count
    parts = Parts(ids, range(1, count + 1), [count] * count, [b""] * count)
    return batch_of(ids, merchant_id=MERCHANT, segments=[1] * count, parts=parts)


async def test_a_long_message_that_is_charged_already_leaves_the_charge_of_a_short_one_alone(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world:
        first, second = _Owner(world, 5), _Owner(world, 6)
        short, long = first.ids.next(), first.ids.next()
        first.ends(esme_messages({long: 3}), accepted=1)
        second.ends(esme_messages({short: 1, long: 3}), accepted=2)
        await first.flush()
        await second.flush()
        charged = await world.value("SELECT sum(sell_micros)::bigint FROM sent")
        assert charged == 4 * 45_000
        for account, amount in (("unbilled", charged), ("cost", 4 * 30_000)):
            posted = "SELECT sum(amount_micros)::bigint FROM ledger_entry WHERE account = $1"
            assert await world.value(posted, account) == amount
        segments = "SELECT sum(segments)::bigint FROM ledger_entry WHERE account = 'revenue'"
        assert await world.value(segments) == 4


async def test_parts_of_a_text_that_a_recovery_called_unknown_as_a_whole_are_told_part_by_part(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world:
        owner, other = _Owner(world, 5), _Owner(world, 6)
        message_id = await world.system_message(0, "x" * 400)
        await world.execute("UPDATE interactive_queue SET owner = 5")
        recovery = await other.store.recover(
            segments_of=lambda _, text: len(text) // 133, now=datetime.now(UTC)
        )
        assert recovery.interactive_unknown == 1
        (row,) = await world.rows("SELECT segment, segments, parts, status FROM sent")
        assert tuple(row) == (1, 3, None, -1)
        owner.ends(parts_of(message_id, 3), accepted=3)
        await owner.flush()
        rows = await world.rows("SELECT segment, segments, parts, status FROM sent ORDER BY segment")
        assert [tuple(row) for row in rows] == [(part, 1, 3, 0) for part in (1, 2, 3)]
        assert await world.value("SELECT sum(segments) FROM ledger_entry WHERE account = 'unbilled'") == 3


async def test_a_free_long_message_that_another_owner_wrote_first_leaves_the_segments_of_a_short_one(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world:
        first, second = _Owner(world, 5), _Owner(world, 6)
        short, long = first.ids.next(), first.ids.next()
        first.ends(esme_messages({long: 3}, unit_micros=0), accepted=1)
        second.ends(esme_messages({short: 1, long: 3}, unit_micros=0), accepted=2)
        await first.flush()
        await second.flush()
        posted = "SELECT sum(segments)::bigint FROM ledger_entry WHERE account = 'revenue'"
        assert await world.value(posted) == 4 == await world.value("SELECT sum(segments) FROM sent")


async def test_a_chunk_whose_outcomes_were_dropped_is_ended_and_sent_to_nobody(database: Database) -> None:
    async with a_world(database, subscribers=10) as world:
        store, campaign_id, key, ids = await a_claimed_chunk(world, owner=5)
        await store.release_chunks({key: None}, owner=5)
        day = date.today() - timedelta(days=200)  # noqa: DTZ011  # any day long ago
        low, high = borders(day)
        await world.execute(
            f'CREATE TABLE "message_p{day:%Y%m%d}" PARTITION OF message FOR VALUES FROM ({low}) TO ({high})'
        )
        await world.execute("UPDATE message SET message_id = message_id - $1", ids[0] - low)
        await world.execute("UPDATE campaign_chunk SET message_id_base = $1", low)
        (claim,) = await store.claim_chunks(
            MERCHANT, [campaign_id], owner=5, allowance_step=50, now=datetime.now(UTC), gates=ALWAYS_OPEN,
            senders=[SENDER],
        )  # fmt: skip
        assert claim.message_ids == []
        assert await world.value("SELECT state FROM campaign_chunk") == "done"


async def test_an_allowance_reaches_over_any_number_of_people_who_have_another_open_offer(
    database: Database,
) -> None:
    """The step counts messages, not places: whoever stands behind a gap is reached."""
    limits = SendingLimits(poll_s=0.02, allowance_min=20, allowance_s=0.001)
    async with a_world(database, subscribers=200, rate_per_s=10_000, limits=limits) as world:
        await world.execute("UPDATE subscriber SET tags = ARRAY['a'] WHERE subscriber_id < 10100")
        first = await world.campaign(tags=["a"])
        async with world.gateway():
            await eventually(lambda: world.finished(first))
            second = await world.campaign(expires_in=LIFE_MIN + timedelta(minutes=5))
            await eventually(lambda: world.finished(second))
        counters = await books(world, second)
        assert (counters["accepted"], counters["not_sent"]) == (100, 100)
