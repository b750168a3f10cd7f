"""Two gateway processes that take answers to one offer, and what a merchant does to it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from smsgate.daemon.gateway import Gateway
from smsgate.simulator.mobile_originated import Mo
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, order_numbers, outcomes, stock
from tests.flows.test_inbound_two_groups import no_commits
from tests.flows.test_offer_ends import TAKEN_BACK, the_offer
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, World, changes_of, eventually
from tests.store.waiting import so_many_wait, waiting

PEOPLE = 60
PIECES = 20


@asynccontextmanager
async def two_processes(
    database: Database, *, subscribers: int = PEOPLE, pieces: int | None = None
) -> AsyncIterator[tuple[World, tuple[Gateway, Gateway]]]:
    """Have everybody got an offer, and two processes bound, among which the SMSC deals out answers."""
    async with an_open_offer(database, subscribers=subscribers, stock=pieces) as (world, one):
        async with world.gateway() as other:
            await eventually(
                lambda: all(
                    bind.state == "bound" for carrier in other.switchboard for bind in carrier.binds()
                )
            )
            yield world, (one, other)


async def taken(mos: list[Mo]) -> None:
    await eventually(lambda: all(mo.taken for mo in mos))


@pytest.mark.parametrize("pieces", [None, PIECES])
async def test_answers_to_two_processes_order_once_each_and_no_more_than_there_is(
    database: Database, pieces: int | None
) -> None:
    async with two_processes(database, pieces=pieces) as (world, both):
        mos = [world.answer(number, "OK") for number in range(PEOPLE)]
        await taken(mos)
        assert all(gateway.intake.taken > 0 for gateway in both)
        bought = PEOPLE if pieces is None else pieces
        late = {} if pieces is None else {"sold_out": PEOPLE - bought}
        assert await outcomes(world) == {"ordered": bought} | late
        assert len(set(await order_numbers(world))) == bought
        assert await world.value("SELECT count(DISTINCT msisdn) FROM orders") == bought
        assert await stock(world) == (None if pieces is None else 0)
        assert all(len(mo.statuses) == 1 for mo in mos)
        await eventually(lambda: all(len(world.texts_to(number)) == 2 for number in range(PEOPLE)))


async def test_a_yes_and_a_stop_of_one_person_to_two_processes_leave_no_offer_open(
    database: Database,
) -> None:
    async with two_processes(database, subscribers=20) as (world, both):
        mos = [world.answer(number, text) for number in range(20) for text in ("OK", "STOP")]
        await taken(mos)
        assert all(gateway.intake.taken > 0 for gateway in both)
        assert (await outcomes(world))["stopped"] == 20
        assert await world.value("SELECT count(DISTINCT msisdn) = count(*) FROM orders")
        assert await world.value("SELECT count(*) FROM open_offer") == 0


async def test_a_group_does_not_wait_for_anothers_commit_where_nothing_is_counted(database: Database) -> None:
    async with an_open_offer(database, stock=None) as (world, _):
        async with no_commits(world):
            first = world.answer(1, "OK")
            await eventually(lambda: so_many_wait(world.database, 1))
            late = world.answer(2, "OK")
            await eventually(lambda: so_many_wait(world.database, 2))
            # Both are decided and written.
            assert ["campaign_counter" in sql for sql in await waiting(world.database)] == [True, True]
        await taken([first, late])
        assert await outcomes(world) == {"ordered": 2}


@pytest.mark.parametrize("pieces", [None, PIECES])
async def test_a_withdrawal_waits_for_answers_that_came_first(database: Database, pieces: int | None) -> None:
    async with an_open_offer(database, stock=pieces) as (world, gateway):
        async with no_commits(world):
            mo = world.answer(1, "OK")
            await eventually(lambda: so_many_wait(world.database, 1))
            changes = changes_of(world, gateway.pump.look.stops)
            withdrawing = asyncio.create_task(changes.withdraw(MERCHANT, await the_offer(world)))
            await eventually(lambda: so_many_wait(world.database, 2))
            assert not withdrawing.done()
        assert (await withdrawing).withdrawn
        await taken([mo])
        assert await outcomes(world) == {"ordered": 1}


async def test_an_answer_that_was_decided_before_a_withdrawal_and_not_written_orders_nothing(
    database: Database,
) -> None:
    """Where nothing is counted an offer is read without a lock: who comes to the commit first, has it."""
    async with an_open_offer(database, stock=None) as (world, gateway):
        async with world.database.control() as held, held.transaction():
            await held.execute("LOCK TABLE order_event IN SHARE MODE")
            mo = world.answer(1, "OK")
            await eventually(lambda: so_many_wait(world.database, 1))
            changes = changes_of(world, gateway.pump.look.stops)
            assert (await changes.withdraw(MERCHANT, await the_offer(world))).withdrawn
        await taken([mo])
        assert await order_numbers(world) == []
        assert len(mo.statuses) == 1  # decided again, not turned away
        await eventually(lambda: world.texts_to(1)[1:] == [TAKEN_BACK])
        assert FIRST_MSISDN + 1 not in gateway.pump.look.stops.undecided(SENDER)
