"""The merchant's inbox: replies that no rule could read, and what a person of the merchant makes of them."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from smsgate.campaigns.consent import DOUBT_MAX
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.pool import Database
from tests.api.api_server import HASHES, Answer
from tests.api.commerce_setup import SENDER, Shop

RULING = {"decided_by": "Anne", "reason": "She rang us."}


class Asked:
    """A person who has an open offer, and answered it in words that nobody could read."""

    def __init__(self, shop: Shop, subscriber_id: int, msisdn: int, message_id: int, offer_id: int) -> None:
        self.shop = shop
        self.subscriber_id = subscriber_id
        self.msisdn = msisdn
        self.message_id = message_id
        self.offer_id = offer_id

    async def says(
        self,
        text: str,
        *,
        label: str = "unclear",
        outcome: str = "asked",
        order: str | None = None,
        destination: str = SENDER,
    ) -> str:
        """Write a reply as the inbound flow does; return its public id."""
        shop, inbound_id = self.shop, self.shop.next_id()
        await shop.execute(
            "INSERT INTO inbound_message (merchant_id, inbound_id, carrier_id, msisdn, destination, text, "
            "raw, data_coding, subscriber_id, message_id, label, outcome, reason, rules_version, "
            "received_at, order_id) "
            "VALUES ($1, $2, 1, $3, $4, $5, '', 0, $6, $7, $8, $9, 'x', 'y', $10, $11)",
            shop.merchant_id, inbound_id, self.msisdn, destination, text, self.subscriber_id, self.message_id,
            label, outcome, shop.clock.now(), None if order is None else shop.id_of(Kind.ORDER, order),
        )  # fmt: skip
        return shop.public(Kind.INBOUND_MESSAGE, inbound_id)


async def asked(shop: Shop, **offer: Any) -> Asked:
    (subscriber_id,) = await shop.subscribers(1)
    campaign = await shop.campaign(**offer)
    message_id = await shop.sent_message(campaign, subscriber_id)
    msisdn = await shop.value("SELECT msisdn FROM subscriber WHERE subscriber_id = $1", subscriber_id)
    offer_id = shop.id_of(Kind.OFFER, campaign["offer"])
    await shop.execute(
        "INSERT INTO open_offer SELECT $1, $2, merchant_id, $3, $4, offer_id, version, $5, expires_at "
        "FROM offer_version WHERE offer_id = $6",
        msisdn, SENDER, shop.id_of(Kind.CAMPAIGN, campaign["id"]), message_id, subscriber_id, offer_id,
    )  # fmt: skip
    return Asked(shop, subscriber_id, msisdn, message_id, offer_id)


async def decide(shop: Shop, reply: str, verdict: str, **more: Any) -> Answer:
    return await shop.caller.post(
        f"/v1/inbound_messages/{reply}/reclassify", {"verdict": verdict, **RULING, **more}
    )


async def inbox(shop: Shop, state: str = "open") -> list[str]:
    listed = await shop.caller.get(f"/v1/inbox?state={state}")
    assert listed.status == 200, listed
    return [each["id"] for each in listed.body["data"]]


async def told(shop: Shop) -> list[str]:
    rows = await shop.fetch("SELECT kind FROM message WHERE campaign_id IS NULL ORDER BY message_id")
    return [row["kind"] for row in rows]


async def types(shop: Shop) -> list[str]:
    return [row["type"] for row in await shop.fetch("SELECT type FROM event ORDER BY event_id")]


async def test_an_unclear_reply_waits_in_the_inbox_until_a_person_takes_it_as_an_order(shop: Shop) -> None:
    person = await asked(shop, stock=5, quantity_max=3)
    reply = await person.says("bah oui pourquoi pas, deux alors?")
    assert await inbox(shop) == [reply]
    made = await decide(shop, reply, "accept", quantity=2)
    assert made.status == 200, made
    decision = made.body["decision"]
    assert (made.body["state"], decision["outcome"], decision["decided_by"]) == ("decided", "ordered", "Anne")
    assert decision["reason"] == "She rang us."
    assert decision["key"] == str(shop.caller.key).split("_")[2][:10]
    order = (await shop.caller.get(f"/v1/orders/{decision['order']}")).body
    assert (order["quantity"], order["state"], order["inbound_message"]) == (2, "placed", reply)
    (step,) = await shop.fetch("SELECT event, actor, detail FROM order_event")
    assert (step["event"], step["actor"]) == ("customer_ok", "merchant")
    assert json.loads(step["detail"]) == {"decided_by": "Anne", "key": decision["key"]}
    assert await shop.value("SELECT stock_remaining FROM offer") == 3
    assert await told(shop) == ["order_receipt"]
    assert await types(shop) == ["order.created", "inbound.reclassified"]
    assert await shop.value("SELECT count(*) FROM inbound_message") == 1
    assert await shop.value("SELECT count(*) FROM ledger_entry") == 0  # the reply was charged when it came
    assert await inbox(shop) == []
    assert await inbox(shop, "decided") == [reply]


async def test_a_second_decision_is_refused_also_when_two_people_decide_at_once(shop: Shop) -> None:
    person = await asked(shop)
    reply = await person.says("hm hm")
    answers = await asyncio.gather(*(decide(shop, reply, "accept") for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert {answer.code for answer in answers if answer.status == 409} == {"decided_already"}
    assert await shop.value("SELECT count(*) FROM orders") == 1
    assert (await decide(shop, reply, "stop")).code == "decided_already"


async def test_an_acceptance_that_is_decided_too_late_orders_nothing_and_says_so(shop: Shop) -> None:
    person = await asked(shop)
    reply = await person.says("oui je crois")
    shop.clock.advance(11 * 3600)
    made = await decide(shop, reply, "accept")
    assert made.body["decision"]["outcome"] == "late"
    assert made.body["decision"]["order"] is None
    assert await told(shop) == ["late"]
    assert await shop.value("SELECT count(*) FROM orders") == 0


async def test_an_acceptance_of_what_is_sold_out_by_now_orders_nothing_and_says_so(shop: Shop) -> None:
    person = await asked(shop, stock=1)
    reply = await person.says("oui je crois")
    await shop.execute("UPDATE offer SET stock_remaining = 0")
    assert (await decide(shop, reply, "accept")).body["decision"]["outcome"] == "sold_out"
    assert await told(shop) == ["sold_out"]
    assert await shop.value("SELECT count(*) FROM orders") == 0


async def test_a_reply_to_an_offer_whose_place_another_has_taken_orders_neither(shop: Shop) -> None:
    person = await asked(shop)
    reply = await person.says("oui je crois")
    await shop.execute("UPDATE open_offer SET message_id = message_id + 1")
    refused = await decide(shop, reply, "accept")
    assert (refused.status, refused.code) == (409, "offer_closed")
    assert await shop.value("SELECT count(*) FROM orders") == 0
    assert await inbox(shop) == [reply]  # it may still be declined, stopped or ignored


async def test_a_stop_that_a_person_reads_ends_this_merchants_messages_alone(shop: Shop) -> None:
    person = await asked(shop)
    stranger = await shop.api.merchant()
    other = shop.id_of(Kind.MERCHANT, stranger.merchant_id)
    await shop.execute(
        "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state) "
        "VALUES ($1, 77, $2, 'fr', 'FR', 'subscribed')",
        other, person.msisdn,
    )  # fmt: skip
    reply = await person.says("Mauvais numero stop tout, vous etes lourds")
    assert (await decide(shop, reply, "stop")).body["decision"]["outcome"] == "stopped"
    rows = await shop.fetch("SELECT merchant_id, offers_state FROM subscriber ORDER BY merchant_id")
    states = dict(tuple(row) for row in rows)
    assert states == {shop.merchant_id: "unsubscribed", other: "subscribed"}
    log = await shop.fetch("SELECT DISTINCT source, evidence->>'decided_by' AS by FROM consent_event")
    assert [tuple(row) for row in log] == [("human", "Anne")]
    assert person.msisdn in shop.api.context.stops.held(shop.merchant_id)
    assert person.msisdn not in shop.api.context.stops.held(other)
    assert await told(shop) == ["stop_confirmation"]
    assert await shop.value("SELECT count(*) FROM open_offer") == 0
    assert await shop.value("SELECT count(*) FROM suppression") == 0


async def _knows_too(shop: Shop, msisdn: int) -> int:
    """Let another merchant that wrote from the number have the person as its subscriber; return its id."""
    stranger = await shop.api.merchant()
    other = shop.id_of(Kind.MERCHANT, stranger.merchant_id)
    await shop.execute(
        "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state) "
        "VALUES ($1, 77, $2, 'fr', 'FR', 'subscribed')",
        other, msisdn,
    )  # fmt: skip
    await shop.execute(
        "INSERT INTO offer_version "
        "SELECT (jsonb_populate_record(v, jsonb_build_object('merchant_id', $1::bigint))).* "
        "FROM offer_version v",
        other,
    )
    return other


@pytest.mark.parametrize("known", [True, False])
async def test_a_stop_that_a_person_reads_is_kept_from_others_who_write_from_the_number(
    shop: Shop, known: bool
) -> None:
    """Neither theirs who know the person (docs/decisions/0031), nor when this merchant does not any more."""
    person = await asked(shop)
    other = await _knows_too(shop, person.msisdn)
    reply = await person.says("START", label="start", outcome="start_refused")
    if not known:
        await shop.execute("DELETE FROM subscriber WHERE merchant_id = $1", shop.merchant_id)
    assert (await decide(shop, reply, "stop")).body["decision"]["outcome"] == "stopped"
    states = await shop.fetch("SELECT offers_state FROM subscriber WHERE merchant_id = $1", other)
    assert [row["offers_state"] for row in states] == ["subscribed"]
    hashes = [row["hash"] for row in await shop.fetch("SELECT hash FROM number_stop")]
    assert hashes == ([] if known else [HASHES.of(shop.merchant_id, person.msisdn)])
    assert await shop.value("SELECT count(*) FROM open_offer") == 0


async def test_a_stop_that_a_person_reads_of_a_stranger_is_confirmed_once_as_one_by_sms_is(
    shop: Shop,
) -> None:
    """M3: one confirmation, as of a STOP by SMS, though the merchant does not know the person."""
    person = await asked(shop)
    replies = [await person.says("START", label="start", outcome="start_refused") for _ in range(2)]
    await shop.execute("DELETE FROM open_offer")
    await shop.execute("DELETE FROM subscriber")
    for reply in replies:
        assert (await decide(shop, reply, "stop")).body["decision"]["outcome"] == "stopped"
    (row,) = await shop.fetch(
        "SELECT kind, merchant_id, sender, subscriber_id FROM message WHERE campaign_id IS NULL"
    )
    assert tuple(row) == ("stop_confirmation", shop.merchant_id, SENDER, None)


async def _in_doubt(shop: Shop, person: Asked) -> int:
    """Let an unclear reply of this instant hold marketing of two merchants; return the other's id."""
    other = await _knows_too(shop, person.msisdn)
    await shop.execute("UPDATE subscriber SET doubt_until = $1", shop.clock.now() + DOUBT_MAX)
    return other


