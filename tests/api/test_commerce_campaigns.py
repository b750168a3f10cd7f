from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from smsgate.flows.publishing import AHEAD_MIN
from smsgate.security.public_ids import Kind
from tests.api.commerce_setup import Shop


async def chunks_of(shop: Shop, campaign: dict[str, Any]) -> list[Any]:
    return await shop.fetch(
        "SELECT no, msisdn_lo, msisdn_hi, size, state FROM campaign_chunk WHERE campaign_id = $1 ORDER BY no",
        shop.id_of(Kind.CAMPAIGN, campaign["id"]),
    )


async def test_a_start_cuts_7500_subscribers_into_three_ranges_that_hold_each_once(shop: Shop) -> None:
    await shop.subscribers(6_000)
    await shop.subscribers(1_500)
    numbers = [row["msisdn"] for row in await shop.fetch("SELECT msisdn FROM subscriber ORDER BY msisdn")]
    await shop.subscribers(40, state="unsubscribed")
    campaign = await shop.campaign()
    started = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")
    assert started.status == 200, started
    assert (started.body["state"], started.body["recipients"]) == ("sending", 7_500)
    chunks = await chunks_of(shop, campaign)
    assert [(row["no"], row["size"], row["state"]) for row in chunks] == [
        (0, 3_000, "ready"), (1, 3_000, "ready"), (2, 1_500, "ready"),
    ]  # fmt: skip
    covered = [each for row in chunks for each in numbers if row["msisdn_lo"] <= each <= row["msisdn_hi"]]
    assert covered == numbers
    assert chunks[0]["msisdn_lo"] == numbers[0]
    assert chunks[-1]["msisdn_hi"] == numbers[-1]
    assert await shop.value("SELECT count(*) FROM message") == 0


async def test_tags_choose_who_has_any_of_them(shop: Shop) -> None:
    await shop.subscribers(3, tags=("rock",))
    await shop.subscribers(2, tags=("pop", "new"))
    await shop.subscribers(4)
    campaign = await shop.campaign({"tags": ["rock", "pop"]})
    started = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")
    assert started.body["recipients"] == 5


async def test_a_list_takes_ids_and_numbers_and_only_the_subscribed_of_them(shop: Shop) -> None:
    [first, second] = await shop.subscribers(2)
    [gone] = await shop.subscribers(1, state="unsubscribed")
    number = await shop.value("SELECT msisdn FROM subscriber WHERE subscriber_id = $1", second)
    named = [shop.public(Kind.SUBSCRIBER, first), f"+{number}", shop.public(Kind.SUBSCRIBER, gone)]
    campaign = await shop.campaign({"subscribers": named})
    shown = {name: campaign["audience"][name] for name in ("all", "tags", "subscribers")}
    assert shown == {"all": False, "tags": None, "subscribers": 3}
    started = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")
    assert started.body["recipients"] == 2


@pytest.mark.parametrize(
    ("audience", "status", "code"),
    [
        ({}, 422, "invalid"),
        ({"all": True, "tags": ["a"]}, 422, "invalid"),
        ({"all": False}, 422, "invalid"),
        ({"tags": []}, 422, "invalid"),
        ({"subscribers": ["+33612999999"]}, 422, "subscriber_unknown"),
        ({"subscribers": ["hello"]}, 422, "msisdn_invalid"),
        ({"subscribers": ["sub_0000000000000000000000"]}, 404, "not_found"),
        ({"subscribers": ["+33612000001"] * 1001}, 422, "invalid"),
    ],
)
async def test_an_audience_that_is_none_is_refused(
    shop: Shop, audience: dict[str, Any], status: int, code: str
) -> None:
    offer = await shop.offer()
    answer = await shop.caller.post("/v1/campaigns", {"offer": offer["id"], "audience": audience})
    assert (answer.status, answer.code) == (status, code)


async def test_another_merchants_subscriber_cannot_be_named(shop: Shop) -> None:
    [mine] = await shop.subscribers(1)
    stranger = await shop.api.merchant()
    offer = await stranger.post("/v1/offers", shop.an_offer())
    answer = await stranger.post(
        "/v1/campaigns",
        {"offer": offer.body["id"], "audience": {"subscribers": [shop.public(Kind.SUBSCRIBER, mine)]}},
    )
    assert answer.status == 404


