"""Pause, resume, cancel and who counts as audience reach a running campaign through the database alone."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from smsgate.flows import stops
from smsgate.store.campaigns import CHUNK_SIZE
from smsgate.store.pool import Database
from smsgate.store.sending import StoredSending
from tests.flows.test_recovery import books
from tests.flows.test_sending import reasons
from tests.flows.world import FIRST_MSISDN, MERCHANT, a_world, eventually


async def test_pause_stops_within_a_second_and_resume_goes_on(database: Database) -> None:
    async with a_world(database, subscribers=400, rate_per_s=200) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits > 100)
            await world.set_state(campaign_id, "paused")
            before = world.log.submits

            def is_quiet() -> bool:
                return all(batch.paused for batch in gateway.pump._batches.values())

            await eventually(is_quiet, timeout_s=1.0)
            await eventually(lambda: gateway.switchboard.in_flight() == 0, timeout_s=1.0)
            paused_at = world.log.submits
            assert paused_at <= before + 200  # what the rate lets through in a second
            await asyncio.sleep(0.2)  # an absence has no condition to poll
            assert world.log.submits == paused_at < 400
            await world.set_state(campaign_id, "sending")
            await eventually(lambda: world.finished(campaign_id))
        assert set(world.log.by_destination.values()) == {1}
        assert len(world.log.by_destination) == 400


async def test_a_cancelled_campaign_stops_and_leaves_no_open_chunk(database: Database) -> None:
    async with a_world(database, subscribers=1_000, rate_per_s=100) as world:
        # Three seconds of the rate: some of a chunk surely waits.
        campaign_id = await world.campaign(chunk=300)
        async with world.gateway():
            await eventually(lambda: world.log.submits > 20)
            await world.set_state(campaign_id, "cancelled")
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
        counters = await world.counters(campaign_id)
        assert counters["accepted"] == world.log.submits < 1_000
        # Chunks that nobody claimed have no messages: they were never chosen.
        assert counters["recipients"] == counters["accepted"] + counters["not_sent"] < 1_000
        assert await reasons(world) == {"cancelled": counters["not_sent"]}
        assert await world.value("SELECT count(*) FROM open_offer") == counters["accepted"]
        state = await world.value("SELECT state FROM campaign WHERE campaign_id = $1", campaign_id)
        assert state == "cancelled"


async def test_a_campaign_cancelled_while_nobody_runs_is_settled_by_the_next_start(
    database: Database,
) -> None:
    async with a_world(database, subscribers=300, rate_per_s=200) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway():
            await eventually(lambda: world.log.submits > 50)
        await world.set_state(campaign_id, "cancelled")
        async with world.gateway():
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
        counters = await world.counters(campaign_id)
        assert counters["accepted"] == world.log.submits < 300
        assert counters["recipients"] == counters["accepted"] + counters["not_sent"]
        assert await world.value("SELECT count(*) FROM open_offer") == counters["accepted"]


async def test_a_throttled_message_of_a_cancelled_campaign_is_not_tried_again(database: Database) -> None:
    async with a_world(
        database, subscribers=200, refuse_share=1.0, refuse_status=0x58, response_latency_s=0.1, window_max=10
    ) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.log.submits >= 10)
            await world.set_state(campaign_id, "cancelled")
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
        assert await reasons(world) == {"cancelled": 200}


async def test_a_paused_campaign_can_be_cancelled(database: Database) -> None:
    async with a_world(database, subscribers=200, rate_per_s=100) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.log.submits > 20)
            await world.set_state(campaign_id, "paused")
            await asyncio.sleep(0.05)
            await world.set_state(campaign_id, "cancelled")
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state <> 'done'")
            )
        counters = await world.counters(campaign_id)
        assert counters["accepted"] + counters["not_sent"] == 200


async def test_who_comes_or_consents_after_the_start_gets_nothing(database: Database) -> None:
    async with a_world(database, subscribers=20) as world:
        await world.execute("UPDATE subscriber SET offers_state = 'none' WHERE subscriber_id = 10005")
        await world.execute("DELETE FROM subscriber WHERE subscriber_id = 10006")
        campaign_id = await world.campaign()
        await world.execute(
            "UPDATE subscriber SET offers_state = 'subscribed', offers_state_at = now() "
            "WHERE subscriber_id = 10005"
        )
        await world.execute(
            "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state, "
            "offers_state_at) VALUES ($1, 10006, 33699999999, 'fr', 'FR', 'subscribed', "
            "now() - interval '1 day')",
            MERCHANT,
        )
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert (await books(world, campaign_id))["recipients"] == 18
        assert not {FIRST_MSISDN + 5, FIRST_MSISDN + 6, 33_699_999_999} & set(world.log.by_destination)


async def test_a_tag_given_to_many_after_the_start_makes_more_chunks_and_never_a_larger_one(
    database: Database,
) -> None:
    people = 2 * CHUNK_SIZE + 500
    async with a_world(database, subscribers=people) as world:
        last = 10_000 + people - 1
        await world.execute(
            f"UPDATE subscriber SET tags = ARRAY['vip'] WHERE subscriber_id IN (10000, {last - 99}, {last})"
        )
        campaign_id = await world.campaign(tags=["vip"])
        assert await world.value("SELECT count(*) FROM campaign_chunk") == 1
        await world.execute("UPDATE subscriber SET tags = ARRAY['vip'] WHERE subscriber_id < $1", last)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        rows = await world.rows("SELECT message_count FROM campaign_chunk ORDER BY no")
        assert [row["message_count"] for row in rows] == [CHUNK_SIZE, CHUNK_SIZE, 500]
        assert Counter(world.log.by_destination.values()) == {1: people}
        assert (await books(world, campaign_id))["accepted"] == people


class _OneIsBroken(StoredSending):
    """A campaign whose claim meets what nobody thought of."""

    broken = 0
    tries = 0

    async def claim_chunks(self, merchant_id, campaign_ids, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
        claim = await super().claim_chunks(merchant_id, campaign_ids, **kwargs)
        if _OneIsBroken.broken in campaign_ids:
            _OneIsBroken.tries += 1
            raise AssertionError("a row that cannot be")
        return claim


async def test_a_campaign_whose_claim_fails_waits_and_the_others_go_on(database: Database) -> None:
    async with a_world(database, subscribers=20) as world:
        await world.execute(
            "UPDATE subscriber SET tags = ARRAY[CASE WHEN subscriber_id < 10010 THEN 'a' ELSE 'b' END]"
        )
        _OneIsBroken.broken, _OneIsBroken.tries = await world.campaign(tags=["a"]), 0
        good = await world.campaign(tags=["b"])
        async with world.gateway() as gateway:  # leaving checks that its loops live
            gateway.claiming._store.__class__ = _OneIsBroken
            await eventually(lambda: world.finished(good))
            # What the failed claim had committed is given back.
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state = 'claimed'")
            )
        assert _OneIsBroken.tries == 1
        assert len(world.log.by_destination) == 10


async def test_a_paused_chunk_is_given_back_and_who_left_meanwhile_gets_nothing(database: Database) -> None:
    async with a_world(database, subscribers=300, rate_per_s=300) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits > 50)
            await world.set_state(campaign_id, "paused")
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state = 'claimed'")
            )
            await eventually(lambda: not gateway.pump.batches() and not gateway.pump.held_chunks)
            written = world.log.submits
            assert written < 300
            left = [number for number in range(300) if FIRST_MSISDN + number not in world.log.by_destination]
            # Behind the back of the set of STOPs in memory: only a claim can see it.
            await world.execute(
                "UPDATE subscriber SET offers_state = 'unsubscribed' WHERE subscriber_id = ANY($1::bigint[])",
                [10_000 + number for number in left[:20]],
            )
            await world.set_state(campaign_id, "sending")
            await eventually(lambda: world.finished(campaign_id))
        assert Counter(world.log.by_destination.values()) == {1: 280}
        counters = await books(world, campaign_id)
        assert counters["accepted"] == 280
        assert counters["unknown"] == 0


async def test_a_chunk_held_for_long_is_given_back_and_goes_on_with_consent_read_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stops.KEEP_S > stops.HOLD_MAX_S
    monkeypatch.setattr("smsgate.flows.last_look.HOLD_MAX_S", 0.2)
    async with a_world(database, subscribers=300, rate_per_s=300, response_latency_s=0.02) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.log.submits > 20)
            await world.execute(
                "UPDATE subscriber SET offers_state = 'unsubscribed' WHERE subscriber_id = 10299"
            )
            await eventually(lambda: world.finished(campaign_id))
        assert Counter(world.log.by_destination.values()) == {1: 299}
        assert await reasons(world) == {"stopped": 1}
        assert (await books(world, campaign_id))["accepted"] == 299
        assert await world.value("SELECT fence FROM campaign_chunk") > 1


async def test_stops_forgotten_before_their_time_void_the_claims_in_memory(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "ENTRIES_MAX", 10)
    monkeypatch.setattr(stops, "OVERFLOW_DROP", 5)
    async with a_world(database, subscribers=300, rate_per_s=300) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits > 20)
            await world.execute(
                "UPDATE subscriber SET offers_state = 'unsubscribed' WHERE subscriber_id = 10299"
            )
            gateway.pump.look.stops.add(MERCHANT, FIRST_MSISDN + 299, 0.0)
            for other in range(11):
                gateway.pump.look.stops.add(MERCHANT + 1, FIRST_MSISDN + other, 0.0)
            assert FIRST_MSISDN + 299 not in gateway.pump.look.stops.held(MERCHANT)
            await eventually(lambda: world.finished(campaign_id))
        assert Counter(world.log.by_destination.values()) == {1: 299}
        assert await reasons(world) == {"stopped": 1}
        assert (await books(world, campaign_id))["accepted"] == 299


async def test_a_suspended_merchant_sends_no_offer_and_its_system_messages_still_go(
    database: Database,
) -> None:
    async with a_world(database, subscribers=300, rate_per_s=300) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits > 50)
            await world.execute("UPDATE merchant SET state = 'suspended'")
            await eventually(lambda: not gateway.pump.held_chunks)
            before = world.log.submits
            assert before < 300
            await world.system_message(3, "Boxman: STOP enregistré")
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            assert world.log.submits == before + 1
            await world.execute("UPDATE merchant SET state = 'active'")
            await eventually(lambda: world.finished(campaign_id))
        assert (await books(world, campaign_id))["accepted"] == 300
