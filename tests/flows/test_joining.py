"""Who is not known opts in by a merchant's keyword, and the MO is the proof."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from smsgate.campaigns.texts import START_WORDING
from smsgate.links.profile_senders import SenderNumber
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, events, outcomes, say
from tests.flows.test_consent_by_sms import HASHES, OTHER, a_second_merchant, ageing, ask, state
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, World, a_world, eventually

STRANGER = 50


async def a_keyword(
    world: World, word: str = "jazz", *, double_opt_in: bool = True, wording: str = "poster-3", id_: int = 5
) -> None:
    await world.execute(
        "INSERT INTO join_keyword VALUES ($1, $2, $3, $4, $6, $5, now())",
        SENDER, word, MERCHANT, id_, double_opt_in, wording,
    )  # fmt: skip


async def person(world: World, number: int = STRANGER) -> Any:
    rows = await world.rows("SELECT * FROM subscriber WHERE msisdn = $1", FIRST_MSISDN + number)
    return rows[0] if rows else None


async def proof(world: World) -> list[tuple[Any, ...]]:
    rows = await world.rows(
        "SELECT c.event, c.state_after, c.wording_version, c.source, c.evidence::text AS evidence, i.text "
        "FROM consent_event c JOIN inbound_message i USING (inbound_id) WHERE c.msisdn = $1 "
        "ORDER BY c.consent_id",
        FIRST_MSISDN + STRANGER,
    )
    return [(*tuple(row)[:4], orjson.loads(row["evidence"]), row["text"]) for row in rows]


async def test_a_stranger_who_texts_a_keyword_is_asked_and_a_yes_agrees(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world)
        (told,) = await say(world, STRANGER, "JOIN Jazz svp")
        assert told.startswith("Boxman: voulez-vous recevoir nos offres par SMS?")
        found = await person(world)
        assert (found["offers_state"], found["language"], found["country"]) == ("pending", "fr", "FR")
        assert await events(world, "consent.revoked") == await events(world, "consent.granted") == []
        await say(world, STRANGER, "join jazz!!", answers=1)  # it says JOIN to the question: that agrees
        assert (await person(world))["offers_state"] == "subscribed"
        assert len(await events(world, "consent.granted")) == 1
        by_word = {"who": "phone", "keyword": "jazz"}
        assert await proof(world) == [
            ("opt_in_double", "pending", "poster-3", "sms", by_word, "JOIN Jazz svp"),
            ("yes", "subscribed", "poster-3", "sms", {"who": "phone"}, "join jazz!!"),
        ]
        assert await outcomes(world) == {"joining": 1, "agreed": 1}


async def test_the_word_alone_is_enough_and_a_no_ends_it(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world)
        await say(world, STRANGER, "JAZZ")
        await say(world, STRANGER, "NON", answers=0)
        assert (await person(world))["offers_state"] == "none"
        await say(world, STRANGER, "OUI")  # no question waits: it agrees to nothing
        assert (await person(world))["offers_state"] == "none"


async def test_where_no_question_is_wanted_the_keyword_is_the_consent(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world, double_opt_in=False)
        (told,) = await say(world, STRANGER, "Jazz")
        assert told.startswith("Boxman: vous recevrez nos offres par SMS")
        assert [each[:3] for each in await proof(world)] == [("start", "subscribed", "poster-3")]
        await say(world, STRANGER, "STOP")
        (told,) = await say(world, STRANGER, "JOIN JAZZ")
        assert (await person(world))["offers_state"] == "subscribed"


async def test_another_word_another_number_and_an_open_offer_make_no_keyword(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await a_keyword(world)
        await say(world, STRANGER, "JOIN ROCK")
        await say(world, STRANGER, "ROCK", answers=0)
        assert await person(world) is None
        (told,) = await say(world, 1, "JAZZ")  # it may be about the offer
        assert told.startswith("Boxman: rien n'est encore commandé")
        await world.execute("UPDATE join_keyword SET sender = '36999'")
        await say(world, STRANGER, "JAZZ", answers=0)
        assert await person(world) is None


async def test_a_number_that_was_erased_or_blocked_is_not_added_by_a_keyword(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world)
        await world.execute(
            "INSERT INTO suppression (hash, reason, created_at) VALUES ($1, 'erased', now())",
            HASHES.of(MERCHANT, FIRST_MSISDN + STRANGER),
        )
        (told,) = await say(world, STRANGER, "JOIN JAZZ")
        assert told.startswith("Boxman: pas d'inscription possible")
        assert await person(world) is None
        assert await outcomes(world) == {"start_refused": 1}


async def test_who_joins_right_behind_a_stop_has_joined(database: Database) -> None:
    """Both come in one read, and so at one instant: what was said last holds, as it is told."""
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world, double_opt_in=False)
        mos = [world.answer(STRANGER, text) for text in ("STOP", "JOIN JAZZ")]
        await eventually(lambda: all(mo.taken for mo in mos))
        await eventually(lambda: len(world.texts_to(STRANGER)) == 2)
        assert world.texts_to(STRANGER)[1].startswith("Boxman: vous recevrez nos offres par SMS")
        assert (await person(world))["offers_state"] == "subscribed"
        mos = [world.answer(STRANGER + 1, text) for text in ("JOIN JAZZ", "STOP ALL")]
        await eventually(lambda: all(mo.taken for mo in mos))
        assert (await person(world, STRANGER + 1))["offers_state"] == "unsubscribed"


async def test_no_keyword_takes_who_begins_again_with_another_merchant_by_its_name(
    database: Database,
) -> None:
    async with a_world(database, subscribers=2) as world:
        await a_second_merchant(world)
        await world.execute("DELETE FROM subscriber WHERE merchant_id = $1", OTHER)
        await world.execute(
            "INSERT INTO join_keyword VALUES ($1, 'boxman', $2, 6, 'poster', false, now())", SENDER, OTHER
        )
        async with world.gateway():
            await say(world, 1, "STOP")
            (told,) = await say(world, 1, "START BOXMAN")
            assert told.startswith("Boxman: vous recevrez nos offres par SMS")
            assert await state(world, 1) == "subscribed"
            await say(world, STRANGER, "JOIN BOXMAN")
            assert await world.value("SELECT count(*) = 0 FROM subscriber WHERE merchant_id = $1", OTHER)


async def test_no_keyword_takes_what_answers_the_question_of_another_merchant(database: Database) -> None:
    """SI is no word of the first merchant's language, and a yes in that of the merchant who asked."""
    async with a_world(database, subscribers=2) as world:
        await a_second_merchant(world)
        await world.another_merchant(9, 0)
        await world.execute("DELETE FROM subscriber WHERE merchant_id = $1", OTHER)
        await world.execute("UPDATE merchant SET language = 'es' WHERE merchant_id = $1", OTHER)
        await world.execute(
            "INSERT INTO join_keyword VALUES ($1, 'jazz', $2, 6, 'poster', true, now()), "
            "($1, 'si', 9, 7, 'poster', false, now())",  # from before such words were refused
            SENDER, OTHER,
        )  # fmt: skip
        async with world.gateway():
            await say(world, 1, "JOIN JAZZ")
            await say(world, 1, "SI")
            states = await world.rows(
                "SELECT merchant_id, offers_state FROM subscriber WHERE msisdn = $1 ORDER BY 1",
                FIRST_MSISDN + 1,
            )
            assert [tuple(row) for row in states] == [(MERCHANT, "subscribed"), (OTHER, "subscribed")]


