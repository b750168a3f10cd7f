"""The scene: who takes part, and how each is reached. Everything goes over HTTP and SMPP, as in real life."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import aiohttp
import orjson

from smsgate.clock import Clock
from smsgate.demo.one_demo import DemoFailed
from smsgate.errors import Invalid
from smsgate.msisdn import normalize
from smsgate.security.webhook_signatures import signed_headers
from smsgate.simulator.shop import Shop

SENDER: Final = "36111"
# 160 septets, the most that one SMS carries, with all that French law wants said before an order.
OFFER_TEXT: Final = (
    "Boxman: le dernier CD de Madonna est là, 19,90€ port compris. Répondez OK = commande avec obligation "
    "de paiement. Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
)
SCOPES: Final = ["send", "read", "subscribers", "orders", "billing.read", "webhooks.manage"]
YOUR_PHONE: Final = "+33612345678"  # answers by hand only
SELL: Final = "0.045"
SELL_MO: Final = "0"  # the customer's answer costs nobody anything
COST: Final = "0.031"
ZONE: Final = "Europe/Paris"  # of the merchant
AUDIENCE: Final = "music"  # the tag of those who get the story's offer
WORDING: Final = "boxman-2026-11"
API_TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0)


@dataclass(slots=True)
class Api:
    """The gateway's HTTP API as a shop's developer uses it."""

    base_url: str
    key: str
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """
        Call a route and return its JSON.

        Raises:
            DemoFailed: any status of 400 or above.
        """
        data = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        given = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers}
        url = self.base_url + path
        async with self.session.request(method, url, data=data, headers=given) as response:
            octets = await response.read()
            if response.status >= 400:
                raise DemoFailed(
                    f"{method} {path}: {response.status} {octets.decode(errors='replace')[:400]}"
                )
            is_json = "json" in response.headers.get("Content-Type", "")
            return orjson.loads(octets) if is_json and octets else octets


@dataclass(slots=True)
class Cast:
    """Who plays: ids and keys made on the way."""

    operator: Api
    merchant: Api
    merchant_id: str
    endpoint: str
    trigger: str
    trigger_path: str
    trigger_secret: str
    msisdns: list[int] = field(default_factory=list)


def phone_numbers(count: int, seed: int) -> list[int]:
    """Return `count` French mobile numbers that exist in the numbering plan, none twice, none yours."""
    rng = random.Random(seed)  # noqa: S311  # a demonstration, no secret
    found: set[int] = set()
    while len(found) < count:
        msisdn = 33_600_000_000 + rng.randrange(100_000_000)
        with suppress(Invalid):
            if normalize(f"+{msisdn}") != YOUR_PHONE[1:]:
                found.add(msisdn)
    return sorted(found)


async def publish_prices(operator: Api, clock: Clock) -> str:
    """Publish what the merchant pays and what the carrier costs; return the selling list."""
    sell = await operator.call(
        "POST", "/v1/price_lists", {"name": "france", "side": "sell", "currency": "EUR"}
    )
    cost = await operator.call(
        "POST", "/v1/price_lists", {"name": "sim-cost", "side": "cost", "currency": "EUR"}
    )
    since = clock.now().isoformat()
    await operator.call(
        "POST",
        f"/v1/price_lists/{sell['id']}/versions",
        {
            "effective_from": since,
            "items": [
                {"direction": "mt", "network": "208", "unit_price": SELL},
                {"direction": "mt", "network": "*", "unit_price": "0.09"},
                {"direction": "mo", "network": "*", "unit_price": SELL_MO},
            ],
        },
    )
    await operator.call(
        "POST",
        f"/v1/price_lists/{cost['id']}/versions",
        {"effective_from": since, "items": [{"direction": "mt", "network": "*", "unit_price": COST}]},
    )
    return str(sell["id"])


async def join(operator: Api, clock: Clock) -> tuple[str, Api]:
    """Do what an operator does once: prices, a merchant with them, its key; return its id and its API."""
    sell = await publish_prices(operator, clock)
    merchant = await operator.call(
        "POST",
        "/v1/merchants",
        {
            "name": "Boxman",
            "slug": "boxman",
            "country": "FR",
            "language": "fr",
            "timezone": ZONE,
            "currency": "EUR",
            "contact": "bxm.fr ou 0800 123 456",
        },
    )
    await operator.call("PUT", f"/v1/merchants/{merchant['id']}/price_list", {"price_list": sell})
    key = await operator.call(
        "POST", f"/v1/merchants/{merchant['id']}/api_keys", {"name": "demo", "mode": "live", "scopes": SCOPES}
    )
    return str(merchant["id"]), Api(operator.base_url, key["key"], operator.session)


async def make_test_key(operator: Api, merchant_id: str) -> str:
    """Make a key for simulated phones."""
    body = {"name": "demo-test", "mode": "test", "scopes": SCOPES}
    key = await operator.call("POST", f"/v1/merchants/{merchant_id}/api_keys", body)
    return str(key["key"])


async def set_up(operator: Api, shop: Shop, subscribers: int, clock: Clock, seed: int) -> Cast:
    """Do what an operator and a merchant do once: prices, merchant, key, subscribers, webhook, trigger."""
    merchant_id, api = await join(operator, clock)
    return await bring_audience(operator, api, merchant_id, shop, phone_numbers(subscribers, seed), clock)


async def bring_audience(
    operator: Api, merchant: Api, merchant_id: str, shop: Shop, msisdns: list[int], clock: Clock
) -> Cast:
    """Do the merchant's part of it."""
    await import_subscribers(merchant, [*msisdns, int(YOUR_PHONE[1:])], clock)
    return await open_shop(operator, merchant, merchant_id, shop, msisdns)


