"""Looks through an audience take longer than other requests may: minutes, with many millions of people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from smsgate.api.idempotency import ABANDONED_AFTER_S
from smsgate.api.routes_campaigns import AUDIENCE_HANDLER_S
from smsgate.store.pool import Database
from tests.api.api_server import Answer
from tests.api.commerce_setup import Shop, an_open_shop

HANDLER_S = 1.0
LOOK_S = 1.8  # longer than other handlers may take, shorter than PostgreSQL lets them wait for a lock
KEY = {"Idempotency-Key": "k"}
T = TypeVar("T")


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with an_open_shop(database, handler_timeout_s=HANDLER_S) as opened:
        await opened.subscribers(3)
        yield opened


@asynccontextmanager
async def a_long_look(shop: Shop) -> AsyncIterator[None]:
    """Let nobody look at people within."""
    async with shop.database.control() as connection, connection.transaction():
        await connection.execute("LOCK TABLE subscriber IN ACCESS EXCLUSIVE MODE")
        yield


async def in_a_long_look(shop: Shop, request: Awaitable[T]) -> T:
    async with a_long_look(shop):
        under_way = asyncio.ensure_future(request)
        await asyncio.sleep(LOOK_S)
    return await under_way


async def test_a_campaign_is_previewed_started_and_resumed_however_long_its_people_are_looked_at(
    shop: Shop,
) -> None:
    campaign = await shop.campaign()
    path = f"/v1/campaigns/{campaign['id']}"
    preview = await in_a_long_look(shop, shop.caller.post(f"{path}/preview"))
    assert (preview.status, preview.body["recipients"]) == (200, 3)
    started = await in_a_long_look(shop, shop.caller.post(f"{path}/start"))
    assert (started.status, started.body["state"], started.body["recipients"]) == (200, "sending", 3)
    assert (await shop.caller.post(f"{path}/pause")).status == 200
    resumed = await in_a_long_look(shop, shop.caller.post(f"{path}/resume"))
    assert (resumed.status, resumed.body["state"]) == (200, "sending")


async def test_a_campaign_that_starts_as_it_is_created_has_as_long(shop: Shop) -> None:
    offer = await shop.offer()
    body = {"offer": offer["id"], "audience": {"all": True}, "start": True}
    created = await in_a_long_look(shop, shop.caller.post("/v1/campaigns", body))
    assert (created.status, created.body["state"]) == (201, "sending")


async def test_other_requests_end_at_the_handlers_limit(shop: Shop) -> None:
    read = await in_a_long_look(shop, shop.caller.get("/v1/subscribers"))
    assert (read.status, read.code) == (503, "timeout")


async def test_a_start_that_takes_its_time_is_not_done_a_second_time_under_its_key(shop: Shop) -> None:
    campaign = await shop.campaign()

    async def start() -> Answer:
        return await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start", headers=KEY)

    async with a_long_look(shop):
        first = asyncio.create_task(start())
        await asyncio.sleep(0.5)
        shop.clock.advance(AUDIENCE_HANDLER_S + ABANDONED_AFTER_S - 1.0)
        again = await start()
        assert (again.status, again.code) == (409, "idempotency_in_flight")
    assert (await first).status == 200
    again = await start()
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")


async def test_a_key_is_its_requests_for_as_long_as_that_may_take_whatever_else_is_asked_under_it(
    shop: Shop,
) -> None:
    path, offer = f"/v1/campaigns/{(await shop.campaign())['id']}/start", shop.an_offer()
    async with a_long_look(shop):
        start = asyncio.create_task(shop.caller.post(path, headers=KEY))
        await asyncio.sleep(0.5)
        shop.clock.advance(AUDIENCE_HANDLER_S + ABANDONED_AFTER_S - 1.0)
        other = await shop.caller.post("/v1/offers", offer, headers=KEY)
        assert (other.status, other.code) == (409, "idempotency_in_flight")
    assert (await start).status == 200
    again = await shop.caller.post(path, headers=KEY)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")


async def test_who_ends_when_another_request_has_its_key_leaves_the_others_answer(shop: Shop) -> None:
    path, offer = f"/v1/campaigns/{(await shop.campaign())['id']}/start", shop.an_offer()
    async with a_long_look(shop):
        start = asyncio.create_task(shop.caller.post(path, headers=KEY))
        await asyncio.sleep(0.5)
        shop.clock.advance(AUDIENCE_HANDLER_S + ABANDONED_AFTER_S + 1.0)
        other = await shop.caller.post("/v1/offers", offer, headers=KEY)
        assert other.status == 201
    assert (await start).status == 200
    again = await shop.caller.post("/v1/offers", offer, headers=KEY)
    assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (201, other.body, "true")


async def test_previews_that_are_sent_again_and_again_leave_the_api_to_the_others(shop: Shop) -> None:
    campaign = await shop.campaign()
    async with a_long_look(shop):
        previews = [
            asyncio.create_task(shop.caller.post(f"/v1/campaigns/{campaign['id']}/preview"))
            for _ in range(12)
        ]
        await asyncio.sleep(0.3)
        read = await shop.caller.get("/v1/events")
        assert read.status == 200
        assert not any(preview.done() for preview in previews), "it had to wait for none of them"
    assert {(await preview).status for preview in previews} == {200}


async def test_twenty_campaigns_start_at_once(shop: Shop) -> None:
    campaigns = [await shop.campaign() for _ in range(20)]
    starts = [shop.caller.post(f"/v1/campaigns/{campaign['id']}/start") for campaign in campaigns]
    assert {answer.status for answer in await asyncio.gather(*starts)} == {200}


async def test_a_campaign_whose_start_has_no_turn_is_not_created_and_may_be_sent_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsgate.api.looks.WAIT_S", 0.05)
    body = {"offer": shop.an_offer(), "audience": {"all": True}, "external_id": "c-1", "start": True}
    looks = shop.api.context.looks
    async with looks.turn(shop.merchant_id), looks.turn(shop.merchant_id):
        refused = await shop.caller.post("/v1/campaigns", body, headers=KEY)
        assert (refused.status, refused.code) == (429, "rate_limited")
        assert int(refused.headers["Retry-After"]) > 0
    assert (await shop.caller.get("/v1/campaigns")).body["data"] == []
    assert (await shop.caller.get("/v1/offers")).body["data"] == []
    created = await shop.caller.post("/v1/campaigns", body, headers=KEY)
    assert (created.status, created.body["state"]) == (201, "sending")
