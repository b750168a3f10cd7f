"""A caller that waits for its text to be decided, and waits no longer: the API has a time limit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from smsgate.daemon.gateway import Gateway
from smsgate.flows.records import MobileOriginated
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, say
from tests.flows.world import FIRST_MSISDN, SENDER, eventually

PHONE = FIRST_MSISDN + 1
GIVEN_UP_S = 0.2


def a_stop(ref: int) -> MobileOriginated:
    return MobileOriginated(
        carrier_id=1,
        msisdn=PHONE,
        source=str(PHONE),
        destination=SENDER,
        text="STOP",
        raw=b"STOP",
        data_coding=0,
        received_at=datetime.now(UTC),
        ref=ref,
    )


async def give_up(gateway: Gateway, mo: MobileOriginated) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(GIVEN_UP_S):
            await gateway.intake.take(mo)


@pytest.mark.parametrize("table", ["mo_seen", "campaign_counter"])
async def test_a_stop_that_nobody_waited_for_is_held_until_it_is_said_again(
    database: Database, table: str
) -> None:
    """It may have been committed: held it is. Once said and decided it is held no more, nor after a START."""
    async with an_open_offer(database) as (world, gateway):
        undecided = gateway.pump.look.stops.undecided
        async with world.locked(table):
            await give_up(gateway, a_stop(1))
        assert PHONE in undecided(SENDER)
        await say(world, 1, "STOP")
        assert PHONE not in undecided(SENDER)
        await say(world, 1, "START")
        assert PHONE not in undecided(SENDER)


async def test_a_stop_whose_caller_left_before_its_turn_is_held_until_it_is_said_again(
    database: Database,
) -> None:
    async with an_open_offer(database) as (world, gateway):
        undecided = gateway.pump.look.stops.undecided
        async with world.locked("mo_seen"):
            first = world.answer(1, "Bonjour?")
            await eventually(lambda: gateway.intake.busy)
            await give_up(gateway, a_stop(1))
        await eventually(lambda: first.taken)
        await say(world, 1, "STOP")
        assert PHONE not in undecided(SENDER)
