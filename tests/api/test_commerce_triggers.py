from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smsgate.security.public_ids import Kind
from smsgate.security.webhook_signatures import new_secret
from tests.api.api_server import Answer
from tests.api.commerce_setup import TEXT, Shop
from tests.api.trigger_setup import (
    MAPPING,
    NOTHING,
    PATH,
    SETTINGS,
    a_shop_event,
    created,
    fire,
    written,
)


async def test_a_shops_own_webhook_becomes_an_offer_on_its_way(shop: Shop) -> None:
    await shop.subscribers(6_500)
    made = await created(shop)
    answer = await fire(shop, made["id"], made["secret"], a_shop_event())
    assert answer.status == 202, answer
    campaign = (await shop.caller.get(f"/v1/campaigns/{answer.body['campaign']}")).body
    assert (campaign["state"], campaign["recipients"], campaign["trigger"]) == ("sending", 6_500, made["id"])
    assert campaign["offer"] == answer.body["offer"]
    offer = (await shop.caller.get(f"/v1/offers/{campaign['offer']}")).body
    assert (offer["text"], offer["price"], offer["external_id"]) == (TEXT, "19.90", "evt-1")
    assert await written(shop) == {
        "offer": 1, "offer_version": 1, "campaign": 1, "campaign_chunk": 3, "trigger_event": 1,
    }  # fmt: skip


async def test_the_same_webhook_id_gets_the_same_answer_and_starts_nothing_more(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    first = await fire(shop, made["id"], made["secret"], a_shop_event())
    for _ in range(3):
        again = await fire(shop, made["id"], made["secret"], a_shop_event())
        assert (again.status, again.body) == (202, first.body)
    other = await fire(shop, made["id"], made["secret"], a_shop_event(id="evt-2"))
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert (await written(shop))["campaign"] == 1


async def test_a_repetition_gets_its_answer_though_the_trigger_could_not_read_it_any_more(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    first = await fire(shop, made["id"], made["secret"], a_shop_event())
    mapping = MAPPING | {"item": "$.not.there"}
    changed = await shop.caller.call("PATCH", f"{PATH}/{made['id']}", {"mapping": mapping})
    assert changed.status == 200, changed
    again = await fire(shop, made["id"], made["secret"], a_shop_event())
    assert (again.status, again.body) == (202, first.body)
    other = await fire(shop, made["id"], made["secret"], a_shop_event(id="evt-2"), webhook_id="msg_2")
    assert (other.status, other.code) == (422, "trigger_unmapped")


async def test_twenty_repetitions_at_once_start_one_campaign(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop, mapping={k: v for k, v in MAPPING.items() if k != "external_id"})
    answers = await asyncio.gather(
        *(fire(shop, made["id"], made["secret"], a_shop_event()) for _ in range(20))
    )
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["campaign"] for answer in answers}) == 1
    assert (await written(shop))["campaign"] == 1


