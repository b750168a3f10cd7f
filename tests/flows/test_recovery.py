"""Stops, crashes and a database that goes away: nobody twice, nothing missing, all of it booked."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any

from smsgate.errors import StoreUnavailable
from smsgate.flows.gates import ALWAYS_OPEN
from smsgate.flows.records import ChunkKey, ChunkProgress, Flush
from smsgate.flows.sending_limits import SendingLimits
from smsgate.ids import IdMaker
from smsgate.store.pool import Database
from smsgate.store.sending import StoredSending
from tests.flows.world import MERCHANT, PUBLIC_IDS, SENDER, World, a_world, eventually, one_segment


async def books(world: World, campaign_id: int) -> Counter[str]:
    """Check that counters, rows and ledger say the same, and return the counters."""
    counters = Counter(await world.counters(campaign_id))
    rows = await world.rows(
        "SELECT CASE x.status WHEN 0 THEN 'accepted' WHEN -1 THEN 'unknown' WHEN -2 THEN 'not_sent' "
        "ELSE 'refused' END AS kind, count(*) AS n "
        "FROM message m JOIN sent x USING (merchant_id, message_id) WHERE m.campaign_id = $1 GROUP BY 1",
        campaign_id,
    )
    assert {row["kind"]: row["n"] for row in rows} == {
        kind: n
        for kind, n in counters.items()
        if n and kind in {"accepted", "unknown", "not_sent", "refused"}
    }
    charged = await world.value(
        "SELECT coalesce(sum(messages), 0)::int FROM ledger_entry WHERE account = 'unbilled' "
        "AND campaign_id = $1 AND direction = 'mt'",
        campaign_id,
    )
    assert charged == counters["accepted"]
    return counters


async def test_an_orderly_stop_in_the_middle_loses_nobody_and_doubles_nobody(database: Database) -> None:
    async with a_world(database, subscribers=900, rate_per_s=900, response_latency_s=0.02) as world:
        world.profile_changes = {"response_timeout_s": 60.0}  # also where the machine stands still
        campaign_id = await world.campaign(chunk=200)
        for border in (200, 500):
            async with world.gateway(drain_s=30.0):
                await eventually(partial(world.submitted, border))
            assert world.log.submits < 900
            assert await world.value("SELECT count(*) FROM campaign_chunk WHERE state = 'claimed'") == 0
            assert await world.value("SELECT count(*) FROM sent WHERE status <> 0") == 0
            # What the next owner was not granted is not in doubt after its kill.
            assert await world.value(
                "SELECT bool_and(allowance <= (SELECT count(*) FROM sent s "
                "WHERE s.message_id >= message_id_base AND s.message_id < message_id_base + message_count)) "
                "FROM campaign_chunk WHERE state = 'ready' AND message_id_base IS NOT NULL"
            )
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert Counter(world.log.by_destination.values()) == {1: 900}
        assert (await books(world, campaign_id))["accepted"] == 900


async def test_a_kill_in_the_middle_leaves_a_bounded_doubt_and_the_next_owner_sends_the_rest(
    database: Database,
) -> None:
    limits = SendingLimits(in_doubt_max=200, poll_s=0.02, allowance_min=50, allowance_s=0.01)
    async with a_world(
        database, subscribers=900, rate_per_s=900, limits=limits, response_latency_s=0.02
    ) as world:
        campaign_id = await world.campaign(chunk=200)
        for border in (150, 450):
            async with world.killed_gateway():
                await eventually(partial(world.submitted, border))
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert set(world.log.by_destination.values()) == {1}
        counters = await books(world, campaign_id)
        assert counters["accepted"] + counters["unknown"] == counters["recipients"] == 900
        assert counters["unknown"] <= 2 * limits.in_doubt_max
        in_doubt = world.log.accepted - counters["accepted"]
        assert 0 <= in_doubt <= counters["unknown"]
        await world.value("SELECT 1")


async def test_a_killed_gateways_system_messages_are_known_by_name(database: Database) -> None:
    async with a_world(database, subscribers=5, response_latency_s=5.0) as world:
        ids = [await world.system_message(number, f"Boxman: bonjour {number}") for number in range(5)]
        async with world.killed_gateway():
            await eventually(lambda: world.log.submits == 5)
        world.simulator.smsc.settings.response_latency_s = 0.0
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        rows = await world.rows("SELECT message_id, status FROM sent ORDER BY message_id")
        assert [tuple(row) for row in rows] == [(message_id, -1) for message_id in ids]
        assert world.log.submits == 5


async def test_the_database_goes_away_during_flushes_and_nothing_is_lost(database: Database) -> None:
    async with a_world(database, subscribers=600, rate_per_s=1_000) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            for border in (100, 200, 300, 400):
                await eventually(partial(world.submitted, border))
                async with world.locked("sent"):
                    await eventually(lambda: gateway.flushing.busy)
                    await eventually(world.kill_bulk_connections)
            await eventually(lambda: world.finished(campaign_id), timeout_s=30)
            assert gateway.flushing.failures > 0
        assert Counter(world.log.by_destination.values()) == {1: 600}
        assert (await books(world, campaign_id))["accepted"] == 600


async def test_claims_that_break_off_are_claimed_again(database: Database) -> None:
    async with a_world(database, subscribers=600, rate_per_s=2_000) as world:
        campaign_id = await world.campaign(chunk=20)
        async with world.gateway():
            for _ in range(30):
                await world.kill_bulk_connections()
                await asyncio.sleep(0.01)  # the fault comes at any moment of a claim
            await eventually(lambda: world.finished(campaign_id), timeout_s=30)
        assert Counter(world.log.by_destination.values()) == {1: 600}
        assert (await books(world, campaign_id))["accepted"] == 600


class _CommitNotSeen(StoredSending):
    """Every other claim commits and the answer is lost on the way: what a broken connection does."""

    lost = 0
    interactive_lost = 0

    async def claim_chunks(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN202
        claim = await super().claim_chunks(*args, **kwargs)
        if claim and claim[0].fence % 2:
            _CommitNotSeen.lost += 1
            raise StoreUnavailable("connection lost")
        return claim

    async def claim_interactive(self, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN003, ANN202
        claims = await super().claim_interactive(**kwargs)
        if claims and not _CommitNotSeen.interactive_lost:
            _CommitNotSeen.interactive_lost = 1
            raise StoreUnavailable("connection lost")
        return claims


class _LateCommit(StoredSending):
    """A claim whose connection breaks while the server still commits: who looks for it comes too early."""

    late: asyncio.Task[Any] | None = None
    looked = asyncio.Event()

    async def claim_interactive(self, **kwargs: Any) -> Any:
        if _LateCommit.late is None:
            _LateCommit.late = asyncio.create_task(self._commit(**kwargs))
            raise StoreUnavailable("connection lost")
        return await super().claim_interactive(**kwargs) if _LateCommit.late.done() else []

    async def _commit(self, **kwargs: Any) -> Any:
        await _LateCommit.looked.wait()
        return await super().claim_interactive(**kwargs)

    async def release_forgotten(self, *args: Any, **kwargs: Any) -> Any:
        found = await super().release_forgotten(*args, **kwargs)
        _LateCommit.looked.set()
        return found


async def test_a_claim_that_is_committed_after_it_was_looked_for_is_found_as_well(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        gateway, lease = await world.make()
        _LateCommit.late, _LateCommit.looked = None, asyncio.Event()
        gateway.claiming._store.__class__ = _LateCommit
        await world.system_message(0, "Boxman: bonjour")
        gateway.start()
        try:
            await eventually(lambda: _LateCommit.late is not None and _LateCommit.late.done())
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        finally:
            await gateway.drain(5.0)
            await world.release(lease)
        assert world.log.accepted == 1


async def test_a_claim_whose_commit_was_not_seen_is_found_again(database: Database) -> None:
    async with a_world(database, subscribers=200) as world:
        campaign_id = await world.campaign(chunk=100)
        await world.system_message(3, "Boxman: bonjour")
        _CommitNotSeen.lost = _CommitNotSeen.interactive_lost = 0
        gateway, lease = await world.make()
        gateway.claiming._store.__class__ = _CommitNotSeen
        gateway.start()
        try:
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        finally:
            await gateway.drain(5.0)
            await world.release(lease)
        assert (_CommitNotSeen.lost, _CommitNotSeen.interactive_lost) == (2, 1)
        assert len(world.log.by_destination) == 200
        assert world.log.accepted == 201
        assert (await books(world, campaign_id))["accepted"] == 200


async def test_a_stop_while_the_database_is_away_gives_nothing_back_that_may_have_been_sent(
    database: Database,
) -> None:
    async with a_world(database, subscribers=300, rate_per_s=500) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.locked("sent"):
            async with world.gateway(drain_s=0.3):
                await eventually(lambda: world.log.submits >= 50)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert set(world.log.by_destination.values()) == {1}
        counters = await books(world, campaign_id)
        assert counters["accepted"] + counters["unknown"] == 300
        assert counters["unknown"] > 0


async def test_an_owner_that_was_taken_for_dead_writes_no_more_and_its_answers_are_merged(
    database: Database,
) -> None:
    """Its lease ended while it could not reach the database; both live, nobody gets two."""
    limits = SendingLimits(poll_s=0.02, allowance_min=50, allowance_s=0.01)
    async with a_world(database, subscribers=400, rate_per_s=400, limits=limits) as world:
        campaign_id = await world.campaign(chunk=200)
        zombie, lease = await world.make()
        zombie.start()
        try:
            await eventually(lambda: world.log.submits >= 20)
            await world.release(lease)
            async with world.gateway():
                await eventually(lambda: world.finished(campaign_id))
        finally:
            await zombie.drain(5.0)
        assert set(world.log.by_destination.values()) == {1}
        assert len(world.log.by_destination) + (await world.counters(campaign_id)).get("unknown", 0) >= 400
        counters = await books(world, campaign_id)
        assert counters["accepted"] + counters["unknown"] == 400


def a_flush(number: int, message_ids: list[int], *, status: int = 0) -> Flush:
    flush = Flush(number=number, at=datetime.now(UTC))
    count = len(message_ids)
    sent = flush.sent
    sent.merchant_ids += [MERCHANT] * count
    sent.message_ids += message_ids
    sent.segments += [1] * count
    sent.segment_counts += [1] * count
    sent.carrier_ids += [1] * count
    sent.statuses += [status] * count
    sent.smsc_ids += [b"id%d" % message_id for message_id in message_ids]
    sent.sell_item_ids += [11] * count
    sent.sell_micros += [45_000] * count
    sent.cost_item_ids += [21] * count
    sent.cost_micros += [30_000] * count
    sent.reasons += [None] * count
    sent.sent_at += [datetime.now(UTC)] * count
    return flush


async def a_claimed_chunk(world: World, owner: int) -> tuple[StoredSending, int, ChunkKey, list[int]]:
    campaign_id = await world.campaign()
    store = StoredSending(
        world.database, IdMaker(9, lambda: int(datetime.now(UTC).timestamp() * 1000)), PUBLIC_IDS
    )
    (claim,) = await store.claim_chunks(
        MERCHANT, [campaign_id], owner=owner, allowance_step=50, now=datetime.now(UTC), gates=ALWAYS_OPEN,
        senders=[SENDER],
    )  # fmt: skip
    key = ChunkKey(MERCHANT, campaign_id, claim.chunk_no, claim.fence)
    return store, campaign_id, key, claim.message_ids


async def test_a_flush_given_twice_changes_nothing_the_second_time(database: Database) -> None:
    async with a_world(database, subscribers=10) as world:
        store, campaign_id, key, ids = await a_claimed_chunk(world, owner=5)
        flush = a_flush(1, ids)
        flush.counters[MERCHANT, campaign_id, "accepted"] = 10
        flush.chunks.append(ChunkProgress(key, 10, done=True))
        assert await store.flush(copy.deepcopy(flush), owner=5) == set()
        assert await store.flush(copy.deepcopy(flush), owner=5) == set()
        assert await world.value("SELECT count(*) FROM sent") == 10
        assert (await world.counters(campaign_id))["accepted"] == 10
        assert await world.value("SELECT state FROM campaign_chunk") == "done"


async def test_outcomes_that_a_recovery_called_unknown_are_merged_and_counted_once(
    database: Database,
) -> None:
    async with a_world(database, subscribers=10) as world:
        store, campaign_id, key, ids = await a_claimed_chunk(world, owner=5)
        recovery = await store.recover(segments_of=one_segment, now=datetime.now(UTC))
        assert (recovery.chunks_resumed, recovery.messages_unknown) == (1, 10)
        assert (await world.counters(campaign_id))["unknown"] == 10
        flush = a_flush(1, ids[:6])
        flush.counters[MERCHANT, campaign_id, "accepted"] = 6
        flush.chunks.append(ChunkProgress(key, 10, done=False))
        for _ in range(2):
            assert await store.flush(copy.deepcopy(flush), owner=5) == {key}
        assert (await world.counters(campaign_id)) == {"recipients": 10, "unknown": 4, "accepted": 6}
        rows = await world.rows(
            "SELECT status, count(*) AS n, sum(sell_micros)::bigint AS m FROM sent GROUP BY 1"
        )
        assert {row["status"]: (row["n"], row["m"]) for row in rows} == {0: (6, 270_000), -1: (4, 0)}