@pytest.mark.parametrize("text", ["JOIN ROCK", "rock"])
async def test_of_two_keywords_of_a_merchant_a_yes_agrees_to_the_newer(database: Database, text: str) -> None:
    """JOIN ROCK agreed to what JAZZ had asked about, and ROCK alone to nothing."""
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world)
        await a_keyword(world, "rock", wording="poster-4", id_=6)
        await say(world, STRANGER, "JAZZ")
        (told,) = await say(world, STRANGER, text)
        assert told.startswith("Boxman: voulez-vous recevoir nos offres par SMS?")
        assert (await person(world))["offers_state"] == "pending"
        assert await world.value("SELECT array_agg(wording_version) FROM consent_question") == ["poster-4"]
        await say(world, STRANGER, "OUI")
        assert [(each[0], each[2], each[5]) for each in await proof(world)] == [
            ("opt_in_double", "poster-3", "JAZZ"),
            ("opt_in_double", "poster-4", text),
            ("yes", "poster-4", "OUI"),
        ]


async def test_a_keyword_without_a_question_agrees_while_another_one_waits(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world)
        await a_keyword(world, "rock", double_opt_in=False, wording="poster-4", id_=6)
        await say(world, STRANGER, "JAZZ")
        (told,) = await say(world, STRANGER, "ROCK")
        assert told.startswith("Boxman: vous recevrez nos offres par SMS")
        assert await world.value("SELECT count(*) FROM consent_question") == 0
        assert [each[:3] for each in await proof(world)][1:] == [("start", "subscribed", "poster-4")]


