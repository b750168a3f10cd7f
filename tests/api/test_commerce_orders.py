from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from smsgate.campaigns.texts import LANGUAGES
from smsgate.flows.orders import ShopAnswer
from smsgate.protocol.segmentation import measure
from smsgate.security.proof_chain import ProofKey
from smsgate.security.proof_stamps import verify
from smsgate.security.public_ids import Kind
from tests.api.commerce_setup import SENDER, Shop


async def told(shop: Shop) -> list[tuple[str, str, str]]:
    rows = await shop.fetch(
        "SELECT m.kind, m.sender, m.body FROM message m "
        "JOIN interactive_queue q USING (merchant_id, message_id)"
    )
    return [(row["kind"], row["sender"], row["body"]) for row in rows]


async def test_a_confirmation_is_the_shops_word_and_the_buyer_is_not_written_to(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(stock=5), buyer)
    confirmed = await shop.caller.post(f"/v1/orders/{order}/confirm", {"order_ref": "B-889"})
    assert confirmed.status == 200, confirmed
    assert (confirmed.body["state"], confirmed.body["order_ref"]) == ("confirmed", "B-889")
    assert (confirmed.body["total"], confirmed.body["currency"]) == ("19.90", "EUR")
    assert await told(shop) == []
    again = await shop.caller.post(f"/v1/orders/{order}/confirm", {"order_ref": "B-889"})
    assert (again.status, again.body["sequence"]) == (200, 2)
    other = await shop.caller.post(f"/v1/orders/{order}/confirm", {"order_ref": "B-890"})
    assert (other.status, other.code) == (409, "order_state")
    steps = (await shop.caller.get(f"/v1/orders/{order}")).body["steps"]
    assert [(step["event"], step["actor"]) for step in steps] == [
        ("customer_ok", "customer"), ("shop_confirm", "shop"),
    ]  # fmt: skip


