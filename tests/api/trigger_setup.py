"""What tests of triggers share: a mapping, signed webhooks, and what they left in the database."""

from __future__ import annotations

import json
from typing import Any

from smsgate.security.webhook_signatures import signed_headers
from tests.api.api_server import Answer
from tests.api.commerce_setup import SENDER, TEXT, Shop

PATH = "/v1/triggers"
MAPPING: dict[str, Any] = {
    "item": "$.product.title",
    "price": "$.product.price",
    "currency": {"literal": "EUR"},
    "audience": {"path": "$.group", "default": "all"},
    "external_id": "$.id",
    "fields": {"title": "$.product.title"},
}
SETTINGS = {"sender": SENDER, "text": TEXT.replace("CD Madonna", "{title}")}


def a_shop_event(**fields: Any) -> dict[str, Any]:
    return {"id": "evt-1", "product": {"title": "CD Madonna", "price": "19,90"}, **fields}


async def created(shop: Shop, **fields: Any) -> dict[str, Any]:
    body = {"name": "new product", "mapping": MAPPING, **SETTINGS, **fields}
    answer = await shop.caller.post(PATH, body)
    assert answer.status == 201, answer
    return dict(answer.body)


async def fire(
    shop: Shop,
    trigger: str,
    secret: str,
    body: Any,
    *,
    webhook_id: str = "msg_1",
    age_s: float = 0,
    tamper: bytes = b"",
) -> Answer:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = signed_headers([secret], webhook_id, int(shop.clock.now().timestamp() - age_s), octets)
    return await shop.api.anybody.call(
        "POST",
        f"{PATH}/{trigger}",
        data=octets + tamper,
        headers={**headers, "Content-Type": "application/json"},
    )


async def written(shop: Shop) -> dict[str, int]:
    tables = ("offer", "offer_version", "campaign", "campaign_chunk", "trigger_event")
    return {table: await shop.value(f"SELECT count(*) FROM {table}") for table in tables}


NOTHING = {"offer": 0, "offer_version": 0, "campaign": 0, "campaign_chunk": 0, "trigger_event": 0}
