"""
Test mode: a shop's developer plays a whole sale, and nothing reaches a carrier.

The walk of docs/api.md is run as it stands there, with curl. A live merchant of the same gateway sells
meanwhile: neither sees the other's people, orders, events or costs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from smsgate.simulator.shop import ORDER_CREATED, Shop
from smsgate.store.verify import PgVerify
from tests.acceptance.town import SENDER, Caller, Ground, Town, a_row, a_town, an_offer, eventually

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
SCOPES = ["send", "read", "subscribers", "orders", "billing.read", "webhooks.manage"]
WALK_LIMIT_S = 30.0


@pytest.fixture
async def town(ground: Ground) -> AsyncIterator[Town]:
    async with a_town(ground, subscribers=1) as town:
        yield town


async def a_test_key(town: Town, merchant_id: str, name: str = "try") -> Caller:
    body = {"name": name, "mode": "test", "scopes": SCOPES}
    key = await town.operator.post(f"/v1/merchants/{merchant_id}/api_keys", body)
    assert key["key"].startswith("sgk_test_")
    return town.caller(key["key"])


async def a_phone(developer: Caller, town: Town) -> str:
    """Make the first simulated phone a subscriber, as an import does."""
    phone = str((await developer.get("/v1/test/phones"))["first"])
    row = orjson.dumps(a_row(int(phone[1:]), town.clock.now()))
    job = await developer.post("/v1/imports", row, Content_Type="application/x-ndjson")
    assert (job["rows_ok"], job["rows_failed"]) == (1, 0)
    return phone


async def sell(developer: Caller, town: Town, phone: str) -> str:
    offer = an_offer(town.clock, stock=10)
    body = {"offer": offer, "audience": {"subscribers": [phone]}, "start": True}
    campaign = await developer.post("/v1/campaigns", body)

    async def finished() -> bool:
        found = await developer.get(f"/v1/campaigns/{campaign['id']}")
        return bool(found["state"] == "finished" and found["progress"]["delivered"] == 1)

    await eventually(finished)
    return str(campaign["id"])


async def say(developer: Caller, phone: str, text: str) -> Any:
    return await developer.post(f"/v1/test/phones/{phone}/replies", {"to": SENDER, "text": text})


async def test_the_walk_of_the_page_ends_in_a_confirmed_order_and_nothing_reached_a_carrier(
    town: Town,
) -> None:
    developer = await a_test_key(town, town.merchant_id)
    section = PAGE.read_text(encoding="utf-8").split("\n## Test mode\n", 1)[1]
    walk = section.split("```bash\n", 1)[1].split("```", 1)[0]
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        f'JSON="Content-Type: application/json"\n{walk}',
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SMSGATE_URL": town.base_url, "SMSGATE_TEST_KEY": developer.key},
    )
    async with asyncio.timeout(WALK_LIMIT_S):
        out, err = await process.communicate()
    lines = [line for line in out.decode().splitlines() if line not in {"false", "true"}]
    assert (process.returncode, err) == (0, b"")
    assert lines[:5] == ["subscribed", "accept", "ordered", "placed", "confirmed"]
    receipt, offer = lines[5:]
    assert "CD Miles Davis" in receipt
    assert offer.startswith("Boxman: CD Miles Davis 14,90€")
    assert town.simulator.smsc.log.submits == 0


async def test_a_developer_plays_a_sale_with_a_shop_and_neither_books_nor_the_live_merchant_see_it(
    town: Town,
) -> None:
    developer = await a_test_key(town, town.merchant_id)
    tried = Shop(clock=town.clock)
    await tried.start()
    try:
        endpoint = await developer.post("/v1/webhook_endpoints", {"url": tried.url})
        tried.learn(endpoint["secret"])
        phone = await a_phone(developer, town)
        await sell(developer, town, phone)
        answer = await say(developer, phone, "OK 2")
        assert (answer["label"], answer["quantity"], answer["outcome"]) == ("quantity", 2, "ordered")
        await eventually(lambda: tried.confirmed_in_response == 1)
        path = f"/v1/orders/{answer['order']}"

        async def confirmed() -> Any:
            order = await developer.get(path)
            return order if order["state"] == "confirmed" else None

        order = await eventually(confirmed)
        assert (order["total"], order["message_cost"]["total"]) == ("39.80", "0.00")
        await say(developer, phone, "STOP ALL")
        await eventually(lambda: tried.by_type["consent.revoked"] == 1)
        texts = [each["text"] for each in await developer.all(f"/v1/test/phones/{phone}/messages")]
        assert len(texts) == 3  # offer, receipt, confirmation of the STOP
    finally:
        await tried.stop()

    assert town.simulator.smsc.log.submits == 0
    books = await town.books()
    assert (books.ledger_messages, books.ledger_micros, books.cost_micros) == (0, 0, 0)
    assert (await PgVerify(town.process.services.database).looked()).broken == []
    for caller in (town.merchant, developer):
        assert (await caller.get("/v1/usage/statements"))["data"] == []
    assert await town.merchant.all("/v1/orders") == await town.merchant.all("/v1/campaigns") == []
    assert town.told(ORDER_CREATED) == []
    assert [row["slug"] for row in await town.operator.all("/v1/merchants")] == ["boxman"]
    assert (await town.merchant.ask("GET", path)).status == 404

    await town.finished(await town.new_record())  # the STOP of all merchants reached no live one
    assert town.offers_to(town.msisdns[0]) == 1


async def test_a_paced_offer_waits_with_the_simulated_phones_and_no_failover_takes_it_to_a_carrier(
    town: Town,
) -> None:
    developer = await a_test_key(town, town.merchant_id)
    first = int((await developer.get("/v1/test/phones"))["first"][1:])
    rows = b"\n".join(orjson.dumps(a_row(first + n, town.clock.now())) for n in range(3))
    assert (await developer.post("/v1/imports", rows, Content_Type="application/x-ndjson"))["rows_ok"] == 3
    phones = [f"+{first + n}" for n in range(3)]
    campaign = await developer.post(
        "/v1/campaigns",
        {
            "offer": an_offer(town.clock, stock=10),
            "audience": {"subscribers": phones},
            "messages_per_minute": 60,
            "start": True,
        },
    )

    async def ended() -> Any:
        found = await developer.get(f"/v1/campaigns/{campaign['id']}")
        return found["progress"] if found["state"] == "finished" else None

    progress = await eventually(ended)
    assert progress["delivered"] == 3, progress
    assert town.process.gateway is not None
    assert town.process.gateway.rerouting.moved.total() == 0


async def test_test_keys_write_to_their_simulated_phones_alone_and_live_keys_to_none(town: Town) -> None:
    developer = await a_test_key(town, town.merchant_id)
    _, fnac = await town.another_merchant("fnac")
    other = await a_test_key(town, fnac)
    mine, others = await developer.get("/v1/test/phones"), await other.get("/v1/test/phones")
    assert mine["last"] < others["first"] or others["last"] < mine["first"]
    for caller, number, code in (
        (developer, "+33612345678", "phone_not_simulated"),
        (developer, others["first"], "phone_not_simulated"),
        (town.merchant, mine["first"], "phone_simulated"),
    ):
        answer = await caller.ask("POST", "/v1/subscribers", {"msisdn": number})
        assert (answer.status, answer.code) == (422, code)
        row = orjson.dumps(a_row(int(number[1:]), town.clock.now()))
        job = await caller.post("/v1/imports", row, Content_Type="application/x-ndjson")
        assert job["rows_failed"] == 1
        (error,) = (await caller.get(f"/v1/imports/{job['id']}/errors"))["data"]
        assert error["code"] == code
    answer = await town.merchant.ask("GET", "/v1/test/phones")
    assert (answer.status, answer.code) == (403, "test_mode")
    answer = await developer.ask(
        "POST", f"/v1/test/phones/{others['first']}/replies", {"to": SENDER, "text": "OK"}
    )
    assert (answer.status, answer.code) == (422, "phone_not_simulated")
    answer = await developer.ask(
        "POST", f"/v1/test/phones/{mine['first']}/replies", {"to": SENDER, "text": "OK"}
    )
    assert (answer.status, answer.code) == (422, "nobody_there")


async def test_a_suspended_merchant_has_no_test_mode_either_and_a_second_key_sees_the_same_data(
    town: Town,
) -> None:
    developer = await a_test_key(town, town.merchant_id)
    phone = await a_phone(developer, town)
    again = await a_test_key(town, town.merchant_id, "again")
    assert [row["msisdn"] for row in await again.all("/v1/subscribers")] == [phone]
    path = f"/v1/merchants/{town.merchant_id}"
    await town.operator.ask("PATCH", path, {"state": "suspended"})
    answer = await developer.ask("GET", "/v1/subscribers")
    assert (answer.status, answer.code) == (403, "merchant_suspended")
