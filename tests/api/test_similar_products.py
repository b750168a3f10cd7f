"""Offers of similar products to one's own customers: a sale in the place of a consent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smsgate.security.public_ids import Kind
from tests.api.api_server import Answer
from tests.api.commerce_setup import Shop


class Customer:
    """Somebody who agreed to nothing, and bought something."""

    def __init__(self, shop: Shop, subscriber_id: int, order: str) -> None:
        self.shop = shop
        self.subscriber_id = subscriber_id
        self.id = shop.public(Kind.SUBSCRIBER, subscriber_id)
        self.order = order

    async def is_named(self, **more: Any) -> Answer:
        body = {
            "subscriber": self.id, "event": "granted", "wording_version": "checkout-3", "source": "checkout",
            "occurred_at": self.shop.clock.now().isoformat(), "similar_products": {"order": self.order},
            **more,
        }  # fmt: skip
        return await self.shop.caller.post("/v1/consents", body)

    async def state(self) -> str:
        sql = "SELECT offers_state FROM subscriber WHERE subscriber_id = $1"
        return str(await self.shop.value(sql, self.subscriber_id))


async def a_customer(shop: Shop) -> Customer:
    (subscriber_id,) = await shop.subscribers(1)
    campaign = await shop.campaign()
    order = await shop.order(campaign, subscriber_id)
    await shop.execute("UPDATE subscriber SET offers_state = 'none'")
    return Customer(shop, subscriber_id, order)


async def test_a_sale_lets_offers_go_and_is_logged_with_its_order_and_its_wording(shop: Shop) -> None:
    customer = await a_customer(shop)
    made = await customer.is_named()
    assert made.status == 201, made
    assert (made.body["basis"], made.body["event"]) == ("similar_products", "similar_products")
    assert made.body["wording_version"] == "checkout-3"
    assert made.body["evidence"]["order"] == customer.order
    assert await customer.state() == "subscribed"
    told = await shop.fetch("SELECT type FROM event WHERE type LIKE 'consent.%'")
    assert [row["type"] for row in told] == ["consent.granted"]


async def test_without_the_wording_by_which_objection_was_offered_it_is_refused(shop: Shop) -> None:
    refused = await (await a_customer(shop)).is_named(wording_version="")
    assert (refused.status, refused.code) == (422, "consent_missing")


async def test_a_stop_is_taken_back_by_no_purchase(shop: Shop) -> None:
    customer = await a_customer(shop)
    await customer.is_named()
    stop = {"subscriber": customer.id, "event": "revoked", "source": "telephone"}
    at = (shop.clock.now() - timedelta(days=900)).isoformat()  # long before the order
    assert (await shop.caller.post("/v1/consents", {**stop, "occurred_at": at})).status == 201
    refused = await customer.is_named()
    assert (refused.status, refused.code) == (409, "stop_is_newer")
    assert await customer.state() == "unsubscribed"


async def test_a_stop_after_the_order_stands_whatever_the_state_is_by_now(shop: Shop) -> None:
    customer = await a_customer(shop)
    shop.clock.advance(60)
    stop = {"subscriber": customer.id, "event": "revoked", "source": "telephone"}
    await shop.caller.post("/v1/consents", {**stop, "occurred_at": shop.clock.now().isoformat()})
    await shop.execute("UPDATE subscriber SET offers_state = 'expired'")
    shop.clock.advance(60)
    assert (await customer.is_named()).code == "stop_is_newer"


@pytest.mark.parametrize("state", ["cancelled", "rejected", "withdrawn", "awaiting_confirmation"])
async def test_an_order_that_sold_nothing_makes_no_customer(shop: Shop, state: str) -> None:
    customer = await a_customer(shop)
    await shop.execute("UPDATE orders SET state = $1", state)
    assert (await customer.is_named()).code == "order_no_sale"
    assert await customer.state() == "none"


async def test_another_persons_order_makes_no_customer(shop: Shop) -> None:
    customer, other = await a_customer(shop), await a_customer(shop)
    assert (await customer.is_named(similar_products={"order": other.order})).code == "order_no_sale"


async def test_where_only_consent_counts_a_sale_is_refused(shop: Shop) -> None:
    customer = await a_customer(shop)
    await shop.execute("UPDATE subscriber SET country = 'US'")
    refused = await customer.is_named()
    assert (refused.status, refused.code) == (422, "basis_not_allowed")


@pytest.mark.parametrize(
    "more", [{"purpose": "location"}, {"event": "revoked"}, {"double_opt_in": {"sender": "36111"}}]
)
async def test_a_sale_is_a_basis_for_offers_and_for_nothing_else(shop: Shop, more: dict[str, Any]) -> None:
    refused = await (await a_customer(shop)).is_named(**more)
    assert refused.status == 422
    assert refused.body["errors"][0]["pointer"] == "/similar_products"
