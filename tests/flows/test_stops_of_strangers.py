"""STOP, START and HELP of a number that nobody knows, and a STOP to a sender number that changed hands."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.campaigns.consent_commands import SmsRules
from smsgate.errors import DomainError
from smsgate.flows.answer_limit import HELPS_A_DAY
from smsgate.flows.commerce_records import SystemMessage
from smsgate.flows.ports_api import ConsentDraft, SubscriberDraft
from smsgate.ids import IdMaker
from smsgate.links.profile_senders import SenderNumber
from smsgate.store.catalogue import load
from smsgate.store.pool import Database
from smsgate.store.subscribers import PgSubscribers
from smsgate.store.transactional import PgTransactional
from tests.flows.inbound_world import an_open_offer, events, outcomes, say
from tests.flows.test_consent_by_sms import HASHES, OTHER, a_second_merchant, state
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, World, a_world, eventually

STRANGER = 50


async def test_a_strangers_stop_is_confirmed_once_and_outlives_what_is_known_later(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        before = datetime.now(UTC)
        (told,) = await say(world, STRANGER, "STOP")
        assert told.startswith("Boxman: c'est noté")
        await say(world, STRANGER, "stop !!", answers=0)
        assert await outcomes(world) == {"stopped": 2}
        with pytest.raises(DomainError) as refused:
            await comes_to_be_known(world, MERCHANT, before)
        assert refused.value.code == "stop_is_newer"
        await comes_to_be_known(world, MERCHANT, datetime.now(UTC))


async def test_a_stop_to_a_number_that_changed_hands_ends_who_wrote_from_it_before(
    database: Database,
) -> None:
    """Boxman's offer came from the number that is Disco Mania's now, who does not know the person."""
    async with a_world(database, subscribers=3) as world:
        await a_second_merchant(world)
        await world.execute("DELETE FROM subscriber WHERE subscriber_id = 20001")
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        await world.execute("DELETE FROM open_offer")  # it ended long ago
        world.profile_changes["senders"] = (SenderNumber(number=SENDER, receives=True, merchants=("disco",)),)
        before = datetime.now(UTC)
        async with world.gateway():
            (told,) = await say(world, 1, "STOP")
            assert told.startswith("Boxman: c'est noté")
            assert await state(world, 1) == "unsubscribed"
            with pytest.raises(DomainError) as refused:
                await comes_to_be_known(world, OTHER, before, number=1)
            assert refused.value.code == "stop_is_newer"


async def test_a_stop_to_a_merchant_who_does_not_know_the_person_leaves_other_merchants_alone(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world:
        await a_second_merchant(world)
        await world.execute("DELETE FROM subscriber WHERE subscriber_id = 20000")
        world.profile_changes["senders"] = (SenderNumber(number=SENDER, receives=True, merchants=("disco",)),)
        before = datetime.now(UTC)
        async with world.gateway():
            (told,) = await say(world, 0, "STOP")
            assert told.startswith("Disco Mania: c'est noté")
            await say(world, 0, "stop svp", answers=0)
            assert await state(world, 0) == "subscribed"
            with pytest.raises(DomainError) as refused:
                await comes_to_be_known(world, OTHER, before, number=0)
            assert refused.value.code == "stop_is_newer"


@pytest.mark.parametrize("text", ["AIDE", "contact", "Help!", "c'est qui ?"])
async def test_a_stranger_who_asks_hears_whose_number_it_is(database: Database, text: str) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        (told,) = await say(world, STRANGER, text)
        assert told.startswith("Boxman: contact bxm.fr 0800 123 456.")
        assert await outcomes(world) == {"asked": 1}


async def test_a_stranger_who_asks_on_a_shared_number_hears_who_answers_for_all(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        await a_second_merchant(world)
        world.rules = SmsRules(contact="sms.example")
        async with world.gateway():
            (told,) = await say(world, STRANGER, "AIDE")
            assert "boutiques: Boxman, Disco Mania. Contact: sms.example." in told
            await world.execute("UPDATE merchant SET state = 'suspended' WHERE slug = 'disco'")
            (told,) = await say(world, STRANGER, "aide svp")
            assert told.startswith("Boxman: contact bxm.fr 0800 123 456.")
            await world.execute("UPDATE merchant SET state = 'suspended'")
            await say(world, STRANGER, "aide!!", answers=0)
        assert await outcomes(world) == {"asked": 2, "nobody": 1}


async def test_two_gateways_that_ask_each_other_for_help_as_strangers_fall_silent(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        for n in range(HELPS_A_DAY):
            await say(world, STRANGER, f"aide{'!' * n}")
        await say(world, STRANGER, "HELP", answers=0)


async def test_help_is_answered_by_the_name_where_a_contact_is_too_long_for_a_text(
    database: Database,
) -> None:
    """Rows from before contacts were bounded; the text could not be made, and its MO came again for ever."""
    async with a_world(database, subscribers=1) as world, world.gateway():
        await world.execute("UPDATE merchant SET contact = repeat('x', 200)")
        (told,) = await say(world, 0, "AIDE")
        assert told.startswith("Boxman: contact Boxman.")


async def test_a_start_of_a_number_that_nobody_knows_is_told_why_it_does_nothing(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway():
        (told,) = await say(world, STRANGER, "START")
        assert "inscription" in told
        assert await outcomes(world) == {"start_refused": 1}
        assert await world.value("SELECT count(*) FROM consent_event") == 0


async def test_who_asks_to_be_erased_is_stopped_told_so_and_shown_to_the_merchant(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        (told,) = await say(world, 1, "Effacez mes données svp")
        assert "effacement" in told
        assert await state(world, 1) == "unsubscribed"
        (asked,) = await events(world, "erasure.requested")
        assert asked["msisdn"] == f"+{FIRST_MSISDN + 1}"
        assert asked["inbound_message"].startswith("inb_")
        await say(world, 2, "STOP")
        (told,) = await say(world, 2, "delete my data")
        assert "effacement" in told
        assert await outcomes(world) == {"erasure_requested": 2, "stopped": 1}
        await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))


async def comes_to_be_known(
    world: World, merchant_id: int, agreed_at: datetime, *, number: int = STRANGER
) -> None:
    """Let a merchant bring a person with a consent of that time."""
    ids = IdMaker(43, lambda: int(datetime.now(UTC).timestamp() * 1000))
    people, now = PgSubscribers(world.database, HASHES), datetime.now(UTC)
    known = await world.value(
        "SELECT subscriber_id FROM subscriber WHERE merchant_id = $1 AND msisdn = $2",
        merchant_id,
        FIRST_MSISDN + number,
    )
    if known is None:
        new = SubscriberDraft(ids.next(), FIRST_MSISDN + number, None, "fr", "FR", (), {})
        known = (await people.add(merchant_id, new, now)).subscriber_id
    draft = ConsentDraft(
        ids.next(), known, "offers", granted=True, wording_version="w1", source="web", evidence={},
        occurred_at=agreed_at, event_id=ids.next(), event_subject="sub_x", event_data={},
        question=None,
    )  # fmt: skip
    await people.consent(merchant_id, draft, now)


async def many_merchants(world: World, count: int) -> None:
    """Have so many more merchants who may use the number, and wrote nothing from it."""
    await world.execute(
        "INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, "
        "price_list_id) SELECT 100 + n, 'Shop ' || n, 'shop' || n, 'FR', 'fr', 'Europe/Paris', 'EUR', 1 "
        "FROM generate_series(1, $1) AS s (n)",
        count,
    )


async def test_who_asks_on_a_number_of_many_hears_who_wrote_from_it(database: Database) -> None:
    """Also of those who wrote about appointments alone: whoever got them may ask."""
    async with a_world(database, subscribers=1) as world:
        await many_merchants(world, 25)
        world.rules = SmsRules(contact="sms.example")
        async with world.gateway():
            (told,) = await say(world, STRANGER, "AIDE")
            assert "plusieurs boutiques. Contact: sms.example. STOP = plus" in told
            next_id = IdMaker(41, lambda: int(time.time() * 1000)).next
            over_at = datetime.now(UTC) + timedelta(hours=1)
            await PgTransactional(database).add(
                SystemMessage(
                    MERCHANT, next_id(), FIRST_MSISDN, "transaction", SENDER, "Colis", over_at, 10_000
                )
            )
            (told,) = await say(world, STRANGER, "aide svp")
            assert told.startswith("Boxman: contact bxm.fr 0800 123 456.")
        rows = await world.rows("SELECT merchant_id, outcome FROM inbound_message ORDER BY inbound_id")
        assert [tuple(row) for row in rows] == [(0, "asked"), (MERCHANT, "asked")]


@pytest.mark.parametrize("text", ["STOP", "STOP ALL"])
async def test_a_strangers_stop_to_a_number_of_many_is_confirmed_once_by_who_runs_it(
    database: Database, text: str
) -> None:
    """HELP says that STOP ends it; no merchant hears of somebody whom it has nothing to do with."""
    async with a_world(database, subscribers=1) as world:
        await many_merchants(world, 25)
        world.rules = SmsRules(contact="sms.example")
        before = datetime.now(UTC)
        async with world.gateway():
            (told,) = await say(world, STRANGER, text)
            assert told.startswith("sms.example: c'est noté")
            await say(world, STRANGER, f"{text} !!", answers=0)
            assert await world.value("SELECT count(*) FROM event") == 0
            with pytest.raises(DomainError) as refused:
                await comes_to_be_known(world, 120, before)
            assert refused.value.code == "stop_is_newer"


async def test_a_number_of_many_that_names_no_contact_answers_nobody(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        await many_merchants(world, 25)
        async with world.gateway():
            await say(world, STRANGER, "AIDE", answers=0)
            assert await outcomes(world) == {"nobody": 1}


async def test_a_strangers_stop_reads_no_merchant_who_has_nothing_to_do_with_the_number(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world:
        await many_merchants(world, 200)
        await world.execute("INSERT INTO sender_merchant VALUES ($1, 250)", SENDER)
        async with database.bulk() as connection:
            sql = load("inbound")["sender_merchants"]
            found = await connection.fetch(sql, [SENDER], [SENDER, SENDER], ["shop3", "boxman"], [], 21)
            assert [(row["slug"], row["wrote"]) for row in found] == [
                ("boxman", False), ("shop3", False), ("shop150", True),
            ]  # fmt: skip
            found = await connection.fetch(sql, [SENDER], [], [], [SENDER], 21)
            assert len(found) == 22
            assert [row["slug"] for row in found if row["wrote"]] == ["shop150"]
