"""Two groups of answers under way in one process: one writes and waits, the next one is read and decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from smsgate.daemon.gateway import Gateway
from smsgate.simulator.mobile_originated import Mo
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, order_numbers, outcomes, stock
from tests.flows.world import FIRST_MSISDN, SENDER, World, eventually
from tests.store.waiting import so_many_wait

STRANGER = 900


@asynccontextmanager
async def no_commits(world: World) -> AsyncIterator[None]:
    """Have groups that are decided and written wait before their commit, for the counter of replies."""
    await world.execute(
        "INSERT INTO campaign_counter (merchant_id, campaign_id, kind, n) "
        "SELECT merchant_id, campaign_id, 'replies', 0 FROM campaign"
    )
    async with world.database.control() as held, held.transaction():
        await held.execute("SELECT FROM campaign_counter WHERE kind = 'replies' FOR UPDATE")
        yield


@asynccontextmanager
async def an_answer_that_waits(
    database: Database, *, pieces: int = 5
) -> AsyncIterator[tuple[World, Gateway, Mo]]:
    """Have person 1's OK decided and written, and its group wait before its commit until this ends."""
    async with an_open_offer(database, subscribers=4, stock=pieces) as (world, gateway):
        async with no_commits(world):
            mo = world.answer(1, "OK")
            await eventually(lambda: so_many_wait(world.database, 1))
            yield world, gateway, mo
        await eventually(lambda: mo.taken)
        await eventually(lambda: not gateway.intake.backlog() and not gateway.intake.busy)


async def test_a_group_that_waits_for_the_database_holds_up_nobody_elses_answer(database: Database) -> None:
    async with an_answer_that_waits(database) as (world, _, mo):
        others = [world.answer(STRANGER + each, "Bonjour?") for each in range(3)]
        await eventually(lambda: all(other.taken for other in others))
        assert mo.statuses == []  # after its own commit, and not after another's
        assert await order_numbers(world) == []


async def test_a_persons_next_text_waits_for_the_one_before_and_lets_others_pass(database: Database) -> None:
    async with an_answer_that_waits(database) as (world, gateway, mo):
        stop, start = world.answer(1, "STOP"), world.answer(1, "START")
        await eventually(lambda: gateway.intake.backlog() == 2)
        other = world.answer(STRANGER, "Bonjour?")
        await eventually(lambda: other.taken)
        assert gateway.intake.backlog() == 2
        assert stop.statuses == start.statuses == mo.statuses == []
        # In force before it is decided, as ever.
        assert FIRST_MSISDN + 1 in gateway.pump.look.stops.undecided(SENDER)
    await eventually(lambda: stop.taken and start.taken)
    rows = await world.rows(
        "SELECT outcome FROM inbound_message WHERE msisdn = $1 ORDER BY inbound_id", FIRST_MSISDN + 1
    )
    assert [row["outcome"] for row in rows] == ["ordered", "stopped", "started"]
    assert len(await order_numbers(world)) == 1
    state = await world.value("SELECT offers_state FROM subscriber WHERE subscriber_id = 10001")
    assert state == "subscribed"


async def test_the_last_piece_goes_to_the_group_that_came_first(database: Database) -> None:
    async with an_answer_that_waits(database, pieces=1) as (world, _, _mo):
        late = [world.answer(number, "OK") for number in (2, 3)]
        await eventually(lambda: so_many_wait(world.database, 2))  # the next group waits for the offer
        assert [other.statuses for other in late] == [[], []]
    await eventually(lambda: all(other.taken for other in late))
    assert await outcomes(world) == {"ordered": 1, "sold_out": 2}
    assert await world.value("SELECT msisdn FROM orders") == FIRST_MSISDN + 1
    assert await stock(world) == 0


async def test_two_groups_whose_connections_break_are_both_brought_again(database: Database) -> None:
    async with an_answer_that_waits(database, pieces=3) as (world, _, mo):
        late = world.answer(2, "OK")
        await eventually(lambda: so_many_wait(world.database, 2))
        await eventually(world.kill_bulk_connections)
    await eventually(lambda: late.taken)
    assert mo.taken
    assert await outcomes(world) == {"ordered": 2}
    assert await stock(world) == 1
