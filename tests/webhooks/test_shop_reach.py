"""Whose shop takes no orders, and who is well again; on a real database and real sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from aiohttp import web

from smsgate.flows.shop_reach import LOST_AFTER, LOST_FAILURES_MIN, PROBE_EVERY, ShopReach
from smsgate.store.shop_reach import PgShopReach
from tests.webhooks.gateway import MERCHANT, Gateway, answering

LONG_S = LOST_AFTER.total_seconds()


class Shops:
    """The gateway's deliveries and its look at shops."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        store = PgShopReach(gateway.database, gateway.ids, lambda merchant: f"mrc_{merchant}")
        self.reach = ShopReach(store, gateway.clock)

    async def lost(self) -> bool:
        """Look; return whether the merchant's offers wait."""
        await self.reach.step()
        async with self.gateway.database.bulk() as connection:
            at = await connection.fetchval(
                "SELECT shop_lost_at FROM merchant WHERE merchant_id = $1", MERCHANT
            )
        assert self.reach.unreached == (at is not None)
        return at is not None

    async def told(self) -> list[str]:
        async with self.gateway.database.bulk() as connection:
            rows = await connection.fetch(
                "SELECT type FROM event WHERE merchant_id = $1 AND type LIKE 'merchant.%' ORDER BY event_id",
                MERCHANT,
            )
        return [row["type"] for row in rows]

    async def try_for(self, seconds: float) -> None:
        """Make the attempts that are due within the time, the looks between them."""
        until = self.gateway.clock.now() + timedelta(seconds=seconds)
        while self.gateway.clock.now() < until:
            await self.gateway.turn()
            await self.reach.step()
            self.gateway.clock.advance(min(301.0, (until - self.gateway.clock.now()).total_seconds()))
        await self.gateway.turn()


@pytest.fixture
async def shops(gateway: Gateway) -> Shops:
    async with gateway.database.bulk() as connection:
        await connection.execute(
            "INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency) "
            "VALUES ($1, 'Boxman', 'boxman', 'FR', 'fr', 'Europe/Paris', 'EUR')",
            MERCHANT,
        )
    return Shops(gateway)


def refusing(*types: str) -> Callable[[Any], Awaitable[web.Response]]:
    async def answer(received: Any) -> web.Response:
        return web.Response(status=503 if orjson.loads(received.body)["type"] in types else 200)

    return answer


async def test_a_shop_is_lost_after_failures_over_half_an_hour_and_found_by_the_first_success(
    shops: Shops, shop: Any
) -> None:
    gateway = shops.gateway
    await gateway.endpoint(shop.url())
    await gateway.event()
    shop.answer = answering(500)
    await shops.try_for(LONG_S - 60)
    assert len(shop.received) >= LOST_FAILURES_MIN
    assert not await shops.lost()
    gateway.clock.advance(61)
    assert await shops.lost()
    assert await shops.lost()
    assert await shops.told() == ["merchant.unreachable"]
    shop.answer = answering(200)
    await shops.try_for(PROBE_EVERY.total_seconds() + 1)
    assert not await shops.lost()
    assert await shops.told() == ["merchant.unreachable", "merchant.reachable"]


async def test_a_few_failures_before_a_long_pause_of_our_own_lose_no_shop(shops: Shops, shop: Any) -> None:
    await shops.gateway.endpoint(shop.url())
    await shops.gateway.event()
    shop.answer = answering(500)
    await shops.gateway.turn()
    shops.gateway.clock.advance(10 * LONG_S)  # no process of ours was running
    assert not await shops.lost()


async def test_a_shop_that_takes_receipts_and_refuses_orders_is_lost(shops: Shops, shop: Any) -> None:
    gateway = shops.gateway
    await gateway.endpoint(shop.url())
    await gateway.event("ord_1")
    shop.answer = refusing("order.created")
    for _ in range(9):
        await gateway.event("msg_1", "consent.granted")
        await shops.try_for(300)
    assert await shops.lost()
    shop.answer = answering(200)
    await gateway.event("ord_2")
    await gateway.turn()
    assert not await shops.lost()


async def test_one_order_that_the_shop_never_takes_loses_nobody_while_it_takes_others(
    shops: Shops, shop: Any
) -> None:
    gateway = shops.gateway
    await gateway.endpoint(shop.url())
    poison = await gateway.event("ord_poison")

    async def answer(received: Any) -> web.Response:
        return web.Response(status=500 if orjson.loads(received.body)["subject"] == "ord_poison" else 200)

    shop.answer = answer
    for n in range(30):
        await gateway.event(f"ord_{n}")
        await shops.try_for(300)
        assert not await shops.lost()
    row = await gateway.row(poison)
    # After two and a half hours: its own schedule, however many others are taken.
    assert (row["state"], row["attempts"]) == ("pending", 4)


