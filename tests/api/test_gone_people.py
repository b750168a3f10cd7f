"""A person's data by the number: of whom time removed, and of whoever never was a subscriber."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from smsgate.flows.person_requests import PersonRequests
from smsgate.flows.ports_privacy import OfNumber
from smsgate.security.public_ids import Kind
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.pool import Database
from smsgate.store.privacy import PgPrivacy
from smsgate.store.suppression import LOCK_KEY
from tests.api.api_server import HASHES, Answer
from tests.api.commerce_setup import SENDER, Shop
from tests.api.test_privacy import MSISDN, OTHER, a_history, a_person, tables_that_know
from tests.flows.world import PUBLIC_IDS, eventually
from tests.store.test_consent_crossings import WAITING

NUMBER = f"+{MSISDN}"


async def a_person_whom_time_removed(shop: Shop, database: Database) -> dict[str, Any]:
    """Have somebody with a past leave by the merchant's rule of retention."""
    person = await a_person(shop)
    await a_history(shop, person)
    await shop.execute("UPDATE subscriber SET offers_state = 'unsubscribed'")
    housekeeping = PgHousekeeping(database, HASHES, PUBLIC_IDS)
    assert await housekeeping.delete_older("person", shop.clock.now() + timedelta(days=1), 10) == 1
    assert (await shop.caller.get(f"/v1/subscribers/{person['id']}")).status == 404
    return person


async def ask(shop: Shop, kind: str, **whom: str) -> Answer:
    return await shop.caller.post("/v1/data_requests", {"kind": kind, **whom})


async def test_who_was_removed_by_time_is_handed_out_by_the_number_that_is_still_kept(
    shop: Shop, database: Database
) -> None:
    person = await a_person_whom_time_removed(shop, database)
    made = await ask(shop, "access", msisdn=NUMBER)
    assert made.status == 201, made
    counts = {name: len(records) for name, records in made.body["file"].items()}
    assert counts == {
        "subscriber": 0, "consents": 1, "consent_states": 0, "messages": 2, "inbound_messages": 1,
        "orders": 1, "order_messages": 0, "open_offers": 1, "sender_stops": 1,
    }  # fmt: skip
    assert made.body["subscriber"] == person["id"]
    assert (await shop.caller.get("/v1/data_requests")).body["data"][0]["subscriber"] == person["id"]


async def test_who_was_removed_by_time_is_erased_by_the_number_that_is_still_kept(
    shop: Shop, database: Database
) -> None:
    person = await a_person_whom_time_removed(shop, database)
    neighbour = await a_person(shop, OTHER)
    assert len(await tables_that_know(database, MSISDN)) >= 8
    made = await ask(shop, "erasure", msisdn=NUMBER)
    assert (made.status, made.body["subscriber"], made.body["state"]) == (201, person["id"], "done")
    assert await tables_that_know(database, MSISDN) == {}
    assert await shop.value("SELECT count(*) FROM person_gone") == 0
    subscriber_id = shop.id_of(Kind.SUBSCRIBER, person["id"])
    evidence = "SELECT DISTINCT evidence::text FROM consent_event WHERE subscriber_id = $1"
    assert [row["evidence"] for row in await shop.fetch(evidence, subscriber_id)] == ["{}"]
    refused = await shop.caller.post("/v1/subscribers", {"msisdn": NUMBER})
    assert (refused.status, refused.code) == (409, "suppressed")
    assert (await shop.caller.get(f"/v1/subscribers/{neighbour['id']}")).status == 200
    assert (await ask(shop, "erasure", msisdn=NUMBER)).status == 404  # nothing is left


