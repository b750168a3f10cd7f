"""
Somebody has endpoints tried whose names are never answered.

Their lookups take a thread each for as long as the name system likes; the events of all the others go on.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from typing import Any

import pytest

from smsgate.simulator.shop import Shop
from tests.acceptance.test_shop_is_down import revoke
from tests.acceptance.town import Ground, a_town, eventually

GOOD, SILENT = "shop.example.com", "silent.example.com"


async def test_names_that_are_never_answered_hold_up_no_delivery(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up, answered = socket.getaddrinfo, threading.Event()

    def name_system(host: Any, *rest: Any, **more: Any) -> Any:
        if host == SILENT:
            answered.wait(60.0)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return look_up("127.0.0.1" if host == GOOD else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", name_system)
    named = Shop()
    await named.start()
    try:
        async with a_town(ground, subscribers=1) as town:
            url = named.url.replace("127.0.0.1", GOOD)
            named.learn((await town.merchant.post("/v1/webhook_endpoints", {"url": url}))["secret"])
            other, _ = await town.another_merchant("fnac")
            tried = [
                asyncio.create_task(
                    other.ask("POST", "/v1/webhook_endpoints", {"url": f"http://{SILENT}/{number}"})
                )
                for number in range(20)
            ]
            await eventually(lambda: sum(each.done() for each in tried) >= 18)
            await revoke(town, (await town.subscriber(town.msisdns[0]))["id"])
            await eventually(lambda: named.by_type["consent.revoked"] == 1, within_s=4.0)
            answers = [await each for each in tried]
            assert Counter(answer.code for answer in answers) == {
                "rate_limited": 18,
                "endpoint_not_proved": 2,
            }
            assert all(answer.headers["Retry-After"] for answer in answers if answer.status == 429)
    finally:
        answered.set()
        await named.stop()
