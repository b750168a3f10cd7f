"""Whoever asks for fewer messages gets one offer in `LESS_PERIOD` and no more, until asking for more."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.campaigns.caps import LESS_RULE
from smsgate.campaigns.consent import LESS_PERIOD
from smsgate.flows.gates import ALWAYS_OPEN
from smsgate.flows.ports_api import ConsentDraft
from smsgate.flows.records import Hold
from smsgate.ids import IdMaker
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.gates import Gate, Opening
from smsgate.store.pool import Database
from smsgate.store.subscribers import PgSubscribers
from tests.flows.inbound_world import an_open_offer, outcomes, say
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, World, a_world, eventually

PERSON = 10_001


async def told_about(world: World, number: int) -> int:
    return len(world.texts_to(number))


async def holds(world: World) -> list[tuple[str, str, int]]:
    rows = await world.rows(
        "SELECT hold, hold_rule, sum(message_count)::int AS n FROM campaign_chunk "
        "WHERE hold IS NOT NULL GROUP BY 1, 2"
    )
    return [tuple(row) for row in rows]


async def less_at(world: World, subscriber_id: int = PERSON) -> Any:
    return await world.value("SELECT less_at FROM subscriber WHERE subscriber_id = $1", subscriber_id)


async def test_who_asks_for_fewer_messages_is_told_how_few_and_gets_no_more(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        (told,) = await say(world, 1, "moins de sms svp")
        assert f"au plus une offre tous les {LESS_PERIOD.days} jours" in told
        assert "START" in told
        assert await world.value("SELECT offers_state FROM subscriber WHERE subscriber_id = $1", PERSON) == (
            "subscribed"
        )
        assert FIRST_MSISDN + 1 in gateway.pump.look.stops.held(MERCHANT)  # what is in memory waits, too
        logged = await world.rows("SELECT event, state_after, inbound_id IS NULL AS by FROM consent_event")
        assert [tuple(row) for row in logged] == [("less", "subscribed", False)]
        await say(world, 1, "OK")  # what is open may still be ordered
        assert await world.value("SELECT count(*) FROM orders") == 1


async def test_a_claim_holds_who_had_the_offer_of_the_time_and_lets_the_next_through(
    database: Database,
) -> None:
    async with a_world(database, subscribers=3) as world:
        asked_at = datetime.now(UTC) - LESS_PERIOD - timedelta(minutes=1)
        await world.execute("UPDATE subscriber SET less_at = $2 WHERE subscriber_id = $1", PERSON, asked_at)
        async with world.gateway():
            first = await world.campaign()
            await eventually(lambda: world.finished(first))
            assert [await told_about(world, n) for n in range(3)] == [1, 1, 1]
            assert await less_at(world) == await world.value(
                "SELECT opened_at FROM open_offer WHERE msisdn = $1", FIRST_MSISDN + 1
            )
            await world.execute("UPDATE open_offer SET expires_at = now() - interval '1 day'")
            await world.campaign(expires_in=LESS_PERIOD * 2)
            await eventually(lambda: world.simulator.phones.received == 5)
            await eventually(lambda: holds(world))
            assert await holds(world) == [("cap", LESS_RULE, 1)]
            assert [await told_about(world, n) for n in range(3)] == [2, 1, 2]


@pytest.mark.parametrize("holds", ["less_at = now()", "doubt_until = now() + interval '1 day'"])
async def test_a_form_that_is_filled_in_again_ends_nothing_that_a_word_by_sms_holds(
    database: Database, holds: str
) -> None:
    held = "SELECT less_at, doubt_until, offers_state FROM subscriber WHERE subscriber_id = $1"
    async with a_world(database, subscribers=3) as world:
        ids, now = IdMaker(41, lambda: int(time.time() * 1000)), datetime.now(UTC)
        await world.execute(f"UPDATE subscriber SET {holds} WHERE subscriber_id = $1", PERSON)
        before = await world.rows(held, PERSON)
        draft = ConsentDraft(
            ids.next(), PERSON, "offers", granted=True, wording_version="w1", source="web",
            evidence={}, occurred_at=now, event_id=ids.next(), event_subject="sub_x", event_data={},
        )  # fmt: skip
        done = await PgSubscribers(database, SuppressionHashes(bytes(32))).consent(MERCHANT, draft, now)
        assert done.row.state_after == "subscribed"
        assert await world.rows(held, PERSON) == before


@pytest.mark.parametrize("words", ["START", "MORE please", "plus souvent"])
async def test_start_and_more_bring_as_many_as_before(database: Database, words: str) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "LESS")
        (told,) = await say(world, 1, words)
        assert "vous recevrez nos offres" in told
        assert await less_at(world) is None
        logged = await world.rows("SELECT event FROM consent_event ORDER BY consent_id")
        assert [row["event"] for row in logged] == ["less", "start"]


async def test_more_of_who_never_asked_for_fewer_is_no_word_of_consent(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "MORE")
        assert await outcomes(world) == {"asked": 1}
        assert await world.value("SELECT count(*) FROM consent_event") == 0


@pytest.mark.parametrize("words", ["MORE", "mas", "LESS"])
async def test_after_a_stop_more_and_less_bring_nothing_back(database: Database, words: str) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "LESS")
        asked_at = await less_at(world)
        await say(world, 1, "STOP")
        await say(world, 1, words, answers=0)
        assert await world.value("SELECT offers_state FROM subscriber WHERE subscriber_id = $1", PERSON) == (
            "unsubscribed"
        )
        assert await less_at(world) == asked_at


async def test_fewer_messages_said_in_a_pause_hold_after_it_and_do_not_shorten_it(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "PAUSE 2 mois")
        before = await world.value("SELECT paused_until FROM subscriber WHERE subscriber_id = $1", PERSON)
        await say(world, 1, "LESS")
        found = await world.rows(
            "SELECT offers_state, paused_until FROM subscriber WHERE subscriber_id = $1", PERSON
        )
        assert [tuple(row) for row in found] == [("paused", before)]
        assert await less_at(world) is not None


async def test_a_pause_ends_on_its_day_though_its_words_are_no_plain_reply(database: Database) -> None:
    """Read as a reply that may be a STOP, a pause of a day held offers for seven."""
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "PAUSE")
        assert await world.value("SELECT count(*) FROM subscriber WHERE doubt_until IS NOT NULL") == 0


async def test_a_claim_locks_nobody_who_is_not_among_its_people(database: Database) -> None:
    """A small campaign's range of numbers has nearly everybody, and who writes an SMS takes that lock."""
    now = datetime.now(UTC)
    async with a_world(database, subscribers=3) as world:
        await world.execute("UPDATE subscriber SET less_at = $1", now - LESS_PERIOD)
        async with database.bulk_transaction() as connection:
            gate = Gate(connection, ALWAYS_OPEN, [SENDER], MERCHANT, now)
            assert await gate.reluctant([FIRST_MSISDN, FIRST_MSISDN + 2]) == {}
            free = await world.rows("SELECT msisdn FROM subscriber FOR UPDATE SKIP LOCKED")
        assert [row["msisdn"] for row in free] == [FIRST_MSISDN + 1]


