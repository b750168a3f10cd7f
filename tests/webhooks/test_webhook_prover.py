from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiohttp import web

from smsgate.clock import ManualClock
from smsgate.security.webhook_signatures import new_secret, verify
from smsgate.webhooks.client import WebhookClient
from smsgate.webhooks.prover import ChallengeProver

ENDPOINT = "whe_0123456789abcdefghijkl"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 23, tzinfo=UTC))


async def test_an_endpoint_that_gives_the_signed_challenge_back_is_proved(
    client: WebhookClient, shop: Any, clock: ManualClock
) -> None:
    async def give_back(received: Any) -> web.Response:
        return web.json_response({"challenge": orjson.loads(received.body)["data"]["challenge"]})

    shop.answer = give_back
    secret = new_secret()
    prover = ChallengeProver(client, clock)
    assert await prover.prove(url=shop.url(), secret=secret, endpoint=ENDPOINT) is None
    (received,) = shop.received
    verify([secret], received.headers, received.body, clock.now().timestamp())
    body = orjson.loads(received.body)
    assert body["type"] == "endpoint.challenge"
    assert body["data"]["endpoint"] == ENDPOINT
    assert await prover.prove(url=shop.url(), secret=secret, endpoint=ENDPOINT) is None
    assert orjson.loads(shop.received[1].body)["data"] != body["data"]


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, b"ok", "must answer the challenge with JSON"),
        (200, b'{"challenge": "guessed"}', "must answer the challenge with JSON"),
        (200, b'{"challenge": 7}', "must answer the challenge with JSON"),
        (200, '{"challenge": "é"}'.encode(), "must answer the challenge with JSON"),
        (200, b"[]", "must answer the challenge with JSON"),
        (404, b"", "answered 404"),
        (302, b"", "answered 302"),
    ],
)
async def test_anything_else_is_a_sentence_for_the_merchant(
    status: int, body: bytes, sentence: str, client: WebhookClient, shop: Any, clock: ManualClock
) -> None:
    async def answer(_received: Any) -> web.Response:
        return web.Response(status=status, body=body)

    shop.answer = answer
    refusal = await ChallengeProver(client, clock).prove(
        url=shop.url(), secret=new_secret(), endpoint=ENDPOINT
    )
    assert refusal is not None
    assert sentence in refusal


async def test_an_inner_address_is_refused_before_any_packet(
    client: WebhookClient, shop: Any, names: Any, clock: ManualClock
) -> None:
    names.answers["shop.example.com"] = [["10.1.2.3"]]
    refusal = await ChallengeProver(client, clock).prove(
        url=shop.url(), secret=new_secret(), endpoint=ENDPOINT
    )
    assert refusal is not None
    assert "private use" in refusal
    assert shop.received == []