async def test_who_was_removed_by_time_is_erased_after_a_neighbour_in_the_campaign_was(
    shop: Shop, database: Database
) -> None:
    """A chunk's bounds are what its messages are found by: they move to nobody who is a subscriber alone."""
    gone, neighbour = await a_person(shop), await a_person(shop, OTHER)
    base, campaign_id = shop.api.context.ids.block(2), shop.next_id()
    people = [shop.id_of(Kind.SUBSCRIBER, each["id"]) for each in (gone, neighbour)]
    await shop.execute(
        "INSERT INTO message (merchant_id, message_id, campaign_id, subscriber_id, msisdn, kind, sender) "
        "SELECT $1, $2::bigint + n - 1, $3, ($4::bigint[])[n], ($5::bigint[])[n], 'offer', $6 "
        "FROM generate_series(1, 2) AS n",
        shop.merchant_id, base, campaign_id, people, [MSISDN, OTHER], SENDER,
    )  # fmt: skip
    await shop.execute(
        "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, "
        "message_id_base, message_count, state) VALUES ($1, $2, 1, $3, $4, 2, $5, 2, 'done')",
        shop.merchant_id, campaign_id, min(MSISDN, OTHER), max(MSISDN, OTHER), base,
    )  # fmt: skip
    await shop.execute("UPDATE subscriber SET offers_state = 'unsubscribed' WHERE msisdn = $1", MSISDN)
    housekeeping = PgHousekeeping(database, HASHES, PUBLIC_IDS)
    assert await housekeeping.delete_older("person", shop.clock.now() + timedelta(days=1), 10) == 1
    assert (await ask(shop, "erasure", subscriber=neighbour["id"])).status == 201
    made = await ask(shop, "erasure", msisdn=NUMBER)
    assert (made.status, made.body["subscriber"], made.body["state"]) == (201, gone["id"], "done")
    for number in (MSISDN, OTHER):
        assert await tables_that_know(database, number) == {}


async def test_a_number_that_only_wrote_is_erased_under_nobodys_id(shop: Shop, database: Database) -> None:
    await shop.execute(
        "INSERT INTO inbound_message (merchant_id, inbound_id, carrier_id, msisdn, destination, text, raw, "
        "data_coding, label, outcome, reason, rules_version, received_at) "
        "VALUES ($1, $2, 1, $3, $4, 'call me', 'x', 0, 'unclear', 'asked', '', '', $5)",
        shop.merchant_id, shop.next_id(), MSISDN, SENDER, shop.clock.now(),
    )  # fmt: skip
    made = await ask(shop, "access", msisdn=NUMBER)
    assert (made.body["records"], made.body["subscriber"]) == (1, None)
    made = await ask(shop, "erasure", msisdn=NUMBER)
    assert (made.status, made.body["subscriber"]) == (201, None)
    assert await tables_that_know(database, MSISDN) == {}


@pytest.mark.parametrize("kind", ["access", "erasure"])
async def test_a_number_that_nothing_is_kept_of_is_nobodys_and_is_not_kept_out(shop: Shop, kind: str) -> None:
    await a_person(shop)
    stranger = await shop.api.merchant()
    made = await stranger.post("/v1/data_requests", {"kind": kind, "msisdn": NUMBER})
    assert (made.status, made.code) == (404, "not_found")
    assert (await stranger.post("/v1/subscribers", {"msisdn": NUMBER})).status == 201
    assert (await shop.caller.get(f"/v1/subscribers?msisdn=%2B{MSISDN}")).body["data"]


async def test_the_number_of_a_subscriber_means_the_subscriber(shop: Shop, database: Database) -> None:
    person = await a_person(shop)
    made = await ask(shop, "access", msisdn="+33 6 39 98 00 01")
    assert made.body["subscriber"] == person["id"]
    assert len(made.body["file"]["subscriber"]) == 1
    made = await ask(shop, "erasure", msisdn=NUMBER)
    assert (made.status, made.body["subscriber"]) == (201, person["id"])
    assert await tables_that_know(database, MSISDN) == {}


@pytest.mark.parametrize(
    ("whom", "code"),
    [
        ({}, "invalid"),
        ({"subscriber": "sub_x", "msisdn": NUMBER}, "invalid"),
        ({"msisdn": "12"}, "msisdn_invalid"),
    ],
)
async def test_a_data_request_names_a_subscriber_or_a_number(
    shop: Shop, whom: dict[str, str], code: str
) -> None:
    refused = await ask(shop, "erasure", **whom)
    assert (refused.status, refused.code) == (422, code)


async def test_a_number_that_is_added_while_it_is_erased_is_erased_with_its_new_row(
    shop: Shop, database: Database
) -> None:
    await a_person_whom_time_removed(shop, database)
    async with database.bulk_transaction() as connection:
        await connection.execute(
            "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country) "
            "VALUES ($1, $2, $3, 'fr', 'FR')",
            shop.merchant_id, shop.next_id(), MSISDN,
        )  # fmt: skip
        await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", LOCK_KEY)  # and finds no hash
        erasing = asyncio.create_task(ask(shop, "erasure", msisdn=NUMBER))
        await eventually(lambda: shop.value(WAITING))
    made = await erasing
    assert made.status == 201, made
    assert await tables_that_know(database, MSISDN) == {}
    assert await shop.value("SELECT count(*) FROM subscriber") == 0


