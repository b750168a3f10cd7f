"""Offers are looked at again when a campaign begins: by its people's countries, and the rules of that day."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smsgate.security.public_ids import Kind
from tests.api.commerce_setup import SENDERS, TEXT, Shop
from tests.flows.world import eventually
from tests.store.waiting import somebody_waits

ENGLISH = (
    "Boxman: Madonna CD 19.90€ incl. post. Reply OK = order with obligation to pay. "
    "14 days to withdraw. Info bxm.uk/m1 STOP to end"
)


async def people_of(shop: Shop, country: str, count: int = 1, tags: tuple[str, ...] = ()) -> list[int]:
    ids = await shop.subscribers(count, tags=tags)
    await shop.execute(
        "UPDATE subscriber SET country = $2 WHERE subscriber_id = ANY ($1::bigint[])", ids, country
    )
    return ids


async def start(shop: Shop, audience: dict[str, Any] | None = None, **offer: Any) -> tuple[Any, Any]:
    campaign = await shop.campaign(audience, **offer)
    preview = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/preview")
    return preview.body["findings"], await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")


async def test_an_offer_for_people_of_another_country_says_what_that_country_asks(shop: Shop) -> None:
    await people_of(shop, "FR")
    await people_of(shop, "GB")
    findings, refused = await start(shop)
    assert (refused.status, refused.code) == (422, "mandatory_info_missing")
    assert {error["what"] for error in refused.body["errors"]} == {"ok_meaning", "withdrawal"}
    assert {error["country"] for error in refused.body["errors"]} == {"GB"}
    assert all("Consumer Contracts Regulations" in error["source"] for error in refused.body["errors"])
    assert "to GB: " in refused.body["detail"]
    assert {(finding["what"], finding["country"]) for finding in findings} == {
        ("ok_meaning", "GB"), ("withdrawal", "GB"),
    }  # fmt: skip
    assert await shop.value("SELECT count(*) FROM campaign_chunk") == 0
    assert await shop.value("SELECT state FROM campaign") == "draft"


async def test_an_offer_for_another_country_may_go_to_people_of_that_country_alone(shop: Shop) -> None:
    await people_of(shop, "GB", tags=("uk",))
    await people_of(shop, "FR", tags=("fr",))
    english = {"text": ENGLISH, "item": "Madonna CD", "country": "GB", "language": "en"}
    findings, begun = await start(shop, {"tags": ["uk"]}, **english)
    assert (findings, begun.status) == ([], 200)
    _, refused = await start(shop, {"tags": ["fr"]}, **english)
    assert (refused.status, {error["country"] for error in refused.body["errors"]}) == (422, {"FR"})


async def test_people_of_a_country_whose_sender_rules_are_stricter_are_not_written_to(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number for alerts: fine in Portugal, where no rule is known, and not in France."""
    number, text = "38111", TEXT.replace("STOP 36111", "STOP")
    monkeypatch.setitem(SENDERS, number, SENDERS["36111"])
    await people_of(shop, "PT", tags=("pt",))
    await people_of(shop, "RE", tags=("re",))
    offer = {"text": text, "sender": number, "country": "PT"}
    assert (await start(shop, {"tags": ["pt"]}, **offer))[1].status == 200
    _, refused = await start(shop, {"tags": ["re"]}, **offer)
    assert (refused.status, refused.code) == (422, "sender_not_allowed")
    assert refused.body["errors"][0]["country"] == "RE"


async def test_a_draft_is_held_to_the_rules_of_the_day_on_which_it_begins(shop: Shop) -> None:
    """What was stored under older rules, as rows of an older version of the gateway are."""
    await people_of(shop, "FR")
    campaign = await shop.campaign()
    await shop.execute_as_owner(
        "UPDATE offer_version SET text = replace(text, 'tion 14 j', 'tion 7 j') WHERE offer_id = $1",
        shop.id_of(Kind.OFFER, campaign["offer"]),
    )
    refused = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")
    assert (refused.status, refused.code) == (422, "withdrawal_mismatch")
    assert "the law gives 14" in refused.body["detail"]


