"""The shop against webhooks signed by the Standard Webhooks reference library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from smsgate.errors import ConfigError
from smsgate.security.webhook_signatures import new_secret
from smsgate.simulator.shop import Decision, Shop, ShopSettings
from tests.simulator.smsc_peers import eventually


@asynccontextmanager
async def running_shop(decision: Decision = "in_response", **settings: Any) -> AsyncIterator[Shop]:
    shop = Shop(ShopSettings([new_secret()], decision, **settings))
    await shop.start()
    try:
        yield shop
    finally:
        await shop.stop()


def order_created(order_id: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "smsgate",
        "type": "order.created",
        "subject": order_id,
        "data": {"quantity": 1},
    }


async def post(
    shop: Shop,
    event: dict[str, Any],
    webhook_id: str = "evt_1",
    *,
    secret: str | None = None,
    age: timedelta = timedelta(0),
    tampered: bool = False,
    timeout_s: float = 5.0,
) -> tuple[int, dict[str, Any]]:
    body = json.dumps(event)
    at = datetime.now(UTC) - age
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret or shop.settings.secrets[-1]).sign(webhook_id, at, body),
        "content-type": "application/json",
    }
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.post(shop.url, data=body + " " * tampered, headers=headers) as response:
            return response.status, json.loads(await response.read() or b"{}")


async def test_an_order_is_verified_counted_and_confirmed_in_the_answer() -> None:
    async with running_shop() as shop:
        assert await post(shop, order_created("ord_a")) == (
            200,
            {"decision": "confirm", "order_ref": "B-1"},
        )
        assert await post(shop, order_created("ord_b"), "evt_2") == (
            200,
            {"decision": "confirm", "order_ref": "B-2"},
        )
        assert (shop.verified_once, shop.verified_more, shop.confirmed) == (2, 0, 2)
        assert [event.subject for event in shop.received] == ["ord_a", "ord_b"]


async def test_forged_stale_and_tampered_webhooks_are_refused_and_counted() -> None:
    async with running_shop() as shop:
        refused = [
            await post(shop, order_created("ord_a"), secret=new_secret()),
            await post(shop, order_created("ord_a"), tampered=True),
            await post(shop, order_created("ord_a"), age=timedelta(minutes=6)),
        ]
        assert [status for status, _ in refused] == [401, 401, 401]
        assert shop.forged == 3
        assert shop.forged_reasons == {"no_match": 2, "timestamp_too_old": 1}
        assert not shop.received
        assert shop.verified_once == 0


async def test_a_webhook_that_comes_again_counts_once_and_gets_the_same_answer() -> None:
    async with running_shop() as shop:
        first = await post(shop, order_created("ord_a"))
        assert await post(shop, order_created("ord_a")) == first
        assert (shop.verified_once, shop.repeated, shop.confirmed) == (1, 1, 1)


async def test_the_same_order_under_two_webhook_ids_is_seen_as_a_fault() -> None:
    async with running_shop() as shop:
        await post(shop, order_created("ord_a"), "evt_1")
        await post(shop, order_created("ord_a"), "evt_2")
        assert (shop.verified_once, shop.verified_more) == (0, 1)
        assert shop.confirmed == 1


async def test_a_signed_challenge_is_answered_and_a_forged_one_is_not() -> None:
    challenge = {"type": "endpoint.challenge", "data": {"challenge": "c-123"}}
    async with running_shop() as shop:
        assert await post(shop, challenge) == (200, {"challenge": "c-123"})
        assert (await post(shop, challenge, secret=new_secret()))[0] == 401
        assert shop.challenges == 1
        assert not shop.received


async def test_a_shop_that_registers_answers_a_challenge_and_nothing_else_until_it_learns_its_secret() -> (
    None
):
    secret = new_secret()
    challenge = {"type": "endpoint.challenge", "data": {"challenge": "c-123", "endpoint": "whe_a"}}
    shop = Shop()
    await shop.start()
    assert await post(shop, challenge, secret=secret) == (200, {"challenge": "c-123"})
    assert (await post(shop, order_created("ord_a"), secret=secret))[0] == 401
    shop.learn(secret)
    assert (await post(shop, order_created("ord_a"), secret=secret))[0] == 200
    assert (shop.challenges, shop.forged, shop.verified_once) == (1, 1, 1)
    with pytest.raises(ConfigError):
        shop.learn("whsec_short")
    await shop.stop()


async def test_a_failing_shop_takes_nothing_until_it_recovers() -> None:
    async with running_shop() as shop:
        shop.fail("error", for_s=600.0)
        assert (await post(shop, order_created("ord_a")))[0] == 500
        assert (shop.failed, shop.verified_once) == (1, 0)
        shop.recover()
        assert (await post(shop, order_created("ord_a")))[0] == 200
        assert (shop.verified_once, shop.repeated) == (1, 0)


async def test_a_lost_answer_is_a_taken_order_that_comes_again() -> None:
    async with running_shop() as shop:
        shop.fail("lost_answer", for_s=600.0)
        try:
            await post(shop, order_created("ord_a"), timeout_s=0.3)
        except TimeoutError:
            shop.recover()
        status, answer = await post(shop, order_created("ord_a"))
        assert (status, answer["order_ref"]) == (200, "B-1")
        assert (shop.verified_once, shop.repeated, shop.failed) == (1, 1, 1)


async def test_orders_are_confirmed_later_by_the_api_with_retries_under_one_idempotency_key() -> None:
    requests: list[tuple[str, str, str, dict[str, Any]]] = []

    async def confirm(request: web.Request) -> web.Response:
        headers = request.headers
        key = headers["Idempotency-Key"]
        requests.append((request.path, headers["Authorization"], key, await request.json()))
        if request.match_info["id"] == "ord_gone":
            return web.Response(status=404)
        return web.Response(status=503 if len(requests) == 1 else 200)

    app = web.Application()
    app.router.add_post("/v1/orders/{id}/confirm", confirm)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with running_shop("later", api_url=url, api_key="sk_test") as shop:
        assert await post(shop, order_created("ord_a")) == (202, {})
        assert await post(shop, order_created("ord_gone"), "evt_2") == (202, {})
        await eventually(lambda: shop.confirm_failures)
        assert shop.confirmed == 1
        assert shop.confirm_failures == ["ord_gone"]
        expected = ("/v1/orders/ord_a/confirm", "Bearer sk_test", "confirm-ord_a", {"order_ref": "B-1"})
        assert requests[:2] == [expected, expected]
        assert len(requests) == 3
    await runner.cleanup()


async def test_stopping_does_not_wait_for_webhooks_that_hang() -> None:
    shop = Shop(ShopSettings([new_secret()]))
    await shop.start()
    shop.fail("hang", for_s=600.0)
    task = asyncio.create_task(post(shop, order_created("ord_a")))
    await eventually(lambda: shop.failed)
    await asyncio.wait_for(shop.stop(), 5.0)
    assert (await task)[0] == 500


async def test_a_verified_body_that_is_no_event_is_refused() -> None:
    async with running_shop() as shop:
        assert (await post(shop, {"hello": "world"}))[0] == 400
        assert shop.unreadable == 1
