"""Stock, versions and withdrawal of offers over the API."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from smsgate.security.public_ids import Kind
from tests.api.api_server import Answer
from tests.api.commerce_setup import TEXT, Shop

CHEAPER = TEXT.replace("19,90€", "14,90€")


async def told(shop: Shop, type_: str) -> list[dict[str, Any]]:
    found = await shop.caller.get(f"/v1/events?type={type_}")
    return [event["data"] for event in found.body["data"]]


async def sell(shop: Shop, offer: dict[str, Any], pieces: int) -> None:
    """Take pieces out of the stock, as an acceptance does."""
    await shop.execute(
        "UPDATE offer SET stock_remaining = stock_remaining - $2 WHERE offer_id = $1",
        shop.id_of(Kind.OFFER, offer["id"]), pieces,
    )  # fmt: skip


async def set_stock(shop: Shop, offer: dict[str, Any], stock: int) -> Answer:
    return await shop.caller.call("PATCH", f"/v1/offers/{offer['id']}", {"stock": stock})


async def test_stock_goes_up_and_down_but_never_under_what_is_sold(shop: Shop) -> None:
    made = await shop.offer(stock=10)
    await sell(shop, made, 4)
    more = await set_stock(shop, made, 12)
    assert (more.status, more.body["stock"], more.body["stock_remaining"]) == (200, 12, 8)
    fewer = await set_stock(shop, made, 5)
    assert (fewer.body["stock"], fewer.body["stock_remaining"], fewer.body["state"]) == (5, 1, "live")
    refused = await set_stock(shop, made, 3)
    assert (refused.status, refused.code, refused.body["sold"]) == (409, "stock_sold", 4)
    assert (await shop.caller.get(f"/v1/offers/{made['id']}")).body["stock_remaining"] == 1
    changes = await told(shop, "offer.stock_changed")
    assert [(each["stock"], each["stock_remaining"]) for each in changes] == [(5, 1), (12, 8)]


async def test_an_offer_is_sold_out_by_its_merchant_too_and_live_again_with_more(shop: Shop) -> None:
    made = await shop.offer(stock=10)
    await sell(shop, made, 4)
    gone = await set_stock(shop, made, 4)
    assert (gone.body["state"], gone.body["stock_remaining"]) == ("sold_out", 0)
    assert [each["state"] for each in await told(shop, "offer.sold_out")] == ["sold_out"]
    again = await set_stock(shop, made, 4)
    assert again.body == gone.body
    assert len(await told(shop, "offer.stock_changed")) == 1  # a repetition says nothing
    campaign = await shop.caller.post("/v1/campaigns", {"offer": made["id"], "audience": {"all": True}})
    await shop.subscribers(1)
    start = await shop.caller.post(f"/v1/campaigns/{campaign.body['id']}/start")
    assert (start.status, start.code) == (409, "sold_out")
    assert (await set_stock(shop, made, 9)).body["state"] == "live"
    start = await shop.caller.post(f"/v1/campaigns/{campaign.body['id']}/start")
    assert start.status == 200, start


async def test_a_stock_that_nobody_counted_is_not_counted_later(shop: Shop) -> None:
    made = await shop.offer()
    refused = await set_stock(shop, made, 5)
    assert (refused.status, refused.code) == (409, "stock_not_counted")


async def test_acceptances_and_changes_of_stock_at_once_lose_no_piece(shop: Shop) -> None:
    made = await shop.offer(stock=50)
    wishes = [set_stock(shop, made, 50 + n) for n in range(10)]
    sales = [sell(shop, made, 1) for _ in range(20)]
    await asyncio.gather(*wishes, *sales)
    read = (await shop.caller.get(f"/v1/offers/{made['id']}")).body
    assert read["stock"] - read["stock_remaining"] == 20


async def test_a_withdrawn_offer_ends_what_sends_it_and_stays_withdrawn(shop: Shop) -> None:
    await shop.subscribers(2)
    made = await shop.offer(stock=10)
    campaigns = [
        (await shop.caller.post("/v1/campaigns", {"offer": made["id"], "audience": {"all": True}})).body["id"]
        for _ in range(3)
    ]
    other = await shop.campaign()
    for id_ in campaigns[1:]:
        assert (await shop.caller.post(f"/v1/campaigns/{id_}/start")).status == 200
    await shop.caller.post(f"/v1/campaigns/{campaigns[2]}/pause")
    gone = await shop.caller.post(f"/v1/offers/{made['id']}/withdraw")
    assert (gone.status, gone.body["state"]) == (200, "withdrawn")
    for id_ in campaigns:
        read = (await shop.caller.get(f"/v1/campaigns/{id_}")).body
        assert (read["state"], read["cancelled_for"]) == ("cancelled", "withdrawn")
    assert (await shop.caller.get(f"/v1/campaigns/{other['id']}")).body["state"] == "draft"
    assert (await shop.caller.post(f"/v1/offers/{made['id']}/withdraw")).body == gone.body
    assert [each["state"] for each in await told(shop, "offer.withdrawn")] == ["withdrawn"]
    assert (await set_stock(shop, made, 20)).code == "offer_closed"
    version = await shop.caller.post(f"/v1/offers/{made['id']}/versions", {"price": "14.90", "text": CHEAPER})
    assert (version.status, version.code) == (409, "offer_closed")
    campaign = await shop.caller.post("/v1/campaigns", {"offer": made["id"], "audience": {"all": True}})
    start = await shop.caller.post(f"/v1/campaigns/{campaign.body['id']}/start")
    assert (start.status, start.code) == (409, "offer_closed")


async def test_a_new_version_takes_over_what_it_does_not_change_and_the_old_one_stays_readable(
    shop: Shop,
) -> None:
    made = await shop.offer(stock=10, external_id="madonna-1", ask_above="30.00")
    answer = await shop.caller.post(f"/v1/offers/{made['id']}/versions", {"price": "14.90", "text": CHEAPER})
    assert answer.status == 201, answer
    assert answer.body == made | {
        "version": 2,
        "price": "14.90",
        "text": CHEAPER,
    }
    assert (await shop.caller.get(f"/v1/offers/{made['id']}")).body == answer.body
    versions = await shop.caller.get(f"/v1/offers/{made['id']}/versions")
    assert versions.body == {"data": [answer.body, made], "has_more": False}
    assert [
        (each["version"], each["unit_price_minor"]) for each in await told(shop, "offer.version_published")
    ] == [(2, 1490)]


async def test_a_version_is_linted_as_a_new_offer_is_and_must_change_something(shop: Shop) -> None:
    made = await shop.offer()
    path = f"/v1/offers/{made['id']}/versions"
    same = await shop.caller.post(path, {"price": "19.90"})
    assert (same.status, same.code) == (422, "version_unchanged")
    price_alone = await shop.caller.post(path, {"price": "14.90"})  # the text still says 19.90
    assert (price_alone.status, price_alone.code) == (422, "mandatory_info_missing")
    sender = await shop.caller.post(path, {"sender": "36333"})
    assert (sender.status, sender.code) == (422, "sender_not_reply_capable")
    dollars = await shop.caller.post(path, {"currency": "USD"})
    assert (dollars.status, dollars.code) == (422, "amount_invalid")
    assert await shop.value("SELECT count(*) FROM offer_version") == 1


async def test_a_new_version_ends_what_sends_the_old_one_and_drafts_are_of_the_new_one(shop: Shop) -> None:
    await shop.subscribers(2)
    made = await shop.offer()
    draft, sending = [
        (await shop.caller.post("/v1/campaigns", {"offer": made["id"], "audience": {"all": True}})).body["id"]
        for _ in range(2)
    ]
    await shop.caller.post(f"/v1/campaigns/{sending}/start")
    await shop.caller.post(f"/v1/offers/{made['id']}/versions", {"price": "14.90", "text": CHEAPER})
    old = (await shop.caller.get(f"/v1/campaigns/{sending}")).body
    assert (old["state"], old["cancelled_for"], old["offer_version"]) == ("cancelled", "superseded", 1)
    new = (await shop.caller.get(f"/v1/campaigns/{draft}")).body
    assert (new["state"], new["cancelled_for"], new["offer_version"]) == ("draft", None, 2)
    preview = await shop.caller.post(f"/v1/campaigns/{draft}/preview")
    assert preview.body["text"] == CHEAPER
    assert (await shop.caller.post(f"/v1/campaigns/{draft}/start")).status == 200


async def test_a_draft_that_missed_the_new_version_does_not_start(shop: Shop) -> None:
    """It was written while the version was published: neither saw the other."""
    await shop.subscribers(1)
    campaign = await shop.campaign()
    path = f"/v1/offers/{campaign['offer']}/versions"
    await shop.caller.post(path, {"price": "14.90", "text": CHEAPER})
    await shop.execute("UPDATE campaign SET offer_version = 1")
    start = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")
    assert (start.status, start.code) == (409, "offer_closed")


@pytest.mark.parametrize("hours", [1, 100])
async def test_a_version_with_another_end_makes_an_offer_live_that_was_over(shop: Shop, hours: int) -> None:
    made = await shop.offer()
    shop.clock.advance(timedelta(hours=11).total_seconds())
    assert (await shop.caller.get(f"/v1/offers/{made['id']}")).body["state"] == "expired"
    answer = await shop.caller.post(f"/v1/offers/{made['id']}/versions", {"expires_in_s": hours * 3600})
    assert (answer.status, answer.body["state"], answer.body["version"]) == (201, "live", 2)


async def test_two_versions_at_once_are_two_versions(shop: Shop) -> None:
    made = await shop.offer()
    path = f"/v1/offers/{made['id']}/versions"
    answers = await asyncio.gather(
        *(shop.caller.post(path, {"expires_in_s": 3_600 * hours}) for hours in (2, 3, 4))
    )
    assert sorted(answer.body["version"] for answer in answers) == [2, 3, 4]
    assert (await shop.caller.get(f"/v1/offers/{made['id']}")).body["version"] == 4


async def test_terms_of_orders_are_the_versions_own_and_held_to_their_bounds(shop: Shop) -> None:
    usual = {"cancel_window_s": 3_600, "shop_answer_s": 86_400, "confirm_by_sms": False}
    made = await shop.offer(stock=10)
    assert {name: made[name] for name in usual} == usual
    path = f"/v1/offers/{made['id']}/versions"
    terms = {"cancel_window_s": 0, "confirm_by_sms": True}
    answer = await shop.caller.post(path, terms)
    assert answer.status == 201, answer
    assert answer.body == made | {"version": 2} | terms
    stored = await shop.fetch(
        "SELECT cancel_window_s, shop_answer_s, confirm_by_sms FROM offer_version ORDER BY version"
    )
    assert [tuple(row) for row in stored] == [(3_600, 86_400, False), (0, 86_400, True)]
    for name, value in (("cancel_window_s", 604_801), ("cancel_window_s", -1), ("shop_answer_s", 7_199)):
        refused = await shop.caller.post(path, {name: value})
        assert (refused.status, refused.body["errors"][0]["pointer"]) == (422, f"/{name}")