async def _doubted(shop: Shop) -> set[int]:
    rows = await shop.fetch("SELECT merchant_id FROM subscriber WHERE doubt_until IS NOT NULL")
    return {row["merchant_id"] for row in rows}


@pytest.mark.parametrize("verdict", ["accept", "decline", "ignore"])
async def test_who_reads_a_reply_as_no_stop_ends_the_doubt_for_all_whom_it_held(
    shop: Shop, verdict: str
) -> None:
    """Others who write from the number do not have the reply in their inbox: nobody there could decide."""
    person = await asked(shop)
    reply = await person.says("euh bof")
    await _in_doubt(shop, person)
    assert (await decide(shop, reply, verdict)).status == 200
    assert await _doubted(shop) == set()


async def test_a_stop_that_a_person_reads_leaves_the_others_in_doubt(shop: Shop) -> None:
    """It is no STOP to them (docs/decisions/0031), and surely no reason to go on."""
    person = await asked(shop)
    reply = await person.says("euh bof")
    other = await _in_doubt(shop, person)
    assert (await decide(shop, reply, "stop")).status == 200
    assert other in await _doubted(shop)


async def test_who_decides_about_an_earlier_reply_ends_no_doubt_that_came_later(shop: Shop) -> None:
    """The later one came to another number, and is in the other merchant's inbox."""
    person = await asked(shop)
    reply = await person.says("euh bof")
    other = await _in_doubt(shop, person)
    shop.clock.advance(60)
    later = shop.clock.now() + DOUBT_MAX
    await shop.execute("UPDATE subscriber SET doubt_until = $1 WHERE merchant_id = $2", later, other)
    assert (await decide(shop, reply, "ignore")).status == 200
    assert await _doubted(shop) == {other}