async def test_a_version_published_while_the_audience_is_counted_is_judged_before_it_is_sent(
    shop: Shop,
) -> None:
    """The count takes long where there are millions; here it waits for a lock."""
    await people_of(shop, "GB")
    campaign = await shop.campaign(text=ENGLISH, item="Madonna CD", country="GB", language="en")
    french = {"text": TEXT, "item": "CD Madonna", "country": "FR", "language": "fr"}
    async with shop.database.control() as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE subscriber IN ACCESS EXCLUSIVE MODE")
            starting = asyncio.create_task(shop.caller.post(f"/v1/campaigns/{campaign['id']}/start"))
            await eventually(lambda: somebody_waits(shop.database))
            published = await shop.caller.post(f"/v1/offers/{campaign['offer']}/versions", french)
            assert published.status == 201, published
    refused = await starting
    assert (refused.status, refused.code) == (422, "mandatory_info_missing")
    assert {error["country"] for error in refused.body["errors"]} == {"GB"}
    assert await shop.value("SELECT count(*) FROM campaign_chunk") == 0
    assert await shop.value("SELECT state FROM campaign") == "draft"


async def test_a_campaign_that_goes_on_is_held_to_the_rules_and_prices_of_that_day(shop: Shop) -> None:
    await people_of(shop, "FR")
    path, (_, begun) = "/v1/campaigns/", await start(shop)
    path += begun.body["id"]
    await shop.caller.post(f"{path}/pause")
    text = await shop.value("SELECT text FROM offer_version")
    await shop.execute_as_owner("UPDATE offer_version SET text = replace(text, 'tion 14 j', 'tion 7 j')")
    refused = await shop.caller.post(f"{path}/resume")
    assert (refused.status, refused.code) == (422, "withdrawal_mismatch")
    assert refused.body["errors"][0]["country"] == "FR"
    await shop.execute_as_owner(f"UPDATE offer_version SET text = $${text}$$")
    await people_of(shop, "SE", count=2)
    refused = await shop.caller.post(f"{path}/resume")
    assert (refused.status, refused.code) == (422, "mandatory_info_missing")
    await shop.execute("UPDATE subscriber SET msisdn = 46701234567 + subscriber_id WHERE country = 'SE'")
    refused = await shop.caller.post(f"{path}/resume")
    assert (refused.status, refused.code) == (422, "price_missing")
    assert (await shop.caller.get(path)).body["state"] == "paused"
    await shop.execute("UPDATE subscriber SET offers_state = 'unsubscribed'")
    assert (await shop.caller.post(f"{path}/resume")).body["state"] == "sending"


async def test_what_the_guard_paused_stays_guarded_when_it_may_not_go_on(shop: Shop) -> None:
    await people_of(shop, "FR")
    _, begun = await start(shop)
    path = f"/v1/campaigns/{begun.body['id']}"
    await shop.execute("UPDATE campaign SET state = 'paused', paused_reason = 'stop_rate'")
    await shop.execute_as_owner("UPDATE offer_version SET text = replace(text, 'tion 14 j', 'tion 7 j')")
    refused = await shop.caller.post(f"{path}/resume?guard=off")
    assert (refused.status, refused.code) == (422, "withdrawal_mismatch")
    assert await shop.value("SELECT guard_off FROM campaign") is False


async def test_a_check_compares_the_text_with_the_right_of_withdrawal(shop: Shop) -> None:
    for text, withdrawal, codes in (
        (TEXT, True, []),
        (TEXT, False, ["withdrawal_mismatch"]),
        (TEXT.replace("Rétractation 14 j", "Sans rétractation"), True, ["withdrawal_mismatch"]),
        (TEXT.replace("Rétractation 14 j", "Sans rétractation"), False, []),
    ):
        answer = await shop.caller.post("/v1/offers/check", shop.an_offer(text=text, withdrawal=withdrawal))
        assert [finding["code"] for finding in answer.body["findings"]] == codes, (text, withdrawal)
