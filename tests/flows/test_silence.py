"""What the gateway still says to a person who asked for silence, and that the shop hears of the rest."""

from __future__ import annotations

import pytest

from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, events, say
from tests.flows.test_long_texts import LONG
from tests.flows.world import World, a_world, eventually

NEWS = "Boxman: la boutique n'a pas pu prendre la commande"
AGO = "now() - interval '1 hour'"


async def order_text(
    world: World, number: int, order_id: int, kind: str = "order_rejected", text: str = NEWS
) -> int:
    """Queue what the shop's answer to an order has the gateway say."""
    message_id = await world.system_message(number, text)
    await world.execute(
        "UPDATE message SET kind = $2, order_id = $3 WHERE message_id = $1", message_id, kind, order_id
    )
    return message_id


async def queue_is_empty(world: World) -> None:
    await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))


@pytest.mark.parametrize(
    ("said", "goes"), [("STOP", True), ("STOP TOUT", False), ("wrong number, stop", False)]
)
async def test_a_plain_stop_lets_news_of_an_order_through_and_a_silence_has_the_shop_told(
    database: Database, said: str, *, goes: bool
) -> None:
    async with an_open_offer(database, subscribers=1) as (world, gateway):
        await say(world, 0, "OK")
        await say(world, 0, said)  # one confirmation each
        before = len(world.texts_to(0))
        order = await world.rows("SELECT order_id, number FROM orders")
        message_id = await order_text(world, 0, order[0]["order_id"])
        gateway.pump.wake_interactive.set()
        await queue_is_empty(world)
        await eventually(lambda: len(world.texts_to(0)) == before + goes)
        await eventually(
            lambda: world.value("SELECT count(*) = 1 FROM sent WHERE message_id = $1", message_id)
        )
        told = await events(world, "order.buyer_not_told")
        if goes:
            assert told == []
        else:
            assert [(each["number"], each["withheld"], each["text"]) for each in told] == [
                (order[0]["number"], "order_rejected", NEWS)
            ]


async def test_a_silence_holds_what_waits_in_memory(database: Database) -> None:
    async with a_world(database, subscribers=1, rate_per_s=1) as world:
        async with world.gateway() as gateway:
            texts = [await order_text(world, 0, 1, text=LONG) for _ in range(2)]
            gateway.pump.wake_interactive.set()
            await eventually(lambda: world.log.submits and gateway.pump.held_messages)
            await say(world, 0, "STOP ALL")
            await queue_is_empty(world)
        rows = await world.rows("SELECT reason FROM sent WHERE message_id = $1", texts[1])
        assert {row["reason"] for row in rows} == {"stopped"}
        assert LONG not in world.texts_to(0)


async def test_who_writes_after_a_silence_is_answered(database: Database) -> None:
    async with an_open_offer(database, subscribers=1) as (world, _):
        await say(world, 0, "STOP ALL")
        assert "contact" in (await say(world, 0, "HELP"))[0]


@pytest.mark.parametrize(
    ("state", "since", "goes"),
    [
        ("expired", AGO, False),  # another person has the number: the order is none of theirs
        ("blocked", AGO, False),
        ("unsubscribed", AGO, True),
        ("paused", AGO, True),
    ],
)
async def test_news_of_an_order_goes_to_nobody_else(
    database: Database, state: str, since: str, *, goes: bool
) -> None:
    async with a_world(database, subscribers=1) as world:
        await order_text(world, 0, 1)
        await world.execute(f"UPDATE subscriber SET offers_state = '{state}', offers_state_at = {since}")
        async with world.gateway():
            await queue_is_empty(world)
        assert (NEWS in world.texts_to(0)) == goes


async def test_a_start_ends_a_silence_and_a_plain_stop_does_not(database: Database) -> None:
    async with an_open_offer(database, subscribers=1) as (world, _):
        await say(world, 0, "STOP ALL")
        await say(world, 0, "STOP", answers=0)
        assert await world.value("SELECT silent_at IS NOT NULL FROM subscriber")
        await say(world, 0, "START")
        assert await world.value("SELECT silent_at IS NULL FROM subscriber")