async def open_shop(operator: Api, merchant: Api, merchant_id: str, shop: Shop, msisdns: list[int]) -> Cast:
    """Register the shop's webhook, and the trigger that its own webhook calls."""
    endpoint = await merchant.call("POST", "/v1/webhook_endpoints", {"url": shop.url})
    shop.learn(endpoint["secret"])
    trigger = await merchant.call(
        "POST",
        "/v1/triggers",
        {
            "name": "new record",
            "sender": SENDER,
            "text": OFFER_TEXT,
            "mapping": {
                "item": "$.record.title",
                "price": "$.record.price.amount",
                "currency": "$.record.price.currency",
                "quantity_max": {"path": "$.record.per_customer", "default": 5},
                "audience": "$.for",
            },
        },
    )
    return Cast(
        operator,
        merchant,
        merchant_id,
        endpoint["id"],
        trigger["id"],
        trigger["path"],
        trigger["secret"],
        msisdns,
    )


async def close_shop(cast: Cast) -> None:
    """Take webhook and trigger away again."""
    await cast.merchant.call("DELETE", f"/v1/webhook_endpoints/{cast.endpoint}")
    await cast.merchant.call("DELETE", f"/v1/triggers/{cast.trigger}")


async def import_subscribers(api: Api, msisdns: list[int], clock: Clock) -> None:
    """Import people, and you, with the proof of their consent."""
    your = int(YOUR_PHONE[1:])
    await import_people(api, {msisdn: "you" if msisdn == your else AUDIENCE for msisdn in msisdns}, clock)


async def import_people(api: Api, tags: Mapping[int, str], clock: Clock) -> None:
    """
    Import people, each with a tag and the proof of consent, and wait until the import is finished.

    Raises:
        DemoFailed: some were refused.
    """
    agreed_at = (clock.now() - timedelta(days=30)).isoformat()
    rows = [
        orjson.dumps(
            {
                "msisdn": f"+{msisdn}",
                "consent_at": agreed_at,
                "consent_source": "form",
                "wording_version": WORDING,
                "language": "fr",
                "country": "FR",
                "tags": [tag],
            }
        )
        for msisdn, tag in tags.items()
    ]
    body = b"\n".join(rows)
    job = await api.call("POST", "/v1/imports", body, **{"Content-Type": "application/x-ndjson"})
    while job["state"] == "running":
        await asyncio.sleep(0.05)
        job = await api.call("GET", f"/v1/imports/{job['id']}")
    if job["state"] != "finished" or job["rows_failed"]:
        raise DemoFailed(f"the import failed: {job}")


async def shop_emits(cast: Cast, clock: Clock, audience: str = AUDIENCE) -> str:
    """Let the shop's system emit its own webhook, signed; return the campaign that it starts."""
    body = orjson.dumps(
        {
            "event": "record.released",
            "record": {
                "title": "CD Madonna",
                "price": {"amount": "19.90", "currency": "EUR"},
                "per_customer": 5,
            },
            "for": audience,
        }
    )
    message_id = f"shop-{secrets.token_hex(8)}"
    headers = signed_headers([cast.trigger_secret], message_id, int(clock.now().timestamp()), body)
    answer = await cast.merchant.call("POST", cast.trigger_path, body, **headers)
    return str(answer["campaign"])
