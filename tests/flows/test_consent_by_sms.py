"""Consent as people change it by SMS, on a real database behind a real SMSC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.clock import ManualClock
from smsgate.errors import DomainError
from smsgate.flows.commerce_records import SystemMessage
from smsgate.flows.consent_ageing import ConsentAgeing
from smsgate.flows.ports_api import ConsentDraft
from smsgate.flows.transactional import check_may_tell
from smsgate.ids import IdMaker
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.consent_ageing import PgConsentAgeing
from smsgate.store.pool import Database
from smsgate.store.subscribers import PgSubscribers
from smsgate.store.transactional import PgTransactional
from tests.flows.inbound_world import an_open_offer, events, order_numbers, outcomes, say
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, World, a_world, eventually

HASHES = SuppressionHashes(bytes(32))

OTHER = 8


async def a_second_merchant(world: World, state: str = "subscribed") -> None:
    """Have Disco Mania, which writes from the same number, know the first three people too."""
    await world.execute(
        "INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, "
        "price_list_id) VALUES ($1, 'Disco Mania', 'disco', 'FR', 'fr', 'Europe/Paris', 'EUR', 1)",
        OTHER,
    )
    await world.execute(
        "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state) "
        "SELECT $1, 20000 + n, $2::bigint + n, 'fr', 'FR', $3 FROM generate_series(0, 2) AS s (n)",
        OTHER,
        FIRST_MSISDN,
        state,
    )


async def agreed_to(world: World, number: int, purpose: str) -> None:
    await world.execute(
        "INSERT INTO consent_state VALUES ($1, $2, $3, 'subscribed', now())",
        MERCHANT,
        10_000 + number,
        purpose,
    )


async def state(world: World, number: int, purpose: str = "offers", merchant_id: int = MERCHANT) -> Any:
    base = 10_000 if merchant_id == MERCHANT else 20_000
    if purpose == "offers":
        return await world.value(
            "SELECT offers_state FROM subscriber WHERE subscriber_id = $1", base + number
        )
    return await world.value(
        "SELECT state FROM consent_state WHERE subscriber_id = $1 AND purpose = $2", base + number, purpose
    )


async def ask(world: World, number: int, purpose: str, *, at: datetime | None = None) -> None:
    """Put the question of a double opt-in as POST /v1/consents does."""
    now = at or datetime.now(UTC)
    ids = IdMaker(41, lambda: int(datetime.now(UTC).timestamp() * 1000))
    question = SystemMessage(
        MERCHANT, ids.next(), FIRST_MSISDN + number, "optin_question", SENDER, "Boxman: vraiment? OUI",
        now + timedelta(hours=24), subscriber_id=10_000 + number,
    )  # fmt: skip
    draft = ConsentDraft(
        ids.next(), 10_000 + number, purpose, granted=True, wording_version="w1", source="web", evidence={},
        occurred_at=now, event_id=ids.next(), event_subject="sub_x", event_data={}, question=question,
    )  # fmt: skip
    await PgSubscribers(world.database, HASHES).consent(MERCHANT, draft, now)


async def asked(world: World, number: int) -> None:
    """Wait for the question, behind the offer."""
    await eventually(lambda: len(world.texts_to(number)) == 2)


def ageing(world: World, now: datetime) -> ConsentAgeing:
    ids = IdMaker(42, lambda: int(datetime.now(UTC).timestamp() * 1000))
    return ConsentAgeing(PgConsentAgeing(world.database, ids, str), ManualClock(now))


async def test_a_bare_stop_ends_every_merchant_on_the_number_and_every_purpose(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await a_second_merchant(world)
        await agreed_to(world, 1, "location")
        told = await say(world, 1, "STOP")
        assert len(told) == 1
        assert "Boxman, Disco Mania" in told[0]
        assert [await state(world, 1), await state(world, 1, merchant_id=OTHER)] == ["unsubscribed"] * 2
        assert await state(world, 1, "location") == "unsubscribed"
        log = await world.rows(
            "SELECT merchant_id, purpose, event, inbound_id FROM consent_event ORDER BY 1, 2"
        )
        assert [tuple(row)[:3] for row in log] == [
            (merchant_id, purpose, "stop")
            for merchant_id in (MERCHANT, OTHER)
            for purpose in ("appointments", "location", "offers", "polls")
        ]
        assert None not in {row["inbound_id"] for row in log}


async def agree(world: World, purpose: str, at: datetime) -> None:
    """Record a consent of the second person as POST /v1/consents does."""
    ids = IdMaker(43, lambda: int(datetime.now(UTC).timestamp() * 1000))
    draft = ConsentDraft(
        ids.next(), 10_001, purpose, granted=True, wording_version="w1", source="web", evidence={},
        occurred_at=at, event_id=ids.next(), event_subject="sub_x", event_data={}, question=None,
    )  # fmt: skip
    await PgSubscribers(world.database, HASHES).consent(MERCHANT, draft, datetime.now(UTC))


@pytest.mark.parametrize("purpose", ["location", "polls", "appointments", "offers"])
async def test_a_consent_older_than_a_bare_stop_opens_no_purpose_and_a_newer_one_does(
    database: Database, purpose: str
) -> None:
    """Also a purpose that nobody had agreed to when the STOP came."""
    async with an_open_offer(database) as (world, _):
        before = datetime.now(UTC)
        await say(world, 1, "STOP")
        with pytest.raises(DomainError) as refused:
            await agree(world, purpose, before)
        assert refused.value.code == "stop_is_newer"
        assert await state(world, 1, purpose) == "unsubscribed"
        await agree(world, purpose, datetime.now(UTC))
        assert await state(world, 1, purpose) == "subscribed"
        assert await state(world, 1, "polls" if purpose != "polls" else "offers") == "unsubscribed"


async def test_a_second_bare_stop_is_noted_and_not_answered_again(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "STOP")
        await say(world, 1, "stop!", answers=0)
        assert await world.value("SELECT count(*) FROM consent_event WHERE event = 'stop'") == 8
        (revoked,) = await events(world, "consent.revoked")  # the shop hears of what was agreed to
        assert revoked["purpose"] == "offers"


async def test_stop_and_a_name_ends_that_merchant_alone(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await a_second_merchant(world)
        (told,) = await say(world, 1, "STOP Boxman")
        assert told.startswith("Boxman:")
        assert await state(world, 1) == "unsubscribed"
        assert await state(world, 1, merchant_id=OTHER) == "subscribed"
        assert await world.value("SELECT count(*) FROM open_offer WHERE subscriber_id = 10001") == 0


async def test_stop_by_category_ends_that_purpose_and_says_which(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        await agreed_to(world, 1, "appointments")
        await agreed_to(world, 2, "appointments")
        (told,) = await say(world, 1, "STOP rdv")
        assert "rendez-vous" in told
        assert [await state(world, 1), await state(world, 1, "appointments")] == [
            "subscribed",
            "unsubscribed",
        ]
        await say(world, 2, "STOP sauf rdv")
        assert [await state(world, 2), await state(world, 2, "appointments")] == [
            "unsubscribed",
            "subscribed",
        ]
        assert set(gateway.pump.look.stops.held(MERCHANT)) == {FIRST_MSISDN + 2}


async def test_wrong_person_blocks_the_number_for_all_and_is_answered_once(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await a_second_merchant(world)
        (told,) = await say(world, 1, "Mauvais numéro")
        assert "désolé" in told
        assert [await state(world, 1), await state(world, 1, merchant_id=OTHER)] == ["blocked", "blocked"]
        await say(world, 1, "mauvais numéro", answers=0)
        (told,) = await say(world, 1, "START")  # a block is not taken back by a word, and says so
        assert "bloqué" in told
        assert await state(world, 1) == "blocked"
        cases = await world.rows(
            "SELECT outcome, reason FROM inbound_message WHERE merchant_id = $1 ORDER BY inbound_id", MERCHANT
        )
        assert [row["outcome"] for row in cases] == ["blocked", "blocked", "start_refused"]
        assert "mauvais numero" in cases[0]["reason"]


async def test_a_number_that_is_another_persons_ends_consent_and_lets_the_new_one_agree(
    database: Database,
) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        [number] = await order_numbers(world)
        await say(world, 1, "Stop, j'ai récupéré ce numéro", answers=0)
        assert await state(world, 1) == "expired"
        row = (await world.rows("SELECT outcome, reason FROM inbound_message WHERE label = 'stop'"))[0]
        assert row["outcome"] == "reassigned"
        assert number in row["reason"]  # what is open, the shop has to reach its buyer about
        assert await world.value("SELECT count(*) FROM suppression") == 0
        await say(world, 1, "START")
        assert await state(world, 1) == "subscribed"


@pytest.mark.parametrize("purpose", ["appointments", None])
async def test_nothing_about_a_buyer_goes_to_the_new_owner_of_the_number_though_no_offers_were_agreed_to(
    database: Database, purpose: str | None
) -> None:
    async with an_open_offer(database) as (world, _):
        await world.execute("UPDATE subscriber SET offers_state = 'none' WHERE subscriber_id = 10001")
        if purpose is not None:
            await agreed_to(world, 1, purpose)
        await say(world, 1, "Stop, j'ai récupéré ce numéro", answers=0)
        buyer = await PgTransactional(database).recipient(MERCHANT, 10_001, None)
        for kind in ("transaction", "appointments"):
            with pytest.raises(DomainError) as refused:
                check_may_tell(kind, buyer.states)
            assert refused.value.code == "suppressed"


async def test_death_is_answered_by_silence(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "Mauvais numéro")
        await say(world, 2, "Il est décédé", answers=0)
        reasons = [each["reason"] for each in await events(world, "consent.revoked")]
        assert reasons == ["wrong_person", "death"]


async def test_start_on_a_shared_number_asks_for_a_name_and_takes_it(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await a_second_merchant(world, "none")
        await say(world, 1, "STOP Boxman")
        (told,) = await say(world, 1, "START")
        assert "Boxman, Disco Mania" in told
        assert await state(world, 1) == "unsubscribed"
        await say(world, 1, "START Boxman")
        assert await state(world, 1) == "subscribed"
        assert await state(world, 1, merchant_id=OTHER) == "none"


async def test_a_pause_silences_offers_and_ends_on_its_day(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        await agreed_to(world, 1, "location")
        await agreed_to(world, 1, "appointments")
        (told,) = await say(world, 1, "PAUSE 7")
        assert "pause jusqu'au" in told
        assert [await state(world, 1), await state(world, 1, "location")] == ["paused", "paused"]
        assert await state(world, 1, "appointments") == "subscribed"
        assert FIRST_MSISDN + 1 in gateway.pump.look.stops.held(MERCHANT)
        await say(world, 1, "OK")  # what is open may still be ordered
        assert len(await order_numbers(world)) == 1
        now = datetime.now(UTC)
        await ageing(world, now + timedelta(days=6, hours=23)).step()
        assert await state(world, 1) == "paused"
        await ageing(world, now + timedelta(days=7, minutes=1)).step()
        assert [await state(world, 1), await state(world, 1, "location")] == ["subscribed", "subscribed"]
        assert await world.value("SELECT paused_until IS NULL FROM subscriber WHERE subscriber_id = 10001")


async def test_a_stop_in_the_words_of_an_earlier_one_ends_a_pause_too(database: Database) -> None:
    """The carrier's repetitions are told by their words; one that finds something to end is never one."""
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "STOP")
        await world.execute("UPDATE subscriber SET offers_state = 'paused' WHERE subscriber_id = 10001")
        await say(world, 1, "STOP")
        assert await state(world, 1) == "unsubscribed"


