"""A person's data: the file of all records, erasure down to the last table, and numbers that stay out."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import encode_body
from smsgate.protocol.tlvs import Tag, encode_tlvs
from smsgate.security.public_ids import Kind
from smsgate.store.pool import Database
from smsgate.store.privacy import erasures_of
from smsgate.store.roles import ADMIN
from tests.api.commerce_setup import SENDER, Shop
from tests.flows.world import eventually
from tests.store.test_consent_crossings import WAITING

MSISDN = 33_639_980_001
OTHER = 33_639_980_002
NDJSON = {"Content-Type": "application/x-ndjson"}


async def a_person(shop: Shop, number: int = MSISDN) -> dict[str, Any]:
    """Import somebody with consent, as shops do."""
    row = {
        "msisdn": f"+{number}", "consent_at": "2026-11-01T09:30:00Z", "consent_source": "form",
        "wording_version": "w1", "fields": {"first_name": "Anne"},
    }  # fmt: skip
    job = await shop.caller.post(
        "/v1/imports", data=_line(row), headers={"Content-Type": "application/x-ndjson"}
    )
    assert job.body["rows_ok"] == 1, job
    found = await shop.caller.get(f"/v1/subscribers?msisdn=%2B{number}")
    person: dict[str, Any] = found.body["data"][0]
    return person


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"


async def a_history(shop: Shop, person: dict[str, Any], number: int = MSISDN) -> None:
    """Have an offer, an order, a reply, a text of the gateway, an event and a cap's row know the number."""
    subscriber_id = shop.id_of(Kind.SUBSCRIBER, person["id"])
    campaign = await shop.campaign({"subscribers": [person["id"]]})
    campaign_id = shop.id_of(Kind.CAMPAIGN, campaign["id"])
    order = await shop.order(campaign, subscriber_id)
    assert order
    now = shop.clock.now()
    await shop.execute("UPDATE orders SET msisdn = $1", number)
    await shop.execute_as_owner(f"UPDATE message SET msisdn = {number}, fields = '{{Anne}}'")
    message_id = await shop.value("SELECT min(message_id) FROM message")
    await shop.execute(
        "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, "
        "message_id_base, message_count, state) VALUES ($1, $2, 1, $3, $3, 1, $4, 1, 'done')",
        shop.merchant_id, campaign_id, number, message_id,
    )  # fmt: skip
    await shop.execute(
        "INSERT INTO message "
        "(merchant_id, message_id, subscriber_id, msisdn, kind, sender, body, push, tlvs) "
        "VALUES ($1, $2, $3, $4, 'transaction', $5, 'Anne https://bxm.fr/anne', 'https://bxm.fr/anne', $6)",
        shop.merchant_id, shop.next_id(), subscriber_id, number, SENDER,
        b"\x14\x01\x00\x0b" + str(number).encode(),
    )  # fmt: skip
    await shop.execute(
        "INSERT INTO inbound_message (merchant_id, inbound_id, carrier_id, msisdn, destination, text, raw, "
        "data_coding, label, outcome, reason, rules_version, received_at) "
        "VALUES ($1, $2, 1, $3, $4, 'OK pour Anne', 'OK pour Anne', 0, 'accept', 'ordered', 'x', 'y', $5)",
        shop.merchant_id, shop.next_id(), number, SENDER, now,
    )  # fmt: skip
    await shop.execute(
        "INSERT INTO event (merchant_id, event_id, type, subject, data, created_at) "
        "VALUES ($1, $2, 'inbound.received', 'inb_x', jsonb_build_object('msisdn', '+' || $3::bigint), $4)",
        shop.merchant_id, shop.next_id(), number, now,
    )  # fmt: skip
    await shop.execute(
        "INSERT INTO open_offer VALUES ($1, $2, $3, $4, $5, 1, 1, $6, $7)",
        number, SENDER, shop.merchant_id, campaign_id, message_id, subscriber_id, now + timedelta(hours=1),
    )  # fmt: skip
    await shop.execute(
        "INSERT INTO sender_stop VALUES ($1, $2, $3, $4)", shop.merchant_id, SENDER, number, now
    )
    await shop.execute(
        "INSERT INTO marketing_contact VALUES ($1, ARRAY[$2::bigint], ARRAY[$3::timestamptz], $3)",
        number, shop.merchant_id, now,
    )  # fmt: skip
    await shop.execute("INSERT INTO answer_count VALUES ($1, $2, 1)", number, now)


