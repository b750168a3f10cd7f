"""When claims of the interactive lane ask for more: also where one carrier is full and another idle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from smsgate.clock import SystemClock
from smsgate.flows.allowances import Allowances
from smsgate.flows.batches import Batch
from smsgate.flows.claim_ahead import ROOMLESS_LOOK_S, ClaimAhead
from smsgate.flows.ports import Carrier
from smsgate.flows.records import Lane
from smsgate.flows.sending import Pump
from smsgate.flows.sending_limits import SendingLimits
from tests.batches import batch_of

STEP = 25  # messages that a carrier of 100 a second may have ahead
CARRIER = cast("Carrier", SimpleNamespace(rate_per_s=100, down_since=lambda: None))


class SteppedClock(SystemClock):
    seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


def a_pump(*batches: Batch) -> Pump:
    fields: dict[str, Any] = {
        "allowances": Allowances(SendingLimits()),
        "batches": lambda: batches,
        "wake_interactive": SimpleNamespace(set=lambda: None),
    }
    return cast("Pump", SimpleNamespace(**fields))


@asynccontextmanager
async def ahead(carriers: int, of_first: int) -> AsyncIterator[ClaimAhead]:
    """Carriers of which the first has so many messages to write, and the others none."""
    pump = a_pump(batch_of(range(of_first), merchant_id=7))
    made = ClaimAhead(pump, dict.fromkeys(range(1, carriers + 1), CARRIER), SystemClock(), submitted=False)
    yield made
    made._timers.cancel()


async def test_marketing_that_waits_behind_campaigns_takes_no_room_from_what_people_expect() -> None:
    """It counted as if it stood before other accounts' messages, which so left at the campaigns' pace."""
    marketing = batch_of(range(STEP), lane=Lane.BULK, bodies=[b""] * STEP)
    expected = batch_of(range(3), bodies=[b""] * 3)
    own = batch_of(range(5))
    rooms = {}
    for name, submitted, lane in (
        ("own", False, Lane.INTERACTIVE),
        ("expected", True, Lane.INTERACTIVE),
        ("marketing", True, Lane.BULK),
    ):
        claims = ClaimAhead(
            a_pump(marketing, expected, own), {1: CARRIER}, SystemClock(), submitted=submitted, lane=lane
        )
        rooms[name] = claims.room()[1]
    assert rooms == {"own": STEP - 5, "expected": STEP - 3, "marketing": 0}


@pytest.mark.parametrize("carriers", [1, 2])
async def test_what_waits_for_a_full_carrier_is_asked_for_when_half_of_it_is_written(carriers: int) -> None:
    async with ahead(carriers, STEP) as claims:
        rooms = claims.room()
        assert rooms[1] == 0
        assert not claims.more(rooms, max(rooms.values()), 0)
        assert claims._timers._set


async def test_a_claim_that_found_all_that_waits_asks_for_nothing() -> None:
    async with ahead(2, 3) as claims:
        rooms = claims.room()
        assert not claims.more(rooms, max(rooms.values()), 3)
        assert not claims._timers._set


async def test_a_full_claim_goes_on_at_once_while_there_is_room() -> None:
    async with ahead(2, 3) as claims:
        rooms = claims.room()
        assert claims.more(rooms, max(rooms.values()), max(rooms.values()))


async def test_a_sender_is_first_from_a_claim_that_left_nothing_until_a_text_waits() -> None:
    async with ahead(1, 3) as claims:
        rooms = claims.room()
        assert not claims.is_first("38123")  # nobody has looked
        claims.asks(["38123"])
        claims.more(rooms, max(rooms.values()), 0)
        assert claims.is_first("38123")
        assert not claims.is_first("38124")  # nobody asked for its texts
        claims.waits("38123")
        assert not claims.is_first("38123")
        claims.asks(["38123"])
        assert not claims.is_first("38123")  # until the claim is back
        claims.waits("38123")  # it may be too late for this one
        claims.more(rooms, max(rooms.values()), 1)
        assert not claims.is_first("38123")
        claims.asks(["38123"])
        claims.more(rooms, max(rooms.values()), max(rooms.values()))
        assert not claims.is_first("38123")  # a full claim may have left some


async def test_what_answers_claim_takes_room_before_it_is_in_the_books() -> None:
    async with ahead(1, 3) as claims:
        with claims.coming({1: 5}):
            assert claims.room() == {1: STEP - 8}
        assert claims.room() == {1: STEP - 3}


async def test_what_needs_no_room_is_looked_for_once_a_second_while_none_is_found() -> None:
    """Each look reads all that waits: behind a full carrier it was done in every turn of the others."""
    clock = SteppedClock()
    claims = ClaimAhead(a_pump(batch_of(range(STEP), merchant_id=7)), {}, clock, submitted=True)
    rooms = claims.room()

    def looks(found: int) -> bool:
        asked = claims.asks([])
        claims.more(rooms, 0, found if asked else 0)
        return asked

    assert [looks(1), looks(1), looks(0), looks(0), looks(0)] == [True, True, True, False, False]
    clock.seconds += ROOMLESS_LOOK_S
    assert [looks(0), looks(0)] == [True, False]
    assert claims.asks(["36111"])  # whenever there is room
    claims.more(rooms, 5, 5)
    assert not looks(0)  # that claim took what is over, too