@pytest.mark.parametrize(
    ("of_others", "stays"),
    [
        ([(-1, "asked")], True),
        ([(-2, "asked"), (-1, "ordered")], False),
        ([(-2, "asked"), (-1, "repetition")], True),
        ([(-2, "disputed"), (-1, "ordered")], True),
    ],
    ids=["open", "settled", "not by a repetition", "a dispute by nobody but a human"],
)
async def test_who_has_an_older_reply_to_decide_about_stays_in_doubt(
    shop: Shop, of_others: list[tuple[int, str]], stays: bool
) -> None:
    """Both held marketing of both, the later one for longer; only the later one is decided about."""
    person = await asked(shop)
    reply = await person.says("euh bof")
    other = await _in_doubt(shop, person)
    for before, outcome in of_others:
        await shop.execute(
            "INSERT INTO inbound_message SELECT (jsonb_populate_record(i, jsonb_build_object('merchant_id', "
            "$1::bigint, 'inbound_id', i.inbound_id + $2::int, 'received_at', i.received_at + $2 * interval "
            "'1 hour', 'outcome', $3::text, 'label', $4::text))).* FROM inbound_message i "
            "WHERE merchant_id <> $1",
            other, before, outcome, "accept" if outcome == "ordered" else "unclear",
        )  # fmt: skip
    assert (await decide(shop, reply, "ignore")).status == 200
    assert await _doubted(shop) == ({other} if stays else set())


