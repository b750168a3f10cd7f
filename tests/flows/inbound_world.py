"""An offer that everybody has, and what became of their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from smsgate.daemon.gateway import Gateway
from smsgate.store.pool import Database
from tests.flows.world import SENDER, World, a_world, eventually


@asynccontextmanager
async def an_open_offer(
    database: Database, subscribers: int = 3, **campaign: Any
) -> AsyncIterator[tuple[World, Gateway]]:
    """Have everybody got the offer, and the gateway running."""
    async with a_world(database, subscribers=subscribers) as world:
        campaign_id = await world.campaign(**campaign)
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.simulator.phones.received == subscribers)
            yield world, gateway


async def say(world: World, number: int, text: str, *, answers: int = 1, to: str = SENDER) -> list[str]:
    """Let a phone say something; return the `answers` texts it got for it."""
    before = len(world.texts_to(number))
    mo = world.answer(number, text, to)
    await eventually(lambda: mo.taken)
    await eventually(lambda: len(world.texts_to(number)) >= before + answers)
    if not answers:
        await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        await eventually(lambda: world.simulator.smsc._under_way == 0)
    return world.texts_to(number)[before:]


async def outcomes(world: World) -> Counter[str]:
    rows = await world.rows("SELECT outcome FROM inbound_message")
    return Counter(row["outcome"] for row in rows)


async def events(world: World, type_: str) -> list[Any]:
    rows = await world.rows("SELECT data::text FROM event WHERE type = $1 ORDER BY event_id", type_)
    return [orjson.loads(row["data"]) for row in rows]


async def order_numbers(world: World) -> list[str]:
    return [row["number"] for row in await world.rows("SELECT number FROM orders ORDER BY order_id")]


async def stock(world: World) -> int | None:
    found: int | None = await world.value("SELECT stock_remaining FROM offer")
    return found
