"""What the gateway still says to a person who asked for silence, and that the shop hears of the rest."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, events, say
from tests.flows.test_consent_by_sms import agree, ask, state
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


async def news_goes(world: World, number: int) -> bool:
    """Queue news of an order, and return whether it left."""
    before = world.texts_to(number).count(NEWS)
    message_id = await order_text(world, number, 1)
    await eventually(lambda: world.value("SELECT count(*) = 1 FROM sent WHERE message_id = $1", message_id))
    reason = await world.value("SELECT reason FROM sent WHERE message_id = $1", message_id)
    if reason is None:
        await eventually(lambda: world.texts_to(number).count(NEWS) > before)
    assert reason in {None, "stopped"}
    return reason is None


async def test_a_silence_holds_while_a_question_waits_and_after_a_no_to_it(database: Database) -> None:
    """Whoever was asked, on a newer form, has said nothing yet."""
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "STOP ALL")
        asked = len(world.texts_to(1)) + 1
        await ask(world, 1, "offers")
        await eventually(lambda: len(world.texts_to(1)) == asked)  # the question itself goes
        assert (await state(world, 1), await news_goes(world, 1)) == ("pending", False)
        await say(world, 1, "non", answers=0)
        assert (await state(world, 1), await news_goes(world, 1)) == ("none", False)
        assert "contact" in (await say(world, 1, "HELP"))[0]
        await ask(world, 1, "offers")
        await eventually(lambda: "vraiment" in world.texts_to(1)[-1])
        await say(world, 1, "oui")
        assert (await state(world, 1), await news_goes(world, 1)) == ("subscribed", True)


async def test_a_silence_that_a_newer_consent_ended_is_not_kept_for_a_later_plain_stop(
    database: Database,
) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "STOP ALL")
        await agree(world, "offers", datetime.now(UTC))
        assert await news_goes(world, 1)
        await say(world, 1, "STOP")
        assert (await state(world, 1), await news_goes(world, 1)) == ("unsubscribed", True)


@pytest.mark.parametrize(("after", "goes"), [("blocked", False), ("expired", True)])
async def test_a_silence_outlives_a_block_and_is_no_new_owners(
    database: Database, after: str, *, goes: bool
) -> None:
    said = {"blocked": "Mauvais numéro", "expired": "Stop, j'ai récupéré ce numéro"}[after]
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "STOP ALL")
        await say(world, 1, said, answers=after == "blocked")
        assert await state(world, 1) == after
        kept = await world.value("SELECT silent_at IS NOT NULL FROM subscriber WHERE subscriber_id = 10001")
        assert kept is not goes