async def test_a_stop_that_a_person_reads_ends_consent_whatever_number_the_reply_came_to(shop: Shop) -> None:
    """The merchant lost the number since, or never wrote from it: no reach of a text's STOP is asked."""
    person = await asked(shop)
    reply = await person.says("lachez moi", destination="36222")
    assert (await decide(shop, reply, "stop")).body["decision"]["outcome"] == "stopped"
    assert await shop.value("SELECT offers_state FROM subscriber") == "unsubscribed"


async def test_a_stop_that_a_person_reads_ends_the_question_of_a_double_opt_in(shop: Shop) -> None:
    """A yes to what was asked before the stop is none, and the number is free for a question to come."""
    person = await asked(shop)
    await shop.execute("UPDATE subscriber SET offers_state = 'pending'")
    for merchant_id in (shop.merchant_id, shop.merchant_id + 1):
        await shop.execute(
            "INSERT INTO consent_question (msisdn, sender, merchant_id, subscriber_id, purpose, "
            "wording_version, asked_at) VALUES ($1, $2, $3, $4, 'offers', 'w1', $5)",
            person.msisdn, SENDER, merchant_id, person.subscriber_id, shop.clock.now(),
        )  # fmt: skip
    reply = await person.says("lachez moi")
    assert (await decide(shop, reply, "stop")).status == 200
    left = await shop.fetch("SELECT merchant_id FROM consent_question")
    assert [row["merchant_id"] for row in left] == [shop.merchant_id + 1]


async def test_a_decline_that_a_person_reads_frees_the_offers_place_and_an_ignored_one_changes_nothing(
    shop: Shop,
) -> None:
    person = await asked(shop)
    first, second = await person.says("bof"), await person.says("bof bof")
    assert (await decide(shop, first, "ignore")).body["decision"]["outcome"] == "ignored"
    assert await types(shop) == []
    assert await shop.value("SELECT answered_at FROM open_offer") is None
    assert (await decide(shop, second, "decline")).body["decision"]["outcome"] == "declined"
    assert await shop.value("SELECT answered_at FROM open_offer") is not None
    assert await told(shop) == []