@pytest.mark.parametrize("seed", range(5))
async def test_between_two_offers_there_is_always_the_whole_time(database: Database, seed: int) -> None:
    """Campaigns of several sender numbers at random instants, some written and some given back unsent."""
    dice = random.Random(seed)
    async with a_world(database, subscribers=1) as world:
        msisdn, now = FIRST_MSISDN, datetime(2026, 1, 1, tzinfo=UTC)
        await world.execute("UPDATE subscriber SET less_at = $1", now)
        got, last = [], now
        for n in range(40):
            now += timedelta(hours=dice.randint(1, 24 * 9))
            campaign = {
                "campaign_id": n,
                "offer_id": n,
                "offer_version": 1,
                "expires_at": now + timedelta(hours=1),
            }
            async with database.bulk_transaction() as connection:
                gate = Gate(connection, ALWAYS_OPEN, [SENDER], MERCHANT, now)
                held = await gate.reluctant([msisdn])
                if held:
                    assert now < last + LESS_PERIOD
                    assert held[msisdn].until >= last + LESS_PERIOD
                    assert held == {msisdn: Hold("cap", LESS_RULE, held[msisdn].until)}
                    continue
                await gate.know([msisdn])
                opening = Opening(campaign, [1_000 + n], [10_000], [msisdn])  # type: ignore[arg-type]
                assert await gate.open([f"{SENDER}{n}"], [opening]) == [None]
            if dice.random() < 0.3:
                async with database.bulk_transaction() as connection:
                    again = Gate(connection, ALWAYS_OPEN, [SENDER], MERCHANT, now)
                    await again.give_less_back({msisdn: now}, [msisdn])
                    assert await again.reluctant([msisdn]) == {}
                continue
            assert now >= last + LESS_PERIOD
            got.append(now)
            last = now
        assert len(got) > 3
