"""
Two gateways that face each other: each is a phone for the other, and answers whatever it says.

Texts of machines make no order and no stop, and a conversation of machines ends after two texts, whatever the
other one is.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Final

from tests.acceptance.town import OFFER_TEXT, SENDER, Ground, Town, a_town, eventually

PAST_BEARING: Final = 12  # rounds; so many texts would be a loop
ANSWERS_MAX: Final = 2


async def quiet(town: Town) -> None:
    """Wait until the gateway has sent whatever it wants to say, and the phone has it."""

    async def nothing_queued() -> bool:
        async with town.process.services.database.bulk() as connection:
            return bool(await connection.fetchval("SELECT count(*) = 0 FROM interactive_queue"))

    await eventually(nothing_queued)
    await eventually(lambda: town.simulator.smsc._under_way == 0)


async def hear(town: Town, text: str) -> None:
    """Let the peer's text reach the gateway, as of the phone that the peer is for it."""
    mo = town.simulator.smsc.send_mo(town.msisdns[0], SENDER, text)
    await eventually(lambda: mo.taken)
    await quiet(town)


async def outcomes(town: Town) -> Counter[tuple[str, str]]:
    return Counter((mo["label"], mo["outcome"]) for mo in await town.merchant.all("/v1/inbound_messages"))


async def nothing_came_of_it(town: Town) -> None:
    assert await town.merchant.all("/v1/orders") == []
    assert (await town.subscriber(town.msisdns[0]))["offers_state"] == "subscribed"


async def converse(one: Town, other: Town) -> None:
    """Carry every text of each to the other, until both are silent."""
    heard = {id(one): 0, id(other): 0}
    for _ in range(PAST_BEARING):
        before = dict(heard)
        for town, peer in ((one, other), (other, one)):
            await quiet(town)
            for text in town.texts(town.msisdns[0])[heard[id(town)] :]:
                heard[id(town)] += 1
                await hear(peer, text)
        if heard == before:
            return
    raise AssertionError("they do not fall silent")


async def test_two_gateways_whose_offers_are_open_to_each_other_say_nothing_more(
    ground: Ground, other_ground: Ground
) -> None:
    async with a_town(ground, subscribers=1) as one, a_town(other_ground, subscribers=1) as other:
        for town in (one, other):
            await town.finished(await town.new_record())
        await converse(one, other)
        for town in (one, other):
            assert town.texts(town.msisdns[0]) == [OFFER_TEXT]
            assert await outcomes(town) == {("auto", "ignored"): 1}
            await nothing_came_of_it(town)


async def test_whatever_one_gateway_may_say_the_other_takes_for_no_answer(
    ground: Ground, other_ground: Ground
) -> None:
    """A person's words make the one say a receipt, a question, a stop's confirmation: all reach the other."""
    async with a_town(ground, subscribers=1) as one, a_town(other_ground, subscribers=1) as other:
        for town in (one, other):
            await town.finished(await town.new_record())
        for said in ("peut-être", "OK", "aide", "oui", "STOP", "START"):
            await hear(one, said)
        await converse(one, other)
        spoken = one.texts(one.msisdns[0])
        assert len(spoken) >= 6
        assert other.texts(other.msisdns[0]) == [OFFER_TEXT]
        assert await outcomes(other) == {("auto", "ignored"): len(spoken)}
        await nothing_came_of_it(other)
        assert len(await one.merchant.all("/v1/orders")) == 1


async def test_a_machine_that_nobody_knows_gets_two_answers_and_then_silence(ground: Ground) -> None:
    numbers = count(1)
    async with a_town(ground, subscribers=1) as town:
        await town.finished(await town.new_record())
        told = 1
        for _ in range(PAST_BEARING):
            await hear(town, f"Guten Tag! Leider verstehen wir Sie nicht (Vorgang {next(numbers)}/26).")
            told = len(town.texts(town.msisdns[0]))
        assert told - 1 == ANSWERS_MAX
        assert await outcomes(town) == {("unclear", "asked"): PAST_BEARING}
        await nothing_came_of_it(town)