async def test_nobody_of_the_merchant_consents_for_a_person(shop: Shop) -> None:
    """An acceptance of a reply where the question of a double opt-in waits is about the offer alone."""
    person = await asked(shop)
    await shop.execute("UPDATE subscriber SET offers_state = 'pending'")
    await shop.execute(
        "INSERT INTO consent_question VALUES ($1, $2, $3, $4, 'offers', 'w1', $5)",
        person.msisdn, SENDER, shop.merchant_id, person.subscriber_id, shop.clock.now(),
    )  # fmt: skip
    await decide(shop, await person.says("moui"), "accept")
    assert await shop.value("SELECT offers_state FROM subscriber") == "pending"
    assert await shop.value("SELECT count(*) FROM consent_question") == 1


async def test_what_the_person_says_plainly_afterwards_settles_a_reply_but_not_a_dispute(shop: Shop) -> None:
    person = await asked(shop)
    unclear = await person.says("hm")
    disputed = await person.says("c'est mon fils", outcome="disputed")
    await person.says("OK", label="accept", outcome="ordered")
    await person.says("AIDE", label="help")
    assert await inbox(shop) == [disputed]
    assert await inbox(shop, "settled") == [unclear]
    listed = await shop.caller.get("/v1/inbox?limit=1")
    assert ([each["id"] for each in listed.body["data"]], listed.body["has_more"]) == ([disputed], True)
    older = await shop.caller.get(f"/v1/inbox?limit=1&starting_after={disputed}")
    assert [each["id"] for each in older.body["data"]] == [unclear]


@pytest.mark.parametrize("said", [("NON", "decline", "declined"), ("OK", "accept", "ordered")])
async def test_what_the_person_has_settled_is_no_order_any_more_and_may_be_decided_otherwise(
    shop: Shop, said: tuple[str, str, str]
) -> None:
    """Somebody with an older list takes "hm" for an order: the last word is the person's."""
    person = await asked(shop, stock=5)
    reply = await person.says("hm")
    text, label, outcome = said
    await person.says(text, label=label, outcome=outcome)
    refused = await decide(shop, reply, "accept")
    assert (refused.status, refused.code) == (409, "settled_already")
    assert await shop.value("SELECT count(*) FROM orders") == 0
    assert await told(shop) == []
    assert await inbox(shop, "settled") == [reply]
    assert (await decide(shop, reply, "ignore")).status == 200


async def test_an_older_reply_is_no_no_to_what_the_person_has_ordered_since(shop: Shop) -> None:
    """Somebody with an older list declines "hm": the order came after it, and stands; a stop still stops."""
    person = await asked(shop, stock=5)
    reply = await person.says("hm")
    shop.clock.advance(60)
    made = await decide(shop, await person.says("oui oui"), "accept")
    await person.says("OK", label="accept", outcome="ordered", order=made.body["decision"]["order"])
    refused = await decide(shop, reply, "decline")
    assert (refused.status, refused.code) == (409, "settled_already")
    assert await shop.value("SELECT state FROM orders") == "placed"
    assert (await decide(shop, reply, "stop")).status == 200
    assert await shop.value("SELECT state FROM orders") == "placed"


async def test_an_order_from_before_a_reply_is_declined_by_it_whatever_the_person_said_since(
    shop: Shop,
) -> None:
    person = await asked(shop, stock=5)
    made = await decide(shop, await person.says("oui oui"), "accept")
    shop.clock.advance(60)
    reply = await person.says("hm")
    await person.says("OK", label="accept", outcome="repeated", order=made.body["decision"]["order"])
    assert (await decide(shop, reply, "decline")).status == 200
    assert await shop.value("SELECT state FROM orders") == "cancelled"


async def test_a_no_that_is_committed_while_a_person_decides_is_the_last_word(shop: Shop) -> None:
    person = await asked(shop, stock=5)
    reply = await person.says("hm")
    async with shop.database.bulk_transaction() as no:  # as a group of replies: its person is locked first
        await no.fetch("SELECT FROM subscriber WHERE subscriber_id = $1 FOR UPDATE", person.subscriber_id)
        deciding = asyncio.create_task(decide(shop, reply, "accept"))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        while not await shop.value(waiting):
            await asyncio.sleep(0.01)
        await no.execute(
            "INSERT INTO inbound_message SELECT (jsonb_populate_record(i, jsonb_build_object("
            "'inbound_id', $1::bigint, 'text', 'NON', 'label', 'decline', 'outcome', 'declined'))).* "
            "FROM inbound_message i",
            shop.next_id(),
        )
    assert (await deciding).code == "settled_already"
    assert await shop.value("SELECT count(*) FROM orders") == 0


