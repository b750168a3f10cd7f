from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiohttp import web

from smsgate.clock import ManualClock
from smsgate.errors import TooSoon
from smsgate.security.webhook_signatures import new_secret, verify
from smsgate.webhooks.client import WebhookClient
from smsgate.webhooks.prover import AT_ONCE_MAX, ChallengeProver
from tests.flows.world import eventually

ENDPOINT = "whe_0123456789abcdefghijkl"
HOST = "shop.example.com"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 23, tzinfo=UTC))


async def prove(
    prover: ChallengeProver, shop: Any, secret: str | None = None, *, merchant_id: int = 7, host: str = HOST
) -> str | None:
    return await prover.prove(
        merchant_id=merchant_id,
        host=host,
        url=shop.url(host),
        secret=secret or new_secret(),
        endpoint=ENDPOINT,
    )


async def give_back(received: Any) -> web.Response:
    return web.json_response({"challenge": orjson.loads(received.body)["data"]["challenge"]})


async def test_an_endpoint_that_gives_the_signed_challenge_back_is_proved(
    client: WebhookClient, shop: Any, clock: ManualClock
) -> None:
    shop.answer = give_back
    secret = new_secret()
    prover = ChallengeProver(client, clock)
    assert await prove(prover, shop, secret) is None
    (received,) = shop.received
    verify([secret], received.headers, received.body, clock.now().timestamp())
    body = orjson.loads(received.body)
    assert body["type"] == "endpoint.challenge"
    assert body["data"]["endpoint"] == ENDPOINT
    assert await prove(prover, shop, secret) is None
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
    refusal = await prove(ChallengeProver(client, clock), shop)
    assert refusal is not None
    assert sentence in refusal


async def test_an_inner_address_is_refused_before_any_packet(
    client: WebhookClient, shop: Any, names: Any, clock: ManualClock
) -> None:
    names.answers["shop.example.com"] = [["10.1.2.3"]]
    refusal = await prove(ChallengeProver(client, clock), shop)
    assert refusal is not None
    assert "private use" in refusal
    assert shop.received == []


async def test_a_merchant_has_two_endpoints_tried_at_once_and_all_together_eight(
    client: WebhookClient, shop: Any, clock: ManualClock
) -> None:
    prover, go_on = ChallengeProver(client, clock), asyncio.Event()

    async def wait(received: Any) -> web.Response:
        await go_on.wait()
        return await give_back(received)

    shop.answer = wait
    tries = [
        prove(prover, shop, merchant_id=merchant, host=f"{number}.m{merchant}.example.com")
        for merchant in range(1, 7)
        for number in range(4)
    ]
    under_way = [asyncio.create_task(each) for each in tries]
    await eventually(lambda: len(shop.received) == AT_ONCE_MAX)
    go_on.set()
    done = await asyncio.gather(*under_way, return_exceptions=True)
    taken = [[answer is None for answer in done[at : at + 4]] for at in range(0, len(done), 4)]
    assert taken == [[True, True, False, False]] * 4 + [[False] * 4] * 2
    assert all(answer is None or isinstance(answer, TooSoon) for answer in done)
    assert await prove(prover, shop, merchant_id=6) is None


async def test_a_host_is_asked_twice_a_second_whoever_wants_it(
    client: WebhookClient, shop: Any, clock: ManualClock
) -> None:
    prover = ChallengeProver(client, clock)
    shop.answer = give_back
    for _ in range(3):
        for merchant in (1, 2):
            assert await prove(prover, shop, merchant_id=merchant) is None
        with pytest.raises(TooSoon) as refused:
            await prove(prover, shop, merchant_id=3)
        assert refused.value.retry_after_s == 1.0
        clock.advance(1.0)
    assert len(shop.received) == 6


async def test_a_merchant_whose_endpoints_fail_waits_ever_longer_until_one_answers(
    client: WebhookClient, shop: Any, clock: ManualClock
) -> None:
    prover, waited = ChallengeProver(client, clock), []
    for number in range(6):
        host = f"{number}.example.com"  # one after the other, as to one victim by many names
        try:
            await prove(prover, shop, host=host)
        except TooSoon as refused:
            waited.append(refused.retry_after_s)
            clock.advance(refused.retry_after_s)
            await prove(prover, shop, host=host)
        clock.advance(0.1)
    assert waited == [pytest.approx(1.9), pytest.approx(3.9), pytest.approx(7.9)]
    shop.answer = give_back
    clock.advance(16.0)
    assert await prove(prover, shop, host="9.example.com") is None
    assert await prove(prover, shop, host="10.example.com") is None
