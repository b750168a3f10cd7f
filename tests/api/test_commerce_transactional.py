"""POST /v1/messages: a merchant's transactional text to one of its people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smsgate.flows.long_texts import PARTS_MAX
from smsgate.security.public_ids import Kind
from smsgate.store.portability import PgPortability, PortedRows
from tests.api.commerce_setup import SENDER, TABLE_SENDER, Shop

NOTE = "Boxman: votre colis est au point relais Dupont, 12 rue de la Paix, jusqu'au 4 mai, code 4711."


async def send(shop: Shop, to: int | str, text: str | None = NOTE, **more: Any) -> Any:
    whom = to if isinstance(to, str) else shop.public(Kind.SUBSCRIBER, to)
    said = {} if text is None else {"text": text}
    return await shop.caller.post("/v1/messages", {"to": whom, **said, "sender": SENDER, **more})


async def queued(shop: Shop) -> int:
    return int(await shop.value("SELECT count(*) FROM interactive_queue"))


@pytest.mark.parametrize(
    ("text", "sender", "encoding", "segments", "price"),
    [
        (NOTE, SENDER, "gsm7", 1, "0.045"),
        (NOTE * 2, SENDER, "gsm7", 2, "0.09"),
        (NOTE.replace("colis", "reçu"), SENDER, "ucs2", 2, "0.09"),
        (NOTE.replace("colis", "reçu"), TABLE_SENDER, "gsm7", 1, "0.045"),
        ("x" * 153 * PARTS_MAX, SENDER, "gsm7", PARTS_MAX, "0.36"),
    ],
)
async def test_the_answer_tells_encoding_segments_and_price_and_the_text_is_queued(
    shop: Shop, text: str, sender: str, encoding: str, segments: int, price: str
) -> None:
    [buyer] = await shop.subscribers(1)
    answer = await send(shop, buyer, text, sender=sender)
    assert answer.status == 201, answer
    body = answer.body
    assert (body["encoding"], body["segments"], body["unit_price"]) == (encoding, segments, "0.045")
    assert (body["price"], body["currency"], body["state"]) == (price, "EUR", "queued")
    assert await queued(shop) == 1
    read = await shop.caller.get(f"/v1/messages/{body['id']}")
    assert (read.body["text"], read.body["kind"], read.body["state"]) == (text, "transaction", "queued")
    assert read.body["subscriber"] == shop.public(Kind.SUBSCRIBER, buyer)


LOADING = {"kind": "sl", "href": "https://bxm.example/p/4711"}
NOON, BEFORE_NOON, EXPIRES = "2027-01-01T12:00:00Z", "2027-01-01T12:59:59+01:00", "/wap_push/expires_at"
INDICATION = {**LOADING, "kind": "si", "text": "Boxman: votre colis est arrivé"}


@pytest.mark.parametrize(
    ("wap_push", "segments", "price", "text"),
    [
        (LOADING, 1, "0.045", LOADING["href"]),
        ({**LOADING, "action": "cache"}, 1, "0.045", LOADING["href"]),
        (INDICATION, 1, "0.045", f"{INDICATION['text']} {LOADING['href']}"),
        (
            {**INDICATION, "action": "delete", "id": "p-1"},
            1,
            "0.045",
            f"{INDICATION['text']} {LOADING['href']}",
        ),
        ({**INDICATION, "text": "x" * 100}, 2, "0.09", f"{'x' * 100} {LOADING['href']}"),
        ({**INDICATION, "text": "x" * 988}, PARTS_MAX, "0.36", f"{'x' * 988} {LOADING['href']}"),
    ],
)
async def test_a_link_goes_as_wap_push_and_its_segments_and_price_are_told(
    shop: Shop, wap_push: dict[str, str], segments: int, price: str, text: str
) -> None:
    [buyer] = await shop.subscribers(1)
    answer = await send(shop, buyer, None, wap_push=wap_push)
    assert answer.status == 201, answer
    body = answer.body
    assert (body["encoding"], body["segments"], body["price"]) == ("octets", segments, price)
    read = await shop.caller.get(f"/v1/messages/{body['id']}")
    assert (read.body["text"], read.body["kind"], read.body["state"]) == (text, "transaction", "queued")
    octets = await shop.value("SELECT push FROM message")
    assert octets.startswith(b"\0\x06\x01")
    assert wap_push["href"].removeprefix("https://").encode() in octets


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"wap_push": {**INDICATION, "text": "x" * 989}}, "/wap_push", "text_too_long"),
        ({"wap_push": {**INDICATION, "action": "delete"}}, "/wap_push/id", "invalid"),
        ({"wap_push": {**INDICATION, "created_at": NOON, "expires_at": BEFORE_NOON}}, EXPIRES, "invalid"),
        ({"wap_push": {**LOADING, "href": "ftp://x.example"}}, "/wap_push/sl/href", "invalid"),
        ({"wap_push": {**LOADING, "href": "https://x.example/é"}}, "/wap_push/sl/href", "invalid"),
        ({"wap_push": {**LOADING, "action": "signal-high"}}, "/wap_push/sl/action", "invalid"),
        ({"wap_push": {**INDICATION, "text": "one\ntwo"}}, "/wap_push/si/text", "invalid"),
        ({"wap_push": {**LOADING, "kind": "co"}}, "/wap_push", "invalid"),
        ({"wap_push": LOADING, "text": NOTE}, "/text", "invalid"),
        ({}, "/text", "invalid"),
    ],
)
async def test_a_link_that_cannot_be_pushed_is_refused_and_nothing_is_queued(
    shop: Shop, changes: dict[str, Any], pointer: str, code: str
) -> None:
    [person] = await shop.subscribers(1)
    answer = await send(shop, person, **{"text": None, **changes})
    assert (answer.status, answer.code) == (422, code)
    assert answer.body["errors"][0]["pointer"] == pointer
    assert await queued(shop) == 0


async def test_a_number_of_a_subscriber_will_do_and_a_text_may_wait_less_than_a_day(shop: Shop) -> None:
    await shop.subscribers(1)
    answer = await send(shop, "+33 6 12 00 00 01", expires_in_s=600)
    assert answer.status == 201, answer
    assert answer.body["msisdn"] == "+33612000001"
    until = await shop.value("SELECT expires_at FROM interactive_queue")
    assert until == shop.clock.now() + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("offers", "appointments", "transaction", "appointment"),
    [
        ("subscribed", None, None, "consent_missing"),
        ("none", None, None, "consent_missing"),
        ("none", "subscribed", None, None),
        ("paused", "subscribed", None, None),
        ("unsubscribed", None, "stopped", "consent_missing"),
        ("unsubscribed", "unsubscribed", "stopped", "stopped"),
        ("unsubscribed", "subscribed", None, None),  # STOP OFFERS
        ("subscribed", "unsubscribed", None, "stopped"),
        ("blocked", "subscribed", "suppressed", "suppressed"),
        ("erased", None, "suppressed", "suppressed"),
        ("expired", None, "suppressed", "suppressed"),
        ("expired", "subscribed", None, None),  # who has the number now agreed to these
        ("subscribed", "expired", None, "consent_missing"),
        ("none", "expired", None, "consent_missing"),
    ],
)
async def test_who_may_not_be_written_to_is_not(
    shop: Shop, offers: str, appointments: str | None, transaction: str | None, appointment: str | None
) -> None:
    [person] = await shop.subscribers(1, state=offers)
    if appointments is not None:
        await shop.execute(
            "INSERT INTO consent_state VALUES ($1, $2, 'appointments', $3, now())",
            shop.merchant_id, person, appointments,
        )  # fmt: skip
    for purpose, code in (("transaction", transaction), ("appointments", appointment)):
        before = await queued(shop)
        answer = await send(shop, person, purpose=purpose)
        refused = 422 if code == "consent_missing" else 409
        assert (answer.status, answer.code if code else None) == (refused if code else 201, code), answer
        assert await queued(shop) == before + (code is None)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"text": "x" * (153 * PARTS_MAX + 1)}, 422, "text_too_long"),
        ({"text": "я" * (67 * PARTS_MAX + 1)}, 422, "text_too_long"),
        ({"text": ""}, 422, "invalid"),
        ({"sender": "36222"}, 422, "sender_unknown"),  # another merchant's
        ({"sender": "36999"}, 422, "sender_unknown"),
        ({"to": "+33612999999"}, 422, "subscriber_unknown"),
        ({"to": "+33112000001"}, 422, "msisdn_invalid"),
        ({"to": "sub_0"}, 404, "not_found"),
        ({"purpose": "offers"}, 422, "invalid"),
        ({"expires_in_s": 86_401}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_sent_is_refused_and_nothing_is_queued(
    shop: Shop, changes: dict[str, Any], status: int, code: str
) -> None:
    [person] = await shop.subscribers(1)
    answer = await send(shop, **{"to": person, **changes})
    assert (answer.status, answer.code) == (status, code)
    assert await queued(shop) == 0


async def test_without_a_price_nothing_is_queued_and_the_network_is_named(shop: Shop) -> None:
    ids = shop.api.context.ids
    person = ids.next()
    await shop.execute(
        "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state) "
        "VALUES ($1, $2, 46701234567, 'sv', 'SE', 'subscribed')",
        shop.merchant_id, person,
    )  # fmt: skip
    answer = await send(shop, person)
    assert (answer.status, answer.code, len(answer.body["networks"])) == (422, "price_missing", 1)
    assert await queued(shop) == 0


async def moved_to(shop: Shop, msisdn: int, network: str) -> None:
    rows = [PortedRows([msisdn], [network])]
    await PgPortability(shop.database).replace(rows, shop.api.context.clock.now())


async def test_a_number_that_moved_is_told_the_price_of_where_it_is_now(shop: Shop) -> None:
    """As it is charged: the block is of Belgium, which has no price, and the number went to France."""
    [person] = await shop.subscribers(1)
    await shop.execute("UPDATE subscriber SET msisdn = 32470000001 WHERE subscriber_id = $1", person)
    assert (await send(shop, person)).code == "price_missing"
    await moved_to(shop, 32_470_000_001, "20801")
    answer = await send(shop, person)
    assert (answer.status, answer.body["unit_price"]) == (201, "0.045"), answer


async def test_a_number_that_moved_to_a_network_without_a_price_is_refused(shop: Shop) -> None:
    [person] = await shop.subscribers(1)
    msisdn = await shop.value("SELECT msisdn FROM subscriber WHERE subscriber_id = $1", person)
    await moved_to(shop, msisdn, "20601")
    answer = await send(shop, person)
    assert (answer.status, answer.code, answer.body["networks"]) == (422, "price_missing", ["20601"])
    assert await queued(shop) == 0


async def test_a_request_that_comes_twice_under_its_key_is_sent_once(shop: Shop) -> None:
    [person] = await shop.subscribers(1)
    body = {"to": shop.public(Kind.SUBSCRIBER, person), "text": NOTE, "sender": SENDER}
    first, second = [
        await shop.caller.post("/v1/messages", body, headers={"Idempotency-Key": "parcel-4711"})
        for _ in range(2)
    ]
    assert (first.status, second.status, second.body) == (201, 201, first.body)
    assert await queued(shop) == 1


async def test_a_test_key_and_another_merchant_send_nothing(shop: Shop) -> None:
    [person] = await shop.subscribers(1)
    body = {"to": shop.public(Kind.SUBSCRIBER, person), "text": NOTE, "sender": SENDER}
    key = await shop.api.operator.post(
        f"/v1/merchants/{shop.caller.merchant_id}/api_keys",
        {"name": "try", "mode": "test", "scopes": ["send", "read"]},
    )
    answer = await shop.api.with_key(key.body["key"]).post("/v1/messages", body)
    assert (answer.status, answer.code) == (404, "not_found")  # a test key's data are others
    reader = await shop.api.operator.post(
        f"/v1/merchants/{shop.caller.merchant_id}/api_keys", {"name": "look", "scopes": ["read"]}
    )
    answer = await shop.api.with_key(reader.body["key"]).post("/v1/messages", body)
    assert answer.status == 403
    other = await shop.api.merchant()
    answer = await other.post("/v1/messages", body)
    assert (answer.status, answer.code) == (404, "not_found")
    assert await queued(shop) == 0