async def test_an_erasure_by_number_that_waits_for_an_order_keeps_no_merchant_from_adding_people(
    shop: Shop, database: Database
) -> None:
    await a_person_whom_time_removed(shop, database)
    stranger = await shop.api.merchant()
    async with database.bulk_transaction() as connection:
        await connection.fetch("SELECT FROM orders FOR UPDATE")
        erasing = asyncio.create_task(ask(shop, "erasure", msisdn=NUMBER))
        await eventually(lambda: shop.value(WAITING))
        added = await stranger.post("/v1/subscribers", {"msisdn": f"+{OTHER}"})
        assert added.status == 201, added
        refused = await shop.caller.post("/v1/subscribers", {"msisdn": NUMBER})
        assert (refused.status, refused.code) == (409, "suppressed")
    assert (await erasing).status == 201
    assert await tables_that_know(database, MSISDN) == {}


async def test_an_erasure_by_number_that_is_cut_off_keeps_the_number_out_and_is_done_when_repeated(
    shop: Shop, database: Database
) -> None:
    await a_person_whom_time_removed(shop, database)
    context = shop.api.context
    assert isinstance(context.privacy, PgPrivacy)
    requests = PersonRequests(context.privacy, None, context.stops, context.ids, context.clock)
    async with database.bulk_transaction() as connection:
        await connection.fetch("SELECT FROM orders FOR UPDATE")
        erasing = asyncio.create_task(requests.erase(shop.merchant_id, OfNumber(MSISDN)))
        await eventually(lambda: shop.value(WAITING))
        erasing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await erasing
    assert len(await tables_that_know(database, MSISDN)) >= 8
    refused = await shop.caller.post("/v1/subscribers", {"msisdn": NUMBER})
    assert (refused.status, refused.code) == (409, "suppressed")
    made = await ask(shop, "erasure", msisdn=NUMBER)
    assert (made.status, made.body["state"]) == (201, "done")
    assert await tables_that_know(database, MSISDN) == {}


async def who_came_back(shop: Shop, database: Database) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have somebody whom time removed agree anew; return the person of before, and of now."""
    before = await a_person_whom_time_removed(shop, database)
    added = await shop.caller.post("/v1/subscribers", {"msisdn": NUMBER})
    assert added.status == 201, added
    shop.clock.advance(60)
    agreed = {
        "subscriber": added.body["id"], "purpose": "polls", "event": "granted", "wording_version": "w2",
        "source": "form", "evidence": {"ip": "192.0.2.7"}, "occurred_at": shop.clock.now().isoformat(),
    }  # fmt: skip
    consented = await shop.caller.post("/v1/consents", agreed)
    assert consented.status == 201, consented
    return before, dict(added.body)


@pytest.mark.parametrize("by", ["subscriber", "msisdn"])
async def test_who_came_back_after_time_had_removed_them_is_erased_with_what_was_left_of_before(
    shop: Shop, database: Database, by: str
) -> None:
    before, now = await who_came_back(shop, database)
    made = await ask(shop, "erasure", **{by: now["id"] if by == "subscriber" else NUMBER})
    assert (made.status, made.body["subscriber"]) == (201, now["id"])
    assert await shop.value("SELECT count(*) FROM person_gone") == 0
    ids = [shop.id_of(Kind.SUBSCRIBER, person["id"]) for person in (before, now)]
    evidence = await shop.fetch("SELECT subscriber_id, evidence::text FROM consent_event")
    assert {tuple(row) for row in evidence} == {(id_, "{}") for id_ in ids}
    assert await tables_that_know(database, MSISDN) == {}


@pytest.mark.parametrize("by", ["subscriber", "msisdn"])
async def test_who_came_back_after_time_had_removed_them_is_handed_out_with_the_consents_of_before(
    shop: Shop, database: Database, by: str
) -> None:
    before, now = await who_came_back(shop, database)
    made = await ask(shop, "access", **{by: now["id"] if by == "subscriber" else NUMBER})
    assert (made.status, made.body["subscriber"]) == (201, now["id"])
    ids = [shop.id_of(Kind.SUBSCRIBER, person["id"]) for person in (before, now)]
    assert [each["subscriber_id"] for each in made.body["file"]["consents"]] == ids