async def test_keywords_that_stand_for_the_same_wording_are_one_question(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world)
        await a_keyword(world, "blues", id_=6)
        await say(world, STRANGER, "JAZZ")
        await say(world, STRANGER, "JOIN BLUES")
        assert [each[:3] for each in await proof(world)][1:] == [("yes", "subscribed", "poster-3")]


async def test_two_merchants_questions_both_wait_and_a_yes_is_asked_whose_it_is(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world)
        await a_second_merchant(world)
        await world.execute(
            "INSERT INTO join_keyword VALUES ($1, 'rock', $2, 6, 'poster-4', true, now())", SENDER, OTHER
        )
        await say(world, STRANGER, "JAZZ")
        (told,) = await say(world, STRANGER, "ROCK")
        assert told.startswith("Disco Mania: voulez-vous")
        (told,) = await say(world, STRANGER, "OUI")
        assert "Boxman" in told
        assert "Disco Mania" in told
        assert [each[1] for each in await proof(world)] == ["pending", "pending"]


NUMBERS = (SENDER, "36999")  # both the merchant's


@asynccontextmanager
async def two_numbers(database: Database) -> AsyncIterator[World]:
    """Have JAZZ on the first number and ROCK on the second, and two people who agreed to nothing."""
    async with a_world(database, subscribers=2) as world:
        await world.execute("UPDATE subscriber SET offers_state = 'none'")
        world.profile_changes["senders"] = tuple(SenderNumber(number=each, receives=True) for each in NUMBERS)
        await a_keyword(world)
        await world.execute(
            "INSERT INTO join_keyword VALUES ($1, 'rock', $2, 6, 'poster-4', true, now())",
            NUMBERS[1], MERCHANT,
        )  # fmt: skip
        async with world.gateway():
            yield world


async def write_to(world: World, sender: str, text: str, number: int = STRANGER) -> None:
    mo = world.answer(number, text, sender)
    await eventually(lambda: mo.taken)


@pytest.mark.parametrize("text", ["START", "START 2"])
async def test_a_start_while_a_question_waits_agrees_to_the_wording_that_was_asked_about(
    database: Database, text: str
) -> None:
    """Whichever number it is sent to, and also where it is no answer to the question."""
    async with two_numbers(database) as world:
        await say(world, STRANGER, "JAZZ")
        await write_to(world, NUMBERS[1] if text == "START" else SENDER, text)
        assert (await person(world))["offers_state"] == "subscribed"
        assert [each[:3] for each in await proof(world)] == [
            ("opt_in_double", "pending", "poster-3"),
            ("start", "subscribed", "poster-3"),
        ]
        assert await world.value("SELECT count(*) FROM consent_question") == 0