async def tables_that_know(database: Database, number: int) -> dict[str, int]:
    """Search every row of every table for a number, as text and as octets."""
    found: dict[str, int] = {}
    connection = await database.connect(ADMIN)
    try:
        names = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        for name in (row["relname"] for row in names):
            search = f"SELECT count(*) FROM {name} AS t WHERE t::text LIKE $1 OR t::text LIKE $2"
            octets = str(number).encode().hex()
            if count := await connection.fetchval(search, f"%{number}%", f"%{octets}%"):
                found[name] = count
    finally:
        await connection.close()
    return found


async def test_a_bound_that_was_an_erased_persons_number_becomes_the_next_persons(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    await a_person(shop, OTHER)
    await shop.execute(
        "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size) "
        "SELECT $1, 5, n, lo, hi, 2 FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY AS t (lo, hi, n)",
        shop.merchant_id, [MSISDN, MSISDN - 5, MSISDN], [OTHER, MSISDN, MSISDN],
    )  # fmt: skip
    made = await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    assert made.status == 201, made
    assert await tables_that_know(database, MSISDN) == {}
    bounds = await shop.fetch("SELECT msisdn_lo, msisdn_hi FROM campaign_chunk ORDER BY no")
    assert [tuple(row) for row in bounds] == [(OTHER, OTHER), (0, 0), (0, 0)]


async def test_an_access_hands_out_every_record_of_a_person_as_one_file(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    await a_history(shop, person)
    made = await shop.caller.post("/v1/data_requests", {"kind": "access", "subscriber": person["id"]})
    assert made.status == 201, made
    file = made.body["file"]
    counts = {name: len(records) for name, records in file.items()}
    assert counts == {
        "subscriber": 1, "consents": 1, "consent_states": 0, "messages": 2, "inbound_messages": 1,
        "orders": 1, "order_messages": 0, "open_offers": 1, "sender_stops": 1,
    }  # fmt: skip
    assert made.body["records"] == sum(counts.values())
    assert file["consents"][0]["wording_version"] == "w1"
    assert file["inbound_messages"][0]["text"] == "OK pour Anne"
    assert file["orders"][0]["steps"]
    assert {each["msisdn"] for each in file["messages"]} == {MSISDN}
    known = set(await tables_that_know(database, MSISDN))
    assert known <= {
        "subscriber", "consent_event", "message", "inbound_message", "orders", "open_offer", "sender_stop",
        "event", "marketing_contact", "answer_count", "idempotency_key",
        "campaign_chunk",  # as the bound of a range
    }  # fmt: skip


async def submitted(shop: Shop, fields: dict[str, Any], tlvs: bytes = b"") -> int:
    """Have an ESME of the merchant have written to the number."""
    message_id = shop.next_id()
    await shop.execute(
        "INSERT INTO message (merchant_id, message_id, msisdn, kind, sender) VALUES ($1, $2, $3, 'esme', $4)",
        shop.merchant_id, message_id, MSISDN, SENDER,
    )  # fmt: skip
    await shop.execute(
        "INSERT INTO esme_message VALUES ($1, $2, 5, 1, 1, $3)",
        shop.merchant_id, message_id, encode_body(CommandId.SUBMIT_SM, fields) + tlvs,
    )  # fmt: skip
    return message_id


async def test_an_access_hands_out_what_esmes_wrote_to_the_person_as_text_where_it_is_one(
    shop: Shop,
) -> None:
    person = await a_person(shop)
    long = "Anne, your parcel" * 20
    texts = {
        await submitted(shop, {"short_message": "Code: 1234 €".encode("utf-16-be"), "data_coding": 8}): (
            "Code: 1234 €"
        ),
        await submitted(shop, {}, encode_tlvs([(Tag.MESSAGE_PAYLOAD, long.encode())])): long,
        await submitted(shop, {"short_message": b"\x01\xff", "data_coding": 4}): None,
    }
    await queued(shop, MSISDN)
    made = await shop.caller.post("/v1/data_requests", {"kind": "access", "subscriber": person["id"]})
    assert made.status == 201, made
    by_id = {each["message_id"]: each for each in made.body["file"]["messages"]}
    assert {message_id: by_id[message_id]["body"] for message_id in texts} == texts
    octets = [each["submitted"] for each in by_id.values() if "submitted" in each]
    assert octets == [
        encode_body(CommandId.SUBMIT_SM, {"short_message": b"\x01\xff", "data_coding": 4}).hex()
    ]
    assert "Boxman: contact" in {each["body"] for each in by_id.values()}


async def test_an_erasure_leaves_the_number_in_no_table_and_the_order_with_a_pseudonym(
    shop: Shop, database: Database
) -> None:
    person, neighbour = await a_person(shop), await a_person(shop, OTHER)
    await a_history(shop, person)
    before = await tables_that_know(database, MSISDN)
    assert len(before) >= 8
    neighbours = await tables_that_know(database, OTHER)
    made = await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    assert made.status == 201, made
    assert await tables_that_know(database, MSISDN) == {}
    assert await tables_that_know(database, OTHER) == neighbours
    subscriber_id = shop.id_of(Kind.SUBSCRIBER, person["id"])
    assert await shop.value("SELECT subscriber_id FROM orders") == subscriber_id
    assert (
        await shop.value("SELECT count(*) FROM message WHERE num_nonnulls(fields, push) > 0 OR body <> ''")
        == 0
    )
    assert await shop.value("SELECT count(*) FROM inbound_message WHERE text <> '' OR raw <> ''") == 0
    gone = await shop.caller.get(f"/v1/subscribers/{person['id']}")
    assert gone.status == 404
    assert (await shop.caller.get(f"/v1/subscribers/{neighbour['id']}")).status == 200
    listed = await shop.caller.get("/v1/data_requests")
    assert [(each["kind"], each["subscriber"]) for each in listed.body["data"]] == [("erasure", person["id"])]
    assert MSISDN in shop.api.context.stops.held(shop.merchant_id)


async def queued(shop: Shop, number: int, account_id: int = 0) -> int:
    """Have a text of the gateway, or of an ESME, wait for its turn."""
    message_id = shop.next_id()
    await shop.execute(
        "INSERT INTO message (merchant_id, message_id, msisdn, kind, sender, body) "
        "VALUES ($1, $2, $3, 'help', $4, 'Boxman: contact')",
        shop.merchant_id, message_id, number, SENDER,
    )  # fmt: skip
    await shop.execute(
        "INSERT INTO interactive_queue VALUES ($1, $2, $3, NULL, $4)",
        shop.merchant_id, message_id, shop.clock.now() + timedelta(hours=1), account_id,
    )  # fmt: skip
    if account_id:
        await shop.execute(
            "INSERT INTO esme_message VALUES ($1, $2, $3, 1, 2, $4)",
            shop.merchant_id, message_id, account_id, b"\x00" + str(number).encode() + b"\x00",
        )  # fmt: skip
    return message_id


async def test_what_waits_for_an_erased_person_is_not_sent_and_says_so(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    own, esmes, neighbours = (
        await queued(shop, MSISDN), await queued(shop, MSISDN, 5), await queued(shop, OTHER)
    )  # fmt: skip
    await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    assert await tables_that_know(database, MSISDN) == {}
    assert await shop.value("SELECT message_id FROM interactive_queue") == neighbours
    rows = await shop.fetch("SELECT message_id, status, segments, reason FROM sent ORDER BY message_id")
    assert [tuple(row) for row in rows] == [(own, -2, 1, "erased"), (esmes, -2, 2, "erased")]
    for message_id in (own, esmes):
        read = await shop.caller.get(f"/v1/messages/{shop.public(Kind.MESSAGE, message_id)}")
        assert (read.body["state"], read.body["why"]["reason"]) == ("not_sent", "erased")
        assert read.body["text"] == ""
    assert len((await shop.caller.get("/v1/messages")).body["data"]) == 3


async def test_an_erased_buyers_order_goes_on_without_a_text_to_anybody(shop: Shop) -> None:
    person = await a_person(shop)
    campaign = await shop.campaign({"subscribers": [person["id"]]})
    order = await shop.order(campaign, shop.id_of(Kind.SUBSCRIBER, person["id"]))
    await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    rejected = await shop.caller.post(f"/v1/orders/{order}/reject", {"reason": "no stock"})
    assert rejected.status == 200, rejected
    assert await shop.value("SELECT count(*) FROM interactive_queue") == 0
    assert await shop.value("SELECT count(*) FROM message WHERE campaign_id IS NULL") == 0


async def test_a_change_of_an_order_that_waits_for_an_erasure_says_nothing(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    campaign = await shop.campaign({"subscribers": [person["id"]]})
    order = await shop.order(campaign, shop.id_of(Kind.SUBSCRIBER, person["id"]))
    async with database.bulk_transaction() as connection:
        await connection.execute("SELECT FROM orders FOR UPDATE")
        # Both have read the order; who comes first is the database's to say.
        erasing = asyncio.create_task(
            shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
        )
        await eventually(lambda: _waiting(shop, 1))
        rejecting = asyncio.create_task(shop.caller.post(f"/v1/orders/{order}/reject", {"reason": "none"}))
        await eventually(lambda: _waiting(shop, 2))
    assert (await erasing).status == 201
    assert (await rejecting).status == 200
    assert "event" not in await tables_that_know(database, MSISDN)
    assert await shop.value("SELECT count(*) FROM message WHERE campaign_id IS NULL AND msisdn <> 0") == 0
    assert await shop.value("SELECT count(*) FROM interactive_queue") == 0


async def _waiting(shop: Shop, count: int) -> bool:
    waiting = await shop.value(WAITING)
    return bool(waiting == count)


async def test_a_claim_that_crosses_an_erasure_leaves_no_number_behind(
    shop: Shop, database: Database
) -> None:
    """It chose the person before, and commits what it wrote after."""
    person = await a_person(shop)
    subscriber_id, message_id = shop.id_of(Kind.SUBSCRIBER, person["id"]), shop.next_id()
    async with database.bulk_transaction() as connection:
        await connection.execute(
            "INSERT INTO message (merchant_id, message_id, campaign_id, subscriber_id, msisdn, kind, sender) "
            "VALUES ($1, $2, 5, $3, $4, 'offer', $5)",
            shop.merchant_id, message_id, subscriber_id, MSISDN, SENDER,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, "
            "message_id_base, message_count, state) VALUES ($1, 5, 1, $2, $2, 1, $3, 1, 'claimed')",
            shop.merchant_id, MSISDN, message_id,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO open_offer VALUES ($1, $2, $3, 5, $4, 1, 1, $5, $6)",
            MSISDN, SENDER, shop.merchant_id, message_id, subscriber_id,
            shop.clock.now() + timedelta(hours=1),
        )  # fmt: skip
        erasing = asyncio.create_task(
            shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
        )
        await eventually(lambda: shop.value("SELECT count(*) FROM suppression"))  # its first part is done
        assert not erasing.done()
    assert (await erasing).status == 201
    assert await tables_that_know(database, MSISDN) == {}


async def test_an_erasure_leaves_alone_a_number_that_begins_with_the_same_digits(
    shop: Shop, database: Database
) -> None:
    longer = MSISDN * 10 + 7
    person = await a_person(shop)
    for number in (longer, MSISDN):
        await shop.execute(
            "INSERT INTO event (merchant_id, event_id, type, subject, data, created_at) VALUES "
            "($1, $2, 'inbound.received', 'inb_x', jsonb_build_object('msisdn', '+' || $3::bigint, "
            "'text', ($3::bigint)::text), $4)",
            shop.merchant_id, shop.next_id(), number, shop.clock.now(),
        )  # fmt: skip
        await shop.execute(
            "INSERT INTO idempotency_key VALUES ($1, $2, $3, 200, $4)",
            shop.merchant_id, f"key {number % 10}", bytes(32), b'{"msisdn":"+%d"}' % number,
        )  # fmt: skip
        await shop.execute(
            "INSERT INTO esme_delivery (merchant_id, delivery_id, account_id, body, happened_at, next_at, "
            "expires_at) VALUES ($1, $2, 5, $3, now(), now(), now())",
            shop.merchant_id, shop.next_id(), b"\x00\x01\x01" + str(number).encode() + b"\x00\x31",
        )  # fmt: skip
    await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    assert await tables_that_know(database, longer) == {
        "idempotency_key": 1, "event": 1, "esme_delivery": 1,
    }  # fmt: skip
    texts = await shop.fetch(
        "SELECT data->>'msisdn' AS msisdn, data->>'text' AS text FROM event WHERE type = 'inbound.received' "
        "ORDER BY event_id"
    )
    assert [tuple(row) for row in texts] == [(f"+{longer}", str(longer)), ("erased", "")]
    assert await shop.value("SELECT count(*) FROM idempotency_key") == 1
    assert await shop.value("SELECT count(*) FROM esme_delivery") == 1


async def test_the_hash_that_an_erasure_leaves_keeps_the_number_out_of_that_merchant_alone(
    shop: Shop,
) -> None:
    person = await a_person(shop)
    await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    made = await shop.caller.post("/v1/subscribers", {"msisdn": f"+{MSISDN}"})
    assert (made.status, made.code) == (409, "suppressed")
    row = {
        "msisdn": f"+{MSISDN}", "consent_at": "2026-11-02T09:30:00Z", "consent_source": "form",
        "wording_version": "w1",
    }  # fmt: skip
    job = await shop.caller.post(
        "/v1/imports", data=_line(row), headers={"Content-Type": "application/x-ndjson"}
    )
    assert (job.body["rows_ok"], job.body["rows_failed"]) == (0, 1)
    errors = await shop.caller.get(f"/v1/imports/{job.body['id']}/errors")
    assert errors.body["data"][0]["code"] == "suppressed"
    assert str(MSISDN) not in str(errors.body)
    asked = await shop.caller.get(f"/v1/suppressions?msisdn=%2B{MSISDN}")
    assert (asked.body["suppressed"], asked.body["reason"]) == (True, "erased")
    stranger = await shop.api.merchant()
    asked = await stranger.get(f"/v1/suppressions?msisdn=%2B{MSISDN}")
    assert (asked.body["suppressed"], asked.body["reason"]) == (False, None)
    assert (await stranger.post("/v1/subscribers", {"msisdn": f"+{MSISDN}"})).status == 201


async def test_the_operator_blocks_a_number_for_every_merchant(shop: Shop) -> None:
    person = await a_person(shop)
    block = {"msisdn": f"+{MSISDN}", "reason": "complaint"}
    assert (await shop.caller.post("/v1/suppressions", block)).status == 403
    made = await shop.api.operator.post("/v1/suppressions", block)
    assert made.status == 201, made
    read = await shop.caller.get(f"/v1/subscribers/{person['id']}")
    assert read.body["offers_state"] == "blocked"
    log = await shop.fetch("SELECT event, state_after FROM consent_event ORDER BY consent_id")
    assert [tuple(row) for row in log] == [("import", "subscribed"), ("complaint", "blocked")]
    assert MSISDN in shop.api.context.stops.held(shop.merchant_id)
    stranger = await shop.api.merchant()
    refused = await stranger.post("/v1/subscribers", {"msisdn": f"+{MSISDN}"})
    assert (refused.status, refused.code) == (409, "suppressed")
    checked = await stranger.post("/v1/suppressions/check", {"msisdns": [f"+{MSISDN}", f"+{OTHER}"]})
    assert [each["suppressed"] for each in checked.body["data"]] == [True, False]


async def test_an_erasure_takes_texts_along_that_concerned_no_merchant(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    for msisdn in (MSISDN, OTHER):
        await shop.execute(
            "INSERT INTO inbound_message (merchant_id, inbound_id, carrier_id, msisdn, destination, text, "
            "raw, data_coding, label, outcome, reason, rules_version, received_at) "
            "VALUES (0, $1, 1, $2, '36111', 'call me at home', 'x', 0, 'unclear', 'nobody', '', '', $3)",
            shop.next_id(), msisdn, shop.clock.now(),
        )  # fmt: skip
    await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    assert await tables_that_know(database, MSISDN) == {}
    rows = await shop.fetch("SELECT msisdn, text, raw FROM inbound_message ORDER BY msisdn")
    assert [tuple(row) for row in rows] == [(0, "", b""), (OTHER, "call me at home", b"x")]


WHY = {"decided_by": "Anne", "reason": "it was a joke, the person called"}


async def test_a_merchant_lifts_its_own_block_and_no_other(shop: Shop) -> None:
    person = await a_person(shop)
    lift = f"/v1/subscribers/{person['id']}/unblock"
    assert (await shop.caller.post(lift, WHY)).status == 404  # nothing is blocked
    block = {"msisdn": f"+{MSISDN}", "reason": "complaint"}
    await shop.api.operator.post("/v1/suppressions", block)
    stranger = await shop.api.merchant()
    assert (await stranger.post(lift, WHY)).status == 404
    assert (await shop.caller.post(lift, {"decided_by": "Anne", "reason": ""})).status == 422
    shop.clock.advance(1)
    assert (await shop.caller.post(lift, WHY)).status == 200
    read = await shop.caller.get(f"/v1/subscribers/{person['id']}")
    assert read.body["offers_state"] == "unsubscribed"  # only the person begins again
    sql = (
        "SELECT event, source, evidence->>'reason' AS why, evidence->>'decided_by' AS who FROM consent_event"
    )
    proof = await shop.fetch(f"{sql} ORDER BY consent_id DESC LIMIT 1")
    assert tuple(proof[0]) == ("unblock", "human", WHY["reason"], "Anne")
    asked = f"/v1/suppressions?msisdn=%2B{MSISDN}"
    assert [(await each.get(asked)).body["suppressed"] for each in (shop.caller, stranger)] == [False, True]
    await shop.api.operator.post("/v1/suppressions", block)  # a new complaint is a new block
    assert (await shop.caller.get(asked)).body["suppressed"]
    await shop.api.operator.post("/v1/suppressions", {**block, "reason": "carrier"})
    refused = await shop.caller.post(lift, WHY)
    assert (refused.status, refused.code) == (409, "blocked_by_carrier")


async def test_the_operator_lifts_a_block_for_every_merchant_and_no_erasure(shop: Shop) -> None:
    person = await a_person(shop)
    await shop.api.operator.post("/v1/suppressions", {"msisdn": f"+{MSISDN}", "reason": "death"})
    lift = {"msisdn": f"+{MSISDN}", **WHY}
    assert (await shop.caller.post("/v1/suppressions/lift", lift)).status == 403
    assert (await shop.api.operator.post("/v1/suppressions/lift", lift)).status == 200
    read = await shop.caller.get(f"/v1/subscribers/{person['id']}")
    assert read.body["offers_state"] == "unsubscribed"
    stranger = await shop.api.merchant()
    assert (await stranger.post("/v1/subscribers", {"msisdn": f"+{MSISDN}"})).status == 201
    kept = await shop.fetch("SELECT lifted_by, reason FROM suppression_lift")
    assert [tuple(row) for row in kept] == [("Anne", WHY["reason"])]
    assert (await shop.api.operator.post("/v1/suppressions/lift", lift)).status == 404
    await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    assert (await shop.api.operator.post("/v1/suppressions/lift", lift)).status == 404
    assert (await shop.caller.get(f"/v1/suppressions?msisdn=%2B{MSISDN}")).body["reason"] == "erased"


@pytest.mark.parametrize("kind", ["access", "erasure"])
async def test_another_merchants_person_is_nobody(shop: Shop, kind: str) -> None:
    person = await a_person(shop)
    stranger = await shop.api.merchant()
    made = await stranger.post("/v1/data_requests", {"kind": kind, "subscriber": person["id"]})
    assert made.status == 404
    assert (await shop.caller.get(f"/v1/subscribers/{person['id']}")).status == 200


async def test_the_count_of_erasures_never_comes_again_also_when_old_requests_are_out_of_retention(
    shop: Shop, database: Database
) -> None:
    """A file of usage is made anew when it differs: one from before an erasure is handed out no more."""
    seen = [await erasures_of(database, shop.merchant_id)]
    for number in (MSISDN, OTHER):
        person = await a_person(shop, number)
        await shop.execute_as_owner("DELETE FROM data_request")
        await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
        seen.append(await erasures_of(database, shop.merchant_id))
    assert len(set(seen)) == 3
