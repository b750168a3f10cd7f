"""A claim that had read consent when a STOP came opens an offer after it: never sent, never answered."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.flows.inbound_world import an_open_offer, events, outcomes, say
from tests.flows.world import FIRST_MSISDN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from smsgate.store.pool import Database
    from tests.flows.world import World

OPEN = "SELECT count(*) FROM open_offer WHERE msisdn = $1"
LEFT = "INSERT INTO open_offer SELECT (jsonb_populate_record(NULL::open_offer, $1::text::jsonb)).*"


async def an_offer(world: World, number: int) -> Any:
    return await world.value(
        "SELECT to_jsonb(o)::text FROM open_offer o WHERE msisdn = $1", FIRST_MSISDN + number
    )


@asynccontextmanager
async def a_stop_that_a_claim_crossed(database: Database, word: str = "STOP") -> AsyncIterator[World]:
    """Person 1 has said `word`, and a claim has left an offer for them all the same."""
    async with an_open_offer(database) as (world, _):
        offer = await an_offer(world, 1)
        await say(world, 1, word)
        await world.execute("DELETE FROM open_offer WHERE msisdn = $1", FIRST_MSISDN + 1)
        await world.execute(LEFT, offer)
        yield world


async def test_an_ok_after_a_stop_orders_nothing_that_a_claim_left(database: Database) -> None:
    async with a_stop_that_a_claim_crossed(database) as world:
        await say(world, 1, "OK", answers=0)
        assert await world.value("SELECT count(*) FROM orders") == 0
        assert await events(world, "order.placed") == []
        assert await outcomes(world) == {"stopped": 1, "no_open_offer": 1}


async def test_a_start_ends_what_a_claim_left_before_it(database: Database) -> None:
    async with a_stop_that_a_claim_crossed(database) as world:
        await say(world, 1, "START")
        assert await world.value(OPEN, FIRST_MSISDN + 1) == 0
        await say(world, 1, "OK", answers=0)
        assert await world.value("SELECT count(*) FROM orders") == 0
        assert await world.value(OPEN, FIRST_MSISDN) == 1  # another person's


@pytest.mark.parametrize("again", [None, "START"])
async def test_an_offer_from_before_a_pause_may_be_answered_in_it_and_after_it(
    database: Database, again: str | None
) -> None:
    async with a_stop_that_a_claim_crossed(database, "PAUSE 7") as world:
        if again:
            await say(world, 1, again)
        await say(world, 1, "OK")
        assert await world.value("SELECT count(*) FROM orders") == 1