async def test_forged_old_and_unknown_are_refused_in_one_way(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    unknown = shop.public(Kind.TRIGGER, shop.next_id())
    disabled = await created(shop, name="off")
    await shop.caller.call("PATCH", f"{PATH}/{disabled['id']}", {"state": "disabled"})
    refusals = [
        await fire(shop, made["id"], new_secret(), a_shop_event()),
        await fire(shop, made["id"], made["secret"], a_shop_event(), tamper=b" "),
        await fire(shop, unknown, made["secret"], a_shop_event()),
        await fire(shop, disabled["id"], disabled["secret"], a_shop_event()),
    ]
    assert {(answer.status, answer.code, answer.body["detail"]) for answer in refusals} == {
        (401, "signature_invalid", refusals[0].body["detail"])
    }
    for age_s in (301, -301):
        old = await fire(shop, made["id"], made["secret"], a_shop_event(), age_s=age_s)
        assert (old.status, old.code) == (401, "signature_invalid")
    unsigned = await shop.api.anybody.post(f"{PATH}/{made['id']}", a_shop_event())
    assert (unsigned.status, unsigned.code) == (401, "signature_invalid")
    nonsense = await fire(shop, "trg_nonsense", made["secret"], a_shop_event())
    assert (nonsense.status, nonsense.code) == (404, "not_found")
    assert await written(shop) == NOTHING


@pytest.mark.parametrize("age_s", [299, -299])
async def test_five_minutes_of_difference_are_taken(shop: Shop, age_s: float) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    assert (await fire(shop, made["id"], made["secret"], a_shop_event(), age_s=age_s)).status == 202


async def test_the_old_secret_is_taken_for_a_day_after_a_rotation(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    rotated = (await shop.caller.post(f"{PATH}/{made['id']}/rotate_secret")).body
    for n, secret in enumerate((rotated["secret"], made["secret"])):
        answer = await fire(shop, made["id"], secret, a_shop_event(id=f"e{n}"), webhook_id=f"msg_{n}")
        assert answer.status == 202, answer
    shop.clock.advance(24 * 3600 + 1)
    late = await fire(shop, made["id"], made["secret"], a_shop_event(id="e3"), webhook_id="msg_3")
    assert (late.status, late.code) == (401, "signature_invalid")
    good = await fire(shop, made["id"], rotated["secret"], a_shop_event(id="e4"), webhook_id="msg_4")
    assert good.status == 202


async def test_a_refused_offer_stores_nothing_and_may_be_repeated_once_mended(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop, text=TEXT.replace("CD Madonna", "reçu {title}"))
    refused = await fire(shop, made["id"], made["secret"], a_shop_event())
    assert (refused.status, refused.code) == (422, "charset_ucs2")
    assert await written(shop) == NOTHING
    mended = await shop.caller.call("PATCH", f"{PATH}/{made['id']}", {"text": SETTINGS["text"]})
    assert mended.status == 200, mended
    assert (await fire(shop, made["id"], made["secret"], a_shop_event())).status == 202


async def test_a_trigger_may_have_its_text_replaced_and_says_what_was(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop, text=TEXT.replace("CD Madonna", "reçu {title}"), replace=True)
    assert made["replace"] is True
    answer = await fire(shop, made["id"], made["secret"], a_shop_event())
    assert answer.status == 202, answer
    assert [(each["before"], each["after"]) for each in answer.body["replacements"]] == [("ç", "c")]
    offer = (await shop.caller.get(f"/v1/offers/{answer.body['offer']}")).body
    assert "recu CD Madonna" in offer["text"]
    off = await shop.caller.call("PATCH", f"{PATH}/{made['id']}", {"replace": False})
    assert off.body["replace"] is False


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "json_invalid"),
        (b"\xff\xfe", 400, "json_invalid"),
        ({"id": "evt-1"}, 422, "trigger_unmapped"),
        (a_shop_event(product={"title": "CD Madonna", "price": "cheap"}), 422, "trigger_unmapped"),
        (a_shop_event(product={"title": "CD Madonna", "price": "18,90"}), 422, "mandatory_info_missing"),
        (a_shop_event(product={"title": "x" * 61, "price": "19,90"}), 422, "invalid"),
        (a_shop_event(group="nobody-has-this-tag"), 422, "audience_empty"),
        ([], 422, "trigger_unmapped"),
    ],
)
async def test_a_signed_document_that_makes_no_offer_is_refused(
    shop: Shop, body: Any, status: int, code: str
) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    answer = await fire(shop, made["id"], made["secret"], body)
    assert (answer.status, answer.code) == (status, code)
    assert await written(shop) == NOTHING


async def test_one_customer_is_named_by_number_and_must_have_agreed(shop: Shop) -> None:
    [agreed] = await shop.subscribers(1)
    [gone] = await shop.subscribers(1, state="unsubscribed")
    mapping = {k: v for k, v in MAPPING.items() if k != "audience"} | {"recipients": "$.customer.phone"}
    made = await created(shop, mapping=mapping)

    async def to(number: str, n: int) -> Answer:
        event = a_shop_event(customer={"phone": number}, id=f"e{n}")
        return await fire(shop, made["id"], made["secret"], event, webhook_id=f"msg_{n}")

    number = str(await shop.value("SELECT msisdn FROM subscriber WHERE subscriber_id = $1", agreed))
    sent = await to(f"0{number[2:]}", 1)  # the shop writes numbers as its country does
    assert sent.status == 202, sent
    campaign = (await shop.caller.get(f"/v1/campaigns/{sent.body['campaign']}")).body
    assert (campaign["recipients"], campaign["audience"]["subscribers"]) == (1, 1)
    stopped = str(await shop.value("SELECT msisdn FROM subscriber WHERE subscriber_id = $1", gone))
    for n, other in enumerate((f"+{stopped}", "+33699999999"), start=2):
        refused = await to(other, n)
        assert (refused.status, refused.code) == (422, "consent_missing")
    nothing = await to("12", 9)
    assert (nothing.status, nothing.code) == (422, "msisdn_invalid")
    assert (await written(shop))["campaign"] == 1