async def test_a_rejection_gives_stock_back_once_and_tells_the_buyer_once(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    campaign = await shop.campaign(stock=5, quantity_max=5)
    order = await shop.order(campaign, buyer, quantity=3)
    for _ in range(2):
        answer = await shop.caller.post(f"/v1/orders/{order}/reject", {"reason": "rupture de stock"})
        assert (answer.status, answer.body["state"]) == (200, "rejected")
    assert await shop.value("SELECT stock_remaining FROM offer") == 5
    [(kind, sender, body)] = await told(shop)
    assert (kind, sender) == ("order_rejected", SENDER)
    assert "Boxman" in body
    assert "rupture de stock" in body
    assert measure(body).segments == 1
    assert await shop.value("SELECT count(*) FROM order_event WHERE event = 'shop_reject'") == 1


async def test_a_reason_too_long_for_the_text_stays_with_the_order(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    reason = "le fournisseur ne livre plus cet article avant le printemps"
    await shop.caller.post(f"/v1/orders/{order}/reject", {"reason": reason})
    read = await shop.caller.get(f"/v1/orders/{order}")
    assert read.body["steps"][-1]["detail"] == {"reason": reason}
    [(_, _, body)] = await told(shop)
    assert reason[:10] not in body


async def test_a_confirmed_order_can_be_cancelled_and_the_buyer_is_told(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(stock=5), buyer)
    await shop.caller.post(f"/v1/orders/{order}/confirm", {})
    cancelled = await shop.caller.post(f"/v1/orders/{order}/cancel", {"reason": "broken in transport"})
    assert cancelled.body["state"] == "cancelled"
    assert await shop.value("SELECT stock_remaining FROM offer") == 5
    assert [kind for kind, _, _ in await told(shop)] == ["order_cancelled"]
    late = await shop.caller.post(f"/v1/orders/{order}/confirm", {})
    assert (late.status, late.code) == (409, "order_state")


async def test_confirm_and_reject_at_once_have_one_winner(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(stock=5), buyer)
    paths = [f"/v1/orders/{order}/{step}" for step in ("confirm", "reject") * 5]
    answers = await asyncio.gather(*(shop.caller.post(path, {}) for path in paths))
    state = (await shop.caller.get(f"/v1/orders/{order}")).body["state"]
    won, lost = ("confirm", "reject") if state == "confirmed" else ("reject", "confirm")
    for path, answer in zip(paths, answers, strict=True):
        assert answer.status == (200 if path.endswith(won) else 409), (won, lost, answer)
    assert await shop.value("SELECT count(*) FROM order_event") == 2
    assert await shop.value("SELECT stock_remaining FROM offer") == (4 if state == "confirmed" else 5)


async def test_an_order_shows_what_its_messages_cost_and_why(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    await shop.caller.post(f"/v1/orders/{order}/reject", {})
    system_id = await shop.value("SELECT message_id FROM interactive_queue")
    await shop.execute(
        "INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, "
        "sell_micros, cost_item_id, cost_micros, sent_at) VALUES ($1, $2, 1, 1, 0, 1, $3, 45000, 0, 0, $4)",
        shop.merchant_id, system_id, shop.item_id, shop.clock.now(),
    )  # fmt: skip
    cost = (await shop.caller.get(f"/v1/orders/{order}")).body["message_cost"]
    assert cost == {
        "offer_message": [
            {
                "direction": "mt", "network": "208", "unit_price": "0.045",
                "price_item": shop.public(Kind.PRICE_ITEM, shop.item_id),
                "segments": 1, "amount": "0.045", "currency": "EUR",
            }
        ],
        "system_messages": 1,
        "system_amount": "0.045",
        "total": "0.09",
    }  # fmt: skip


async def test_orders_are_listed_by_state_and_campaign(shop: Shop) -> None:
    first, second = await shop.subscribers(2)
    campaign = await shop.campaign()
    one, two = await shop.order(campaign, first), await shop.order(campaign, second)
    await shop.caller.post(f"/v1/orders/{one}/confirm", {})

    async def listed(query: str) -> list[str]:
        answer = await shop.caller.get(f"/v1/orders?{query}")
        return [row["id"] for row in answer.body["data"]]

    assert await listed("limit=10") == [two, one]
    assert await listed("state=confirmed") == [one]
    assert await listed(f"campaign={campaign['id']}&state=placed") == [two]
    assert (await shop.caller.get("/v1/orders?state=unheard_of")).status == 422


async def test_another_merchant_sees_and_moves_nothing(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    stranger = await shop.api.merchant()
    assert (await stranger.get(f"/v1/orders/{order}")).status == 404
    for step in ("confirm", "reject", "cancel"):
        assert (await stranger.post(f"/v1/orders/{order}/{step}", {})).status == 404
    assert (await stranger.get("/v1/orders")).body["data"] == []
    assert (await shop.caller.get(f"/v1/orders/{order}")).body["state"] == "placed"


@pytest.mark.parametrize(
    ("answer", "result", "state"),
    [
        ({"decision": "confirm", "order_ref": "B-1"}, ShopAnswer.APPLIED, "confirmed"),
        ({"decision": "confirm", "order_ref": 889}, ShopAnswer.APPLIED, "confirmed"),
        ({"decision": "reject", "reason": "sold"}, ShopAnswer.APPLIED, "rejected"),
        ({"decision": "perhaps"}, ShopAnswer.REFUSED, "placed"),
        ({"decision": "confirm", "order_ref": ["B"]}, ShopAnswer.REFUSED, "placed"),
        ({"decision": "confirm", "order_ref": "x" * 101}, ShopAnswer.REFUSED, "placed"),
        ({"decision": None}, ShopAnswer.REFUSED, "placed"),
        ({}, ShopAnswer.NONE, "placed"),
        ("OK", ShopAnswer.NONE, "placed"),
        (None, ShopAnswer.NONE, "placed"),
    ],
)
async def test_a_decision_in_the_shops_answer_is_applied(
    shop: Shop, answer: object, result: ShopAnswer, state: str
) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    orders = shop.commerce.orders
    assert await orders.apply_shop_answer(shop.merchant_id, order, answer) is result
    assert (await shop.caller.get(f"/v1/orders/{order}")).body["state"] == state


async def test_a_decision_that_comes_too_late_is_refused_without_an_error(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    await shop.caller.post(f"/v1/orders/{order}/cancel", {})
    orders = shop.commerce.orders
    late = await orders.apply_shop_answer(
        shop.merchant_id, shop.id_of(Kind.ORDER, order), {"decision": "confirm"}
    )
    assert late is ShopAnswer.REFUSED


async def test_a_foreign_a_missing_and_a_senseless_id_get_the_same_words(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    stranger = await shop.api.merchant()
    answers = [
        await stranger.get(f"/v1/orders/{order}"),
        await stranger.get(f"/v1/orders/{shop.public(Kind.ORDER, shop.next_id())}"),
        await stranger.get("/v1/orders/ord_senseless"),
        await stranger.get(f"/v1/orders/{shop.public(Kind.OFFER, 1)}"),
    ]
    told = [{name: a.body[name] for name in a.body if name != "request_id"} for a in answers]
    assert told == [told[0]] * 4
    assert told[0]["status"] == 404


async def test_an_action_is_told_with_its_link_and_ends_the_order_when_nobody_acts(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(stock=5), buyer)
    until = shop.clock.now() + timedelta(hours=3)
    body = {"link": "bxm.fr/p/1", "until": until.isoformat()}
    asked = await shop.caller.post(f"/v1/orders/{order}/require_action", body)
    assert (asked.status, asked.body["state"]) == (200, "placed")
    [(kind, _, text)] = await told(shop)
    assert (kind, "bxm.fr/p/1" in text) == ("order_action", True)
    assert await shop.value("SELECT due_event FROM orders") == "action_expired"
    step = (await shop.caller.get(f"/v1/orders/{order}")).body["steps"][-1]
    assert (step["event"], step["detail"]["link"]) == ("shop_require_action", "bxm.fr/p/1")

    await shop.execute("UPDATE orders SET due_at = $1", shop.clock.now())
    await shop.commerce.orders.fire_due()
    assert await shop.value("SELECT state FROM orders") == "expired"
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'order.action_expired'") == 1
    assert [kind for kind, _, _ in await told(shop)] == ["order_action", "order_cancelled"]


@pytest.mark.parametrize("until", ["2020-01-01T00:00:00Z", "2026-12-31T00:00:00Z"])
async def test_an_action_has_a_time_ahead_and_near(shop: Shop, until: str) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    answer = await shop.caller.post(f"/v1/orders/{order}/require_action", {"link": "b.fr", "until": until})
    assert (answer.status, answer.code) == (422, "action_invalid")


async def ask_to_act(shop: Shop, order: str, link: str, until: datetime, way: str) -> bool:
    """Ask by the API, or in the answer to the order's event; return whether that was taken."""
    body = {"link": link, "until": until.isoformat()}
    if way == "api":
        answer = await shop.caller.post(f"/v1/orders/{order}/require_action", body)
        assert answer.status == 200 or (answer.status, answer.code) == (422, "action_invalid"), answer
        return answer.status == 200
    decision = {"decision": "require_action", **body}
    answered = await shop.commerce.orders.apply_shop_answer(shop.merchant_id, order, decision)
    return answered is ShopAnswer.APPLIED


BOTH_WAYS = pytest.mark.parametrize("way", ["api", "answer"])


@BOTH_WAYS
async def test_the_buyer_reads_the_time_to_act_of_the_merchants_own_clocks(shop: Shop, way: str) -> None:
    """Whatever offset the shop writes it with: what a Paris shop means as 18:00 is 18:00 to its buyer."""
    day = shop.clock.now().date()
    at_six = [
        datetime.combine(day + timedelta(days=days), time(18), ZoneInfo("Europe/Paris")) for days in (2, 3)
    ]
    offsets = [UTC, timezone(timedelta(hours=-5))]
    campaign = await shop.campaign()
    for until, offset, buyer in zip(at_six, offsets, await shop.subscribers(2), strict=True):
        order = await shop.order(campaign, buyer)
        assert await ask_to_act(shop, order, "bxm.fr/p/1", until.astimezone(offset), way)
    for until, (_, _, text) in zip(at_six, await told(shop), strict=True):
        assert f"avant {until:%d.%m.} 18:00: " in text


async def test_a_corrected_link_is_told_and_its_repetition_is_not(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    until = shop.clock.now() + timedelta(hours=3)
    for link in ("bxm.fr/p/1", "bxm.fr/p/2", "bxm.fr/p/2", "bxm.fr/p/1"):
        assert await ask_to_act(shop, order, link, until, "api")
    assert await links(shop, order) == ["bxm.fr/p/1", "bxm.fr/p/2", "bxm.fr/p/1"]


@BOTH_WAYS
async def test_an_answer_to_the_event_that_comes_again_or_late_takes_back_no_link(
    shop: Shop, way: str
) -> None:
    """Nobody decides in it: what is delivered again is answered as it was, or by another endpoint."""
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    until = shop.clock.now() + timedelta(hours=3)
    first, second, third = "bxm.fr/p/1", "bxm.fr/p/2", "bxm.fr/p/3"
    assert await ask_to_act(shop, order, first, until, way)
    assert await ask_to_act(shop, order, second, until, "api")
    assert await ask_to_act(shop, order, second, until, "answer"), "it is so"
    assert await ask_to_act(shop, order, first, until, "answer"), "it was so, and is answered for"
    assert not await ask_to_act(shop, order, third, until, "answer")
    assert not await ask_to_act(shop, order, second, until + timedelta(hours=1), "answer")
    assert await links(shop, order) == [first, second]


async def links(shop: Shop, order: str) -> list[str]:
    """Return the links that the order's steps tell, which are those that its buyer was told."""
    steps = (await shop.caller.get(f"/v1/orders/{order}")).body["steps"]
    found = [step["detail"]["link"] for step in steps[1:]]
    assert [body.split()[-1] for _, _, body in await told(shop)] == found
    return found


@BOTH_WAYS
@pytest.mark.parametrize("link", ["bxm.fr/é", "bxm.fr/„", "bxm.fr/`", "bxm.fr/p 1", "\N{GRINNING FACE}" * 30])
@pytest.mark.parametrize("language", ["fr", "ru"])
async def test_a_link_that_would_not_arrive_as_it_is_written_is_refused(
    shop: Shop, way: str, link: str, language: str
) -> None:
    [buyer] = await shop.subscribers(1)
    await shop.execute("UPDATE subscriber SET language = $1", language)
    order = await shop.order(await shop.campaign(), buyer)
    assert not await ask_to_act(shop, order, link, shop.clock.now() + timedelta(hours=3), way)
    assert await told(shop) == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_dearest_link_fits_and_arrives_as_it_is_written(shop: Shop, language: str) -> None:
    [buyer] = await shop.subscribers(1)
    await shop.execute("UPDATE subscriber SET language = $1", language)
    order = await shop.order(await shop.campaign(), buyer)
    link = "~" * 30  # each is two septets
    assert await ask_to_act(shop, order, link, shop.clock.now() + timedelta(hours=3), "api")
    [(_, _, body)] = await told(shop)
    assert body.endswith(link)
    assert measure(body).segments == 1


async def test_the_shop_tells_when_the_buyer_has_the_goods(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    await shop.caller.post(f"/v1/orders/{order}/confirm", {})
    now = shop.clock.now()
    early = {"delivered_at": (now - timedelta(days=30)).isoformat()}
    refused = await shop.caller.post(f"/v1/orders/{order}/fulfil", early)
    assert (refused.status, refused.code) == (422, "delivered_at_invalid")
    told_at = {"delivered_at": (now + timedelta(minutes=1)).isoformat()}
    for _ in range(2):
        answer = await shop.caller.post(f"/v1/orders/{order}/fulfil", told_at)
        assert (answer.status, answer.body["state"]) == (200, "fulfilled")
    assert await shop.value("SELECT count(*) FROM order_event WHERE event = 'shop_fulfil'") == 1


async def test_an_answer_to_the_event_may_ask_for_an_action(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    apply = shop.commerce.orders.apply_shop_answer
    for answer in (
        {"decision": "require_action"},
        {"decision": "require_action", "link": "b.fr", "until": "soon"},
        {"decision": "require_action", "link": "b.fr", "until": "2030-01-01T00:00:00"},
    ):
        assert await apply(shop.merchant_id, order, answer) is ShopAnswer.REFUSED
    until = (shop.clock.now() + timedelta(hours=3)).isoformat()
    asked = {"decision": "require_action", "link": "b.fr", "until": until}
    assert await apply(shop.merchant_id, order, asked) is ShopAnswer.APPLIED
    assert [kind for kind, _, _ in await told(shop)] == ["order_action"]


async def test_the_proof_file_of_an_order_is_its_merchants_and_verifies(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    order = await shop.order(await shop.campaign(), buyer)
    caller, path = shop.caller, f"/v1/orders/{order}/proof"
    headers = {"Authorization": f"Bearer {caller.key}"}
    async with caller.session.get(caller.base + path, headers=headers) as answer:
        assert answer.status == 200
        assert f'filename="{order}.proof"' in answer.headers["Content-Disposition"]
        verdict, held = verify(await answer.read())
    assert (verdict.wrong, verdict.key) == (None, ProofKey(bytes(32)).public)
    assert held.stamped
    foreign = await (await shop.api.merchant()).get(path)
    assert (foreign.status, foreign.code) == (404, "not_found")
