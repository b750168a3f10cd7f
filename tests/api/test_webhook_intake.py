"""Webhooks that come together share a transaction; triggers kept in memory are believed by nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smsgate.flows.webhook_intake import ATTEMPTS_MAX
from tests.api.commerce_setup import Shop
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


async def test_of_many_webhooks_at_once_each_is_accepted_or_refused_by_itself(shop: Shop) -> None:
    """They share transactions; who is refused takes nobody along, and a repetition starts nothing."""
    await shop.subscribers(3, tags=("vip",))
    await shop.offer(external_id="taken")
    made = await created(shop)

    def event(n: int) -> tuple[str, dict[str, Any]]:
        match n % 4:
            case 0:
                return f"new-{n}", a_shop_event(id=f"evt-{n}")
            case 1:
                return f"taken-{n}", a_shop_event(id="taken")
            case 2:
                return "twin", a_shop_event(id="evt-twin")
            case _:
                return f"nobody-{n}", a_shop_event(id=f"evt-{n}", group="nobody")

    async def answered(n: int) -> tuple[int, int, str]:
        webhook_id, document = event(n)
        answer = await fire(shop, made["id"], made["secret"], document, webhook_id=webhook_id)
        return n % 4, answer.status, answer.code if answer.status >= 400 else answer.body["campaign"]

    answers = await asyncio.gather(*(answered(n) for n in range(80)))
    assert {status for kind, status, _ in answers if kind in {0, 2}} == {202}
    assert len({campaign for kind, _, campaign in answers if kind == 0}) == 20
    assert len({campaign for kind, _, campaign in answers if kind == 2}) == 1
    assert {(status, code) for kind, status, code in answers if kind == 1} == {(409, "external_id_taken")}
    assert {(status, code) for kind, status, code in answers if kind == 3} == {(422, "audience_empty")}
    assert await written(shop) == {
        "offer": 22, "offer_version": 22, "campaign": 21, "campaign_chunk": 21, "trigger_event": 21,
    }  # fmt: skip


async def test_what_changes_a_trigger_holds_for_the_next_webhook_though_the_trigger_is_in_memory(
    shop: Shop,
) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    path = f"{PATH}/{made['id']}"

    async def answered(n: int, secret: str) -> tuple[int, str]:
        answer = await fire(shop, made["id"], secret, a_shop_event(id=f"e{n}"), webhook_id=f"msg_{n}")
        return answer.status, answer.code if answer.status >= 400 else ""

    assert await answered(1, made["secret"]) == (202, "")
    await shop.caller.call("PATCH", path, {"state": "disabled"})
    assert await answered(2, made["secret"]) == (401, "signature_invalid")
    await shop.caller.call("PATCH", path, {"state": "active"})
    assert await answered(3, made["secret"]) == (202, "")
    secret = (await shop.caller.post(f"{path}/rotate_secret")).body["secret"]
    assert await answered(4, secret) == (202, "")
    await shop.caller.call("PATCH", path, {"text": SETTINGS["text"].replace("STOP 36111", "")})
    assert await answered(5, secret) == (422, "mandatory_info_missing")
    await shop.caller.call("PATCH", path, {"text": SETTINGS["text"]})
    await shop.execute_as_owner("UPDATE merchant SET state = 'suspended'")
    assert await answered(6, secret) == (403, "merchant_suspended")
    await shop.execute_as_owner("UPDATE merchant SET state = 'active'")
    assert await answered(7, secret) == (202, "")
    assert (await shop.caller.call("DELETE", path)).status == 204
    assert await answered(8, secret) == (401, "signature_invalid")


async def test_a_trigger_that_is_changed_under_each_attempt_is_given_up_and_nothing_stored(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    store = shop.commerce.webhook_intake._store  # where a change can come between
    receive = store.receive
    attempts = 0

    async def overtaken(merchant_id: int, webhook: Any) -> Any:
        nonlocal attempts
        attempts += 1
        await shop.caller.call("PATCH", f"{PATH}/{made['id']}", {"name": f"change {attempts}"})
        return await receive(merchant_id, webhook)

    monkeypatch.setattr(store, "receive", overtaken)
    answer = await fire(shop, made["id"], made["secret"], a_shop_event())
    assert (answer.status, answer.code, attempts) == (409, "conflict", ATTEMPTS_MAX)
    assert await written(shop) == NOTHING
    monkeypatch.undo()
    assert (await fire(shop, made["id"], made["secret"], a_shop_event())).status == 202


@pytest.mark.parametrize("by_number", [False, True])
async def test_a_price_that_was_published_a_moment_ago_counts(shop: Shop, by_number: bool) -> None:
    [swede] = await shop.subscribers(1)
    await shop.execute("UPDATE subscriber SET msisdn = 46701234567 WHERE subscriber_id = $1", swede)
    mapping = {k: v for k, v in MAPPING.items() if k != "audience"} | {"recipients": "$.to"}
    made = await created(shop, mapping=mapping if by_number else MAPPING)
    event = a_shop_event(to="+46701234567")
    refused = await fire(shop, made["id"], made["secret"], event)
    assert (refused.status, refused.code) == (422, "price_missing")
    # By another process, so that nothing here hears of it.
    await shop.execute_as_owner(
        "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
        "SELECT price_list_id, 2, effective_from + interval '1 day', source_sha256 FROM price_version"
    )
    await shop.execute_as_owner(
        "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros, basis) "
        "SELECT 9, price_list_id, 2, direction, '240', unit_micros, basis FROM price_item "
        "WHERE direction = 'mt'"
    )
    assert (await fire(shop, made["id"], made["secret"], event)).status == 202
