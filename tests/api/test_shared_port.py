"""Processes that share a port: each takes connections, and what the one answered the other answers again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from smsgate.api.app import build_app
from smsgate.api.context import ApiContext
from smsgate.api.serving import Serving, serve
from smsgate.ids import IdMaker
from smsgate.security.webhook_signatures import signed_headers
from tests.api.api_server import a_context
from tests.api.commerce_setup import Prover, Shop, add_commerce
from tests.api.trigger_setup import PATH, a_shop_event, created, written

REQUESTS = 64  # with a connection each: that all come to one of two has a chance of 2**-63


@asynccontextmanager
async def another_process(shop: Shop, node: int, port: int) -> AsyncIterator[tuple[ApiContext, Serving]]:
    context = a_context(shop.database)
    context.clock = shop.clock
    context.ids = IdMaker(node, lambda: int(shop.clock.now().timestamp() * 1000))
    await add_commerce(context, shop.database, Prover())
    serving = await serve(build_app(context), "127.0.0.1", port, port_shared=True)
    try:
        yield context, serving
    finally:
        await serving.stop()


def answered(context: ApiContext) -> int:
    labels = {"method": "POST", "route": f"{PATH}/{{id}}", "status": "202"}
    return int(context.metrics.get_sample_value("smsgate_http_requests_total", labels) or 0)


async def test_both_take_webhooks_and_a_repetition_gets_the_first_answer_from_either(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    answers: dict[str, set[str]] = {}
    async with (
        another_process(shop, 11, 0) as (first, serving),
        another_process(shop, 12, serving.port) as (second, _),
    ):
        for n in range(REQUESTS):
            webhook_id = f"msg_{n % 4}"
            octets = json.dumps(a_shop_event(id=f"evt-{n % 4}")).encode()
            at = int(shop.clock.now().timestamp())
            headers = signed_headers([made["secret"]], webhook_id, at, octets)
            url = f"http://127.0.0.1:{serving.port}{PATH}/{made['id']}"
            async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
                async with session.post(url, data=octets, headers=headers) as answer:
                    assert answer.status == 202, await answer.text()
                    answers.setdefault(webhook_id, set()).add(await answer.text())
        assert answered(first) + answered(second) == REQUESTS
        assert min(answered(first), answered(second)) > 0
    assert {webhook_id: len(texts) for webhook_id, texts in answers.items()} == {
        f"msg_{n}": 1 for n in range(4)
    }
    assert (await written(shop))["campaign"] == 4


async def test_a_port_is_shared_only_by_those_who_both_say_so(shop: Shop) -> None:
    alone = shop.api.serving.port
    with pytest.raises(OSError, match="in use"):
        async with another_process(shop, 11, alone):
            pass
    async with another_process(shop, 11, 0) as (_, serving):
        with pytest.raises(OSError, match="in use"):
            await serve(build_app(a_context(shop.database)), "127.0.0.1", serving.port)