async def test_a_network_without_price_stores_nothing(shop: Shop) -> None:
    [swede] = await shop.subscribers(1)
    await shop.execute("UPDATE subscriber SET msisdn = 46701234567 WHERE subscriber_id = $1", swede)
    made = await created(shop)
    answer = await fire(shop, made["id"], made["secret"], a_shop_event())
    assert (answer.status, answer.code) == (422, "price_missing")
    assert await written(shop) == NOTHING


async def test_an_external_id_that_exists_leaves_no_half_of_a_campaign(shop: Shop) -> None:
    await shop.subscribers(1)
    await shop.offer(external_id="evt-1")
    made = await created(shop)
    answer = await fire(shop, made["id"], made["secret"], a_shop_event())
    assert (answer.status, answer.code) == (409, "external_id_taken")
    assert await written(shop) == NOTHING | {"offer": 1, "offer_version": 1}


async def test_a_value_of_the_document_is_never_read_as_a_place(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop, text=SETTINGS["text"].replace("Infos bxm.fr/m1", "{note}"),
                         mapping={**MAPPING, "fields": {**MAPPING["fields"], "note": "$.note"}})  # fmt: skip
    answer = await fire(shop, made["id"], made["secret"], a_shop_event(note="{name}"))
    assert answer.status == 202, answer
    offer = (await shop.caller.get(f"/v1/offers/{answer.body['offer']}")).body
    assert "(name) STOP" in offer["text"]


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"mapping": {"item": "$.a"}}, "mapping_invalid", "/price"),
        ({"mapping": {**MAPPING, "color": "$.c"}}, "mapping_invalid", "/color"),
        ({"mapping": {**MAPPING, "item": "$..a"}}, "mapping_invalid", "/item"),
        ({"text": None}, "mapping_invalid", "/text"),
        ({"mapping": {**MAPPING, "stock": {"literal": 99999999999999999999}}}, "mapping_invalid", ""),
        ({"expires_in_s": 60}, "invalid", "/expires_in_s"),
        ({"name": ""}, "invalid", "/name"),
    ],
)
async def test_a_mapping_that_could_never_work_is_not_stored(
    shop: Shop, fields: dict[str, Any], code: str, pointer: str
) -> None:
    body = {"name": "t", "mapping": MAPPING, **SETTINGS, **fields}
    answer = await shop.caller.post(PATH, {k: v for k, v in body.items() if v is not None})
    assert (answer.status, answer.code) == (422, code)
    assert answer.body["errors"][0]["pointer"] == pointer


async def test_a_trigger_is_its_merchants_alone(shop: Shop) -> None:
    made = await created(shop)
    stranger = await shop.api.merchant()
    path = f"{PATH}/{made['id']}"
    assert (await stranger.get(path)).status == 404
    assert (await stranger.call("PATCH", path, {"name": "mine"})).status == 404
    assert (await stranger.call("DELETE", path)).status == 404
    assert (await stranger.post(f"{path}/rotate_secret")).status == 404
    assert (await stranger.get(PATH)).body["data"] == []
    read = await shop.caller.get(path)
    assert read.body == {name: value for name, value in made.items() if name != "secret"}
    assert (await shop.caller.call("DELETE", path)).status == 204
    assert (await shop.caller.get(path)).status == 404


async def test_what_a_trigger_promises_of_orders_is_its_offers_and_may_be_changed(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop, cancel_window_s=7_200)
    changed = await shop.caller.call("PATCH", f"{PATH}/{made['id']}", {"confirm_by_sms": True})
    shown = {name: changed.body[name] for name in ("cancel_window_s", "shop_answer_s", "confirm_by_sms")}
    assert shown == {"cancel_window_s": 7_200, "shop_answer_s": 86_400, "confirm_by_sms": True}
    fired = await fire(shop, made["id"], made["secret"], a_shop_event())
    assert fired.status == 202, fired
    (stored,) = await shop.fetch("SELECT cancel_window_s, shop_answer_s, confirm_by_sms FROM offer_version")
    assert tuple(stored) == (7_200, 86_400, True)