async def test_what_waits_for_a_shop_that_is_back_goes_at_once(shops: Shops, shop: Any) -> None:
    gateway = shops.gateway
    await gateway.endpoint(shop.url())
    events = [await gateway.event(f"ord_{n}") for n in range(3)]
    shop.answer = answering(500)
    await shops.try_for(3 * 3600)
    assert await shops.lost()
    shop.answer = answering(200)
    await shops.try_for(PROBE_EVERY.total_seconds() + 1)
    await gateway.turn()
    assert [(await gateway.row(event))["state"] for event in events] == ["delivered"] * 3


async def test_a_shop_that_is_away_for_weeks_is_still_tried_and_found(shops: Shops, shop: Any) -> None:
    gateway = shops.gateway
    await gateway.endpoint(shop.url())
    event = await gateway.event()
    shop.answer = answering(500)
    await shops.try_for(2 * LONG_S)
    for _ in range(400):
        gateway.clock.advance(3600)
        await shops.reach.step()
        await gateway.turn()
    assert await shops.lost()
    assert (await gateway.row(event))["state"] == "pending"  # tries out of turn do not use its schedule up
    shop.answer = answering(200)
    await shops.try_for(PROBE_EVERY.total_seconds() + 302)
    assert not await shops.lost()
    assert (await gateway.row(event))["state"] == "delivered"


async def test_when_nothing_waits_for_a_lost_shop_it_is_told_again(shops: Shops, shop: Any) -> None:
    gateway = shops.gateway
    await gateway.endpoint(shop.url(), "order.created")
    await gateway.event()
    shop.answer = answering(500)
    await shops.try_for(2 * LONG_S)
    assert await shops.lost()
    async with gateway.database.bulk() as connection:
        await connection.execute("DELETE FROM webhook_delivery")
    gateway.clock.advance(PROBE_EVERY.total_seconds() + 1)
    shop.answer = answering(200)
    await shops.reach.step()
    await gateway.turn()
    assert not await shops.lost()
    assert await shops.told() == ["merchant.unreachable", "merchant.unreachable", "merchant.reachable"]


async def test_a_second_endpoint_that_takes_orders_keeps_the_offers_going(shops: Shops, shop: Any) -> None:
    gateway = shops.gateway
    await gateway.endpoint(shop.url("down.example.com"))
    await gateway.endpoint(shop.url("up.example.com"), "order.created")
    await gateway.event()

    async def answer(received: Any) -> web.Response:
        return web.Response(status=500 if "down." in received.headers["host"] else 200)

    shop.answer = answer
    await shops.try_for(2 * LONG_S)
    assert not await shops.lost()


async def test_an_endpoint_that_is_gone_is_lost_at_once_and_found_when_it_is_enabled(
    shops: Shops, shop: Any
) -> None:
    gateway = shops.gateway
    endpoint_id, _ = await gateway.endpoint(shop.url())
    await gateway.event()
    shop.answer = answering(410)
    await gateway.turn()
    assert await shops.lost()
    await gateway.enable(endpoint_id)
    assert not await shops.lost()


def types_received(shop: Any) -> list[str]:
    return [orjson.loads(received.body)["type"] for received in shop.received]


async def test_orders_that_are_taken_while_no_endpoint_takes_any_are_handed_over_when_one_is_enabled(
    shops: Shops, shop: Any
) -> None:
    gateway = shops.gateway
    endpoint_id, _ = await gateway.endpoint(shop.url())
    await gateway.endpoint(shop.url(), "consent.revoked")  # one that has to do with no orders
    await gateway.disable(endpoint_id)
    for type_ in ("order.created", "consent.revoked", "order.cancelled"):
        await gateway.event("ord_1", type_)
    await gateway.turn()
    assert types_received(shop) == ["consent.revoked"]
    gateway.clock.advance(86_400.0)
    await gateway.enable(endpoint_id)
    for _ in range(2):  # those of one order one after the other
        await gateway.turn()
    assert types_received(shop) == ["consent.revoked", "order.created", "order.cancelled"]


async def test_nothing_is_kept_for_an_endpoint_that_another_one_has_replaced(shops: Shops, shop: Any) -> None:
    gateway = shops.gateway
    old, _ = await gateway.endpoint(shop.url(path="/old"))
    await gateway.endpoint(shop.url(path="/new"), "order.created")
    await gateway.disable(old)
    for type_ in ("order.created", "order.cancelled"):
        await gateway.event("ord_1", type_)
    await gateway.enable(old)
    for _ in range(2):
        await gateway.turn()
    assert types_received(shop) == ["order.created"]


async def test_who_has_no_endpoint_for_orders_reads_them_by_the_api_and_is_not_lost(
    shops: Shops, shop: Any
) -> None:
    gateway = shops.gateway
    await gateway.endpoint(shop.url(), "consent.revoked")
    await gateway.event("sub_1", "consent.revoked")
    shop.answer = answering(500)
    await shops.try_for(2 * LONG_S)
    assert not await shops.lost()