async def test_who_came_back_after_a_stop_agreed_to_no_question(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        await a_keyword(world)
        for text in ("JAZZ", "STOP", "START"):
            await say(world, STRANGER, text)
        assert [each[2] for each in await proof(world) if each[0] == "start"] == [START_WORDING]


@pytest.mark.parametrize(
    ("state", "said", "wording"),
    [
        ("none", ["START"], START_WORDING),
        ("expired", ["START"], START_WORDING),
        ("subscribed", ["LESS", "START"], ""),
        ("subscribed", ["PAUSE", "START"], ""),
    ],
)
async def test_a_start_that_nobody_asked_for_agrees_to_the_welcome_and_says_so_in_its_proof(
    database: Database, state: str, said: list[str], wording: str
) -> None:
    """Who agreed before, and comes back from a pause, agrees to nothing new."""
    async with a_world(database, subscribers=2) as world, world.gateway():
        await world.execute("UPDATE subscriber SET offers_state = $1", state)
        for text in said:
            await say(world, 1, text)
        rows = await world.rows(
            "SELECT event, state_after, wording_version FROM consent_event ORDER BY consent_id"
        )
        assert tuple(rows[-1]) == ("start", "subscribed", wording)


async def test_an_answer_ends_questions_about_the_same_alone(database: Database) -> None:
    """The state of the other purpose stayed pending for ever: nobody could be asked about it again."""
    async with two_numbers(database) as world:
        await ask(world, 1, "polls")
        await eventually(lambda: len(world.texts_to(1)) == 1)
        await write_to(world, NUMBERS[1], "ROCK", 1)
        await write_to(world, NUMBERS[1], "OUI", 1)
        assert [await state(world, 1), await state(world, 1, "polls")] == ["subscribed", "pending"]
        await say(world, 1, "Oui!")
        assert await state(world, 1, "polls") == "subscribed"
        assert await world.value("SELECT count(*) FROM consent_question") == 0


async def test_a_keyword_is_asked_about_though_a_question_about_something_else_waits(
    database: Database,
) -> None:
    """It was answered with nothing. The newer question counts, and the older one can be put again."""
    async with two_numbers(database) as world:
        await ask(world, 1, "polls")
        await eventually(lambda: len(world.texts_to(1)) == 1)
        (told,) = await say(world, 1, "JAZZ")
        assert told.startswith("Boxman: voulez-vous recevoir nos offres par SMS?")
        assert [await state(world, 1), await state(world, 1, "polls")] == ["pending", "none"]
        await say(world, 1, "OUI")
        assert [await state(world, 1), await state(world, 1, "polls")] == ["subscribed", "none"]
        log = await world.rows(
            "SELECT event, purpose, wording_version FROM consent_event ORDER BY consent_id"
        )
        assert [tuple(row) for row in log] == [
            ("opt_in_double", "polls", "w1"),
            ("question_expired", "polls", "w1"),
            ("opt_in_double", "offers", "poster-3"),
            ("yes", "offers", "poster-3"),
        ]
        await ask(world, 1, "polls")
        assert await state(world, 1, "polls") == "pending"


async def test_a_question_that_is_over_does_not_end_a_newer_one_from_another_number(
    database: Database,
) -> None:
    async with two_numbers(database) as world:
        await say(world, STRANGER, "JAZZ")
        await write_to(world, NUMBERS[1], "ROCK")
        await world.execute(
            "UPDATE consent_question SET asked_at = now() - interval '8 days' WHERE sender = $1", SENDER
        )
        await ageing(world, datetime.now(UTC)).step()
        assert (await person(world))["offers_state"] == "pending"
        await write_to(world, NUMBERS[1], "OUI")
        assert (await person(world))["offers_state"] == "subscribed"