async def test_a_preview_says_reach_and_cost_by_country(shop: Shop) -> None:
    await shop.subscribers(20)
    [swede] = await shop.subscribers(1)
    await shop.execute(
        "UPDATE subscriber SET country = 'SE', msisdn = 46701234567 WHERE subscriber_id = $1", swede
    )
    campaign = await shop.campaign()
    preview = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/preview")
    assert preview.status == 200, preview
    body = preview.body
    assert (body["encoding"], body["septets"], body["segments"]) == ("gsm7", 138, 1)
    assert (body["recipients"], body["priced"], body["cost"], body["currency"]) == (21, 20, "0.90", "EUR")
    assert body["countries"] == [
        {"country": "FR", "recipients": 20, "priced": 20, "cost": "0.90"},
        {"country": "SE", "recipients": 1, "priced": 0, "cost": "0.00"},
    ]
    assert [
        (way["encoding"], way["segments"], way["permitted"], way["cost"]) for way in body["alternatives"]
    ] == [("gsm7", 1, True, "0.90"), ("ucs2", 3, False, "2.70")]


async def test_the_preview_renders_one_persons_fields(shop: Shop) -> None:
    [id_] = await shop.subscribers(1)
    await shop.execute('UPDATE subscriber SET fields = \'{"name": "Zoé"}\' WHERE subscriber_id = $1', id_)
    offer = shop.an_offer()["text"].replace("Infos bxm.fr/m1", "{name}")
    campaign = await shop.campaign(text=offer)
    preview = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/preview")
    assert "Zoé STOP" in preview.body["text"]


async def test_a_network_without_price_keeps_the_whole_campaign_from_starting(shop: Shop) -> None:
    await shop.subscribers(5)
    [swede] = await shop.subscribers(1)
    await shop.execute(
        "UPDATE subscriber SET country = 'SE', msisdn = 46701234567 WHERE subscriber_id = $1", swede
    )
    campaign = await shop.campaign()
    answer = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")
    assert (answer.status, answer.code) == (422, "price_missing")
    assert all(network.startswith("SE ") for network in answer.body["networks"])
    assert await chunks_of(shop, campaign) == []
    assert (await shop.caller.get(f"/v1/campaigns/{campaign['id']}")).body["state"] == "draft"


async def test_nobody_to_send_to_is_said(shop: Shop) -> None:
    campaign = await shop.campaign()
    answer = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")
    assert (answer.status, answer.code) == (422, "audience_empty")


async def test_an_offer_that_is_nearly_over_is_not_sent(shop: Shop) -> None:
    await shop.subscribers(1)
    campaign = await shop.campaign()
    shop.clock.advance(timedelta(hours=9, minutes=31).total_seconds())
    answer = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")
    assert (answer.status, answer.code) == (409, "offer_closed")


async def test_pause_resume_and_cancel_follow_the_table(shop: Shop) -> None:
    await shop.subscribers(1)
    campaign = await shop.campaign()
    path = f"/v1/campaigns/{campaign['id']}"
    assert (await shop.caller.post(f"{path}/pause")).code == "campaign_state"
    assert (await shop.caller.post(f"{path}/start")).body["state"] == "sending"
    assert (await shop.caller.post(f"{path}/start")).code == "campaign_state"
    for step, state in (
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "sending"),
        ("cancel", "cancelled"),
    ):
        answer = await shop.caller.post(f"{path}/{step}")
        assert (answer.status, answer.body["state"]) == (200, state)
    ended = await shop.caller.get(path)
    assert ended.body["finished_at"] is not None
    assert (await shop.caller.post(f"{path}/resume")).code == "campaign_state"