async def test_a_yes_to_the_double_opt_in_agrees_and_orders_nothing(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        await world.execute("UPDATE subscriber SET offers_state = 'none'")
        async with world.gateway():
            for number in range(3):
                await ask(world, number, "offers")
            await eventually(lambda: world.simulator.phones.received == 3)
            assert await state(world, 1) == "pending"
            (told,) = await say(world, 1, "Oui")
            assert "STOP" in told
            await say(world, 2, "non merci", answers=0)
            assert [await state(world, n) for n in range(3)] == ["pending", "subscribed", "none"]
            assert await outcomes(world) == {"agreed": 1, "declined": 1}
            row = (await world.rows("SELECT * FROM consent_event WHERE event = 'yes'"))[0]
            assert (row["wording_version"], row["inbound_id"] is None) == ("w1", False)
            assert row["evidence"] == '{"who": "phone"}'
            assert await world.value("SELECT count(*) FROM consent_question") == 1
            now = datetime.now(UTC)
            await ageing(world, now + timedelta(days=7, minutes=1)).step()
            assert [await state(world, n) for n in range(3)] == ["none", "subscribed", "none"]
            assert await world.value("SELECT count(*) FROM consent_question") == 0
            assert await order_numbers(world) == []


async def test_a_yes_where_an_offer_and_a_question_wait_is_asked_about(database: Database) -> None:
    """What it says to do then is taken for what it says."""
    async with an_open_offer(database) as (world, _):
        for number in (1, 2):
            await ask(world, number, "location")
        await eventually(lambda: len(world.texts_to(2)) == 2)
        for number in (1, 2):
            (told,) = await say(world, number, "OUI")
            assert ("OK 1" in told, "START" in told) == (True, True)
        assert await outcomes(world) == {"asked": 2}
        assert [await state(world, 1, "location"), await order_numbers(world)] == ["pending", []]
        (told,) = await say(world, 1, "START")
        assert "position" in told
        assert [await state(world, 1, "location"), await order_numbers(world)] == ["subscribed", []]
        await say(world, 2, "OK 1")
        assert await state(world, 2, "location") == "pending"
        assert len(await order_numbers(world)) == 1


async def test_a_no_where_an_offer_and_a_question_wait_is_one_to_both(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await ask(world, 1, "location")
        await asked(world, 1)
        await say(world, 1, "NON", answers=0)
        assert await state(world, 1, "location") == "none"
        await say(world, 1, "oui")  # who thinks better of the offer orders it, and agrees to nothing else
        assert await state(world, 1, "location") == "none"
        log = await world.rows(
            "SELECT event, wording_version, inbound_id FROM consent_event ORDER BY consent_id"
        )
        assert [tuple(row)[:2] for row in log] == [("opt_in_double", "w1"), ("no", "w1")]


async def test_nothing_but_a_clear_yes_answers_the_question_behind_an_offer_that_ended(
    database: Database,
) -> None:
    texts = ["5", "OK 2", "je prends", "le rouge"]
    async with an_open_offer(database, subscribers=len(texts)) as (world, _):
        await world.execute("UPDATE offer_version SET expires_at = now() - interval '2 hours'")
        for number, text in enumerate(texts):
            await ask(world, number, "location")
            await asked(world, number)
            await say(world, number, text)
            assert await state(world, number, "location") == "pending"
            (told,) = await say(world, number, "Oui")
            assert "position" in told
            assert await state(world, number, "location") == "subscribed"
        assert await order_numbers(world) == []


async def test_a_no_behind_an_offer_that_ended_is_one_to_the_question_for_good(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await world.execute("UPDATE offer_version SET expires_at = now() - interval '2 hours'")
        await ask(world, 1, "location")
        await asked(world, 1)
        await say(world, 1, "NON", answers=0)
        assert await world.value("SELECT count(*) FROM consent_question") == 0
        (told,) = await say(world, 1, "ok")
        assert "terminée" in told
        assert await state(world, 1, "location") == "none"


async def test_a_no_to_the_question_outlives_every_consent_of_before(database: Database) -> None:
    async with a_world(database, subscribers=2) as world:
        await world.execute("UPDATE subscriber SET offers_state = 'none'")
        async with world.gateway():
            await ask(world, 1, "offers")
            await eventually(lambda: world.simulator.phones.received == 1)
            before = datetime.now(UTC)
            await say(world, 1, "non merci", answers=0)
            with pytest.raises(DomainError) as refused:
                await agree(world, "offers", before)
            assert (refused.value.code, await state(world, 1)) == ("stop_is_newer", "none")
            await agree(world, "offers", datetime.now(UTC))
            assert await state(world, 1) == "subscribed"


async def test_a_question_that_was_asked_over_seven_days_ago_takes_no_yes(database: Database) -> None:
    async with a_world(database, subscribers=2) as world:
        await world.execute("UPDATE subscriber SET offers_state = 'none'")
        async with world.gateway():
            await ask(world, 1, "offers", at=datetime.now(UTC) - timedelta(days=8))
            await say(world, 1, "Oui")  # told that nothing is open
            assert await state(world, 1) in {"pending", "none"}  # time may have ended it meanwhile


async def test_three_years_without_a_word_end_consent_and_one_word_keeps_it(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await world.execute(
            "UPDATE subscriber SET created_at = now() - interval '4 years', "
            "offers_state_at = CASE WHEN subscriber_id = 10002 THEN now() ELSE now() - interval '4 years' END"
        )
        await say(world, 1, "merci beaucoup")
        await ageing(world, datetime.now(UTC)).step()
        assert [await state(world, n) for n in range(3)] == ["expired", "subscribed", "subscribed"]
        assert await world.value("SELECT count(*) FROM open_offer WHERE subscriber_id = 10000") == 0
