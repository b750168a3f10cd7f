"""Orders that were disputed, once somebody of the shop has looked at them: what becomes of their pieces."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from smsgate.errors import Conflict
from smsgate.flows.orders import Orders
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, events, say, stock
from tests.flows.test_order_questions import orders_of, the_order
from tests.flows.world import MERCHANT, World


async def states(world: World) -> list[tuple[str, bool]]:
    rows = await world.rows("SELECT state, stock_held FROM orders ORDER BY order_id")
    return [(row["state"], row["stock_held"]) for row in rows]


async def dispute(world: World, number: int = 1) -> None:
    """Let the buyer of the order say that it was not them; whatever state it is in, its number names it."""
    order = await world.value(
        "SELECT number FROM orders WHERE msisdn = (SELECT msisdn FROM subscriber WHERE subscriber_id = $1)",
        10_000 + number,
    )
    await say(world, number, f"je n'ai rien commandé, {order}")


async def test_what_may_dispute_an_order_beside_a_stop_waits_for_a_person_after_the_next_stop_too(
    database: Database,
) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        (told,) = await say(world, 1, "j'ai jamais commandé de trucs aussi nuls, stop")
        await say(world, 1, "STOP STOP", answers=0)
        (case,) = await world.rows(
            "SELECT label, outcome, settled, order_id FROM reply_case WHERE label = 'stop' AND order_id <> 0"
        )
        order = await the_order(world)
        assert dict(case) == {
            "label": "stop",
            "outcome": "cancel_requested",
            "settled": False,
            "order_id": order["order_id"],
        }
        assert order["number"] in told
        assert await states(world) == [("placed", True)]


async def delivered(world: World, orders: Orders) -> int:
    """Have two of ten pieces ordered, and in the buyer's hands."""
    await say(world, 1, "OK 2")
    order_id: int = (await the_order(world))["order_id"]
    await orders.confirm(MERCHANT, order_id)
    await orders.fulfil(MERCHANT, order_id, datetime.now(UTC))
    return order_id


@pytest.mark.parametrize("answer", ["cancel", "reject"])
async def test_a_dispute_about_goods_that_came_brings_no_stock_back(database: Database, answer: str) -> None:
    """They are taken back as they would be without the dispute: the order is withdrawn."""
    async with an_open_offer(database, stock=10) as (world, _):
        orders = orders_of(database)
        order_id = await delivered(world, orders)
        await dispute(world)
        await getattr(orders, answer)(MERCHANT, order_id)
        assert (await states(world), await stock(world)) == ([("withdrawn", True)], 8)


async def test_a_dispute_about_goods_that_were_given_back_brings_no_stock_back(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        orders = orders_of(database)
        order_id = await delivered(world, orders)
        await say(world, 1, "je me rétracte")
        await dispute(world)
        await orders.cancel(MERCHANT, order_id)
        assert (await states(world), await stock(world)) == ([("withdrawn", True)], 8)


async def test_goods_that_came_are_no_stock_when_the_order_is_confirmed_once_more(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        orders = orders_of(database)
        order_id = await delivered(world, orders)
        await dispute(world)
        await orders.confirm(MERCHANT, order_id)
        await say(world, 1, "annulez ma commande")
        assert (await states(world), await stock(world)) == ([("withdrawn", True)], 8)


async def test_a_dispute_about_goods_that_never_left_brings_their_stock_back(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK 2")
        await dispute(world)
        await orders_of(database).cancel(MERCHANT, (await the_order(world))["order_id"])
        assert (await states(world), await stock(world)) == ([("cancelled", False)], 10)


@pytest.mark.parametrize("counted", [10, None])
async def test_an_ended_order_that_is_confirmed_after_a_dispute_takes_its_pieces_again(
    database: Database, counted: int | None
) -> None:
    async with an_open_offer(database, stock=counted) as (world, _):
        await say(world, 1, "OK 2")
        await say(world, 1, "NON")
        assert (await states(world), await stock(world)) == ([("cancelled", False)], counted)
        await dispute(world)
        orders, order_id = orders_of(database), (await the_order(world))["order_id"]
        for _ in range(2):
            await orders.confirm(MERCHANT, order_id)
            assert await states(world) == [("confirmed", True)]
            assert await stock(world) == (None if counted is None else 8)


@pytest.mark.parametrize(("left", "told"), [(3, 0), (2, 1)])
async def test_the_last_piece_that_an_order_takes_again_is_told_as_any_last_piece(
    database: Database, left: int, told: int
) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK 2")
        await say(world, 1, "NON")
        await dispute(world)
        await world.execute("UPDATE offer SET stock_remaining = $1", left)
        await orders_of(database).confirm(MERCHANT, (await the_order(world))["order_id"])
        assert (await stock(world), len(await events(world, "offer.sold_out"))) == (left - 2, told)


async def test_a_withdrawn_offer_is_not_told_to_be_sold_out(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK 2")
        await say(world, 1, "NON")
        await dispute(world)
        await world.execute("UPDATE offer SET stock_remaining = 2, state = 'withdrawn'")
        await orders_of(database).confirm(MERCHANT, (await the_order(world))["order_id"])
        assert (await stock(world), await events(world, "offer.sold_out")) == (0, [])


async def test_the_last_piece_goes_to_one_of_two_ended_orders_that_are_confirmed_at_once(
    database: Database,
) -> None:
    """The other one stays disputed, and its shop hears why."""
    async with an_open_offer(database, stock=2) as (world, _):
        for buyer in (1, 2):
            await say(world, buyer, "OK")
            await say(world, buyer, "NON")
            await dispute(world, buyer)
        await world.execute("UPDATE offer SET stock_remaining = 1")
        orders = orders_of(database)
        ids = [row["order_id"] for row in await world.rows("SELECT order_id FROM orders")]
        answers = await asyncio.gather(
            *(orders.confirm(MERCHANT, order_id) for order_id in ids), return_exceptions=True
        )
        (refused,) = [each for each in answers if isinstance(each, Exception)]
        assert isinstance(refused, Conflict)
        assert refused.code == "sold_out"
        assert sorted(await states(world)) == [("confirmed", True), ("disputed", False)]
        assert (await stock(world), len(await events(world, "offer.sold_out"))) == (0, 1)
