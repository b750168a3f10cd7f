"""
Beside a campaign each statement waits for a turn of the loop, so a group of answers runs few of them.

Counted, not timed: how busy the machine is does not matter.
"""

from __future__ import annotations

from typing import Final

import pytest

from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, outcomes, say
from tests.flows.statements import Statements, transactions

ARRIVED: Final = ("inbound.first_seen", "esme_traffic.takers", "inbound.people", "portability.ported_of")
STANDING: Final = (
    "inbound.other_consents", "inbound.open_offers", "inbound.open_questions", "inbound.answer_counts",
    "inbound.merchants", "inbound.writers_among",
)  # fmt: skip
ANSWERED: Final = (
    "inbound.lock_offers", "inbound.offer_versions", "inbound.orders_of_messages", "inbound.taken_numbers",
)  # fmt: skip
READ: Final = (ARRIVED, ("inbound.lock_people",), STANDING)


def group_among(found: list[Statements]) -> Statements:
    [group] = [each for each in found if ARRIVED in each]
    return group


@pytest.mark.parametrize(("stock", "statements"), [(10, 9), (None, 10)])
async def test_an_order(database: Database, stock: int | None, statements: int) -> None:
    async with an_open_offer(database, stock=stock) as (world, _), transactions(world.database) as found:
        await say(world, 1, "OK")
        group = group_among(found)
        assert await outcomes(world) == {"ordered": 1}
    assert tuple(group[:4]) == (*READ, ANSWERED)
    assert len(group) == statements, group


async def test_an_answer_without_an_open_offer(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await world.execute("DELETE FROM open_offer")
        async with transactions(world.database) as found:
            await say(world, 1, "OK")
        group = group_among(found)
        assert await outcomes(world) == {"no_open_offer": 1}
    assert tuple(group[:3]) == READ
    assert len(group) == 6, group


async def test_a_stop(database: Database) -> None:
    async with an_open_offer(database) as (world, _), transactions(world.database) as found:
        await say(world, 1, "STOP")
        group = group_among(found)
        assert await outcomes(world) == {"stopped": 1}
    assert tuple(group[:3]) == READ
    assert len(group) == 14, group


async def test_an_ok_that_is_said_again(database: Database) -> None:
    """Its order is locked and read, too."""
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        async with transactions(world.database) as found:
            await say(world, 1, "ok merci")
        group = group_among(found)
        assert await outcomes(world) == {"ordered": 1, "repeated": 1}
    assert tuple(group[:4]) == (*READ, ANSWERED)
    assert group[4:6] == [("inbound.lock_orders",), ("inbound.order_steps", "inbound.taken_numbers")]
    assert len(group) == 9, group