async def test_twenty_starts_at_once_make_one_set_of_chunks(shop: Shop) -> None:
    await shop.subscribers(3_500)
    campaign = await shop.campaign()
    path = f"/v1/campaigns/{campaign['id']}/start"
    answers = await asyncio.gather(*(shop.caller.post(path) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 19
    assert [row["size"] for row in await chunks_of(shop, campaign)] == [3_000, 500]


async def test_progress_comes_from_the_counters(shop: Shop) -> None:
    campaign = await shop.campaign()
    await shop.execute(
        "INSERT INTO campaign_counter (merchant_id, campaign_id, kind, n) VALUES ($1, $2, 'accepted', 7)",
        shop.merchant_id, shop.id_of(Kind.CAMPAIGN, campaign["id"]),
    )  # fmt: skip
    read = await shop.caller.get(f"/v1/campaigns/{campaign['id']}")
    assert (read.body["progress"]["accepted"], read.body["progress"]["delivered"]) == (7, 0)


async def test_a_test_key_starts_nothing(shop: Shop) -> None:
    await shop.subscribers(1)
    campaign = await shop.campaign()
    key = await shop.api.operator.post(
        f"/v1/merchants/{shop.caller.merchant_id}/api_keys",
        {"name": "try", "mode": "test", "scopes": ["send", "read"]},
    )
    answer = await shop.api.with_key(key.body["key"]).post(f"/v1/campaigns/{campaign['id']}/start")
    assert (answer.status, answer.code) == (404, "not_found")  # a test key's data are others


async def test_every_change_of_a_foreign_campaign_is_404(shop: Shop) -> None:
    campaign = await shop.campaign()
    stranger = await shop.api.merchant()
    for step in ("start", "pause", "resume", "cancel", "preview"):
        assert (await stranger.post(f"/v1/campaigns/{campaign['id']}/{step}")).status == 404
    assert (await stranger.get(f"/v1/campaigns/{campaign['id']}")).status == 404


async def test_a_price_published_a_moment_ago_counts(shop: Shop) -> None:
    [abroad] = await shop.subscribers(1)
    await shop.execute(
        "UPDATE subscriber SET country = 'PT', msisdn = 351912345678 WHERE subscriber_id = $1", abroad
    )
    campaign = await shop.campaign()
    path = f"/v1/campaigns/{campaign['id']}"
    assert (await shop.caller.post(f"{path}/start")).code == "price_missing"
    lists = await shop.api.operator.get("/v1/price_lists")
    shop.clock.advance(1)
    published = await shop.api.operator.post(
        f"/v1/price_lists/{lists.body['data'][0]['id']}/versions",
        {
            "effective_from": (shop.clock.now() + AHEAD_MIN).isoformat(),
            "items": [{"direction": "mt", "network": "*", "unit_price": "0.08"}],
        },
    )
    assert published.status == 201, published
    assert (await shop.caller.post(f"{path}/start")).code == "price_missing"
    shop.clock.advance(AHEAD_MIN.total_seconds())
    assert (await shop.caller.post(f"{path}/preview")).body["cost"] == "0.08"
    assert (await shop.caller.post(f"{path}/start")).status == 200


async def test_a_pace_is_given_changed_and_taken_away_until_the_campaign_is_over(shop: Shop) -> None:
    await shop.subscribers(3)
    offer = (await shop.campaign())["offer"]
    draft = {"offer": offer, "audience": {"all": True}, "messages_per_minute": 600}
    made = (await shop.caller.post("/v1/campaigns", draft)).body
    path = f"/v1/campaigns/{made['id']}"
    assert made["messages_per_minute"] == 600

    async def changed(body: dict[str, Any]) -> Any:
        return await shop.caller.call("PATCH", path, body)

    assert (await changed({"messages_per_minute": 1})).body["messages_per_minute"] == 1
    assert (await changed({})).body["messages_per_minute"] == 1
    assert (await changed({"messages_per_minute": None})).body["messages_per_minute"] is None
    for wrong in (0, 60_001, -1, 1.5, "600"):
        assert (await changed({"messages_per_minute": wrong})).code == "invalid"
    await shop.caller.post(f"{path}/cancel")
    refused = await changed({"messages_per_minute": 5})
    assert (refused.status, refused.code) == (409, "campaign_state")


async def test_what_the_guard_paused_goes_on_when_asked_to_all_the_same_and_never_by_a_plain_resume(
    shop: Shop,
) -> None:
    await shop.subscribers(3)
    offer = (await shop.campaign())["offer"]
    draft = {"offer": offer, "audience": {"all": True}, "guard": {"stop_percent": 1.25}}
    made = (await shop.caller.post("/v1/campaigns", draft)).body
    assert made["guard"] == {"on": True, "first_sends": None, "stop_percent": 1.25, "failure_percent": None}
    path = f"/v1/campaigns/{made['id']}"
    assert (await shop.caller.post(f"{path}/start")).status == 200
    await shop.execute(
        "UPDATE campaign SET state = 'paused', paused_reason = 'stop_rate' WHERE campaign_id = $1",
        shop.id_of(Kind.CAMPAIGN, made["id"]),
    )
    assert (await shop.caller.get(path)).body["paused_reason"] == "stop_rate"
    assert (await shop.caller.post(f"{path}/pause")).body["paused_reason"] == "stop_rate"
    refused = await shop.caller.post(f"{path}/resume")
    assert (refused.status, refused.code) == (409, "campaign_guarded")
    went_on = (await shop.caller.post(f"{path}/resume?guard=off")).body
    assert (went_on["state"], went_on["paused_reason"], went_on["guard"]["on"]) == ("sending", None, False)
    again = (await shop.caller.call("PATCH", path, {"guard": {"first_sends": 500}})).body["guard"]
    assert again == {"on": True, "first_sends": 500, "stop_percent": None, "failure_percent": None}
    assert (await shop.caller.call("PATCH", path, {"guard": {"stop_percent": 101}})).code == "invalid"