@pytest.mark.parametrize("verdict", ["accept", "decline", "stop", "ignore"])
async def test_another_merchants_inbox_is_empty_and_its_replies_are_nobodys(shop: Shop, verdict: str) -> None:
    reply = await (await asked(shop)).says("hm")
    stranger = await shop.api.merchant()
    assert (await stranger.get("/v1/inbox")).body["data"] == []
    assert (await stranger.get(f"/v1/inbox/{reply}")).status == 404
    path = f"/v1/inbound_messages/{reply}/reclassify"
    assert (await stranger.post(path, {"verdict": verdict, **RULING})).status == 404
    assert (await shop.caller.get(f"/v1/inbox/{reply}")).body["state"] == "open"


async def test_a_reply_that_was_read_is_not_for_a_person_to_decide(shop: Shop) -> None:
    reply = await (await asked(shop)).says("OK", label="accept", outcome="ordered")
    assert (await decide(shop, reply, "stop")).status == 404
    refused = await decide(shop, await (await asked(shop)).says("hm"), "decline", quantity=2)
    assert (refused.status, refused.body["errors"][0]["pointer"]) == (422, "/quantity")


async def test_a_wish_that_came_too_late_is_in_the_inbox_and_a_person_may_grant_it(shop: Shop) -> None:
    person = await asked(shop, stock=5)
    first = await person.says("bah oui")
    order_id = (await decide(shop, first, "accept")).body["decision"]["order"]
    assert (await shop.caller.post(f"/v1/orders/{order_id}/confirm", {})).status == 200
    delivered = {"delivered_at": shop.clock.now().isoformat()}
    assert (await shop.caller.post(f"/v1/orders/{order_id}/fulfil", delivered)).status == 200
    shop.clock.advance(40 * 24 * 3600)
    late = await person.says("je me rétracte", outcome="cancel_requested", order=order_id)
    await person.says("alors?")
    assert late in await inbox(shop)  # what is said since does not settle it
    made = await decide(shop, late, "decline")
    assert (made.body["decision"]["outcome"], made.body["decision"]["order"]) == ("withdrawn", order_id)
    order = (await shop.caller.get(f"/v1/orders/{order_id}")).body
    assert order["state"] == "withdrawn"
    assert (await told(shop))[-1] == "order_withdrawn"
    assert late in await inbox(shop, "decided")


async def test_a_dispute_about_goods_that_came_which_a_person_grants_brings_no_stock_back(shop: Shop) -> None:
    person = await asked(shop, stock=5)
    order_id = (await decide(shop, await person.says("bah oui"), "accept")).body["decision"]["order"]
    assert (await shop.caller.post(f"/v1/orders/{order_id}/confirm", {})).status == 200
    delivered = {"delivered_at": shop.clock.now().isoformat()}
    assert (await shop.caller.post(f"/v1/orders/{order_id}/fulfil", delivered)).status == 200
    disputed = await person.says("c'est mon fils", outcome="disputed", order=order_id)
    await shop.execute("UPDATE orders SET state = 'disputed'")
    assert (await decide(shop, disputed, "decline")).body["decision"]["outcome"] == "withdrawn"
    assert await shop.value("SELECT stock_remaining FROM offer") == 4


async def test_a_case_whose_text_is_out_of_retention_waits_no_more(shop: Shop, database: Database) -> None:
    person = await asked(shop)
    reply = await person.says("euh")
    assert await inbox(shop) == [reply]
    keeper = PgHousekeeping(database, SuppressionHashes(bytes(32)), PublicIds(bytes(32)))
    await keeper.delete_older("reply_text", shop.clock.now() + timedelta(hours=1), 10)
    assert await inbox(shop) == []
