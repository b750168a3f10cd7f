"""More answers at once than a process takes: the carrier keeps the rest, and everything comes to an end."""

from __future__ import annotations

import asyncio
import time

import pytest

import smsgate.flows.inbound_turns
import smsgate.simulator.connection
from smsgate.flows.inbound_later import TOLD_AFTER_S
from smsgate.simulator.connection import RETRY_DELAY_S
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer
from tests.flows.world import a_world, eventually

STRANGER = 900  # the first of whom nobody knows


async def test_a_flood_is_taken_in_the_end_and_its_carrier_brings_a_window_a_second(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused at once, each makes room for the next, which is refused, too: a storm without an end."""
    people, window = 150, 30
    monkeypatch.setattr(smsgate.flows.inbound_turns, "QUEUE_MAX", 5)
    async with a_world(database, subscribers=1, deliver_window=window) as world, world.gateway() as gateway:
        await eventually(lambda: world.log.binds == 1)
        async with world.locked("mo_seen"):
            began = time.monotonic()
            mos = [world.answer(STRANGER + each, "Bonjour?") for each in range(people)]
            await eventually(lambda: gateway.intake.turned_away > 0)
            await asyncio.sleep(2 * TOLD_AFTER_S)  # an absence has no condition to poll
            turned_away, seconds = gateway.intake.turned_away, time.monotonic() - began
            assert turned_away <= window * (1 + seconds / TOLD_AFTER_S)
        await eventually(lambda: all(mo.taken for mo in mos))
        assert await world.value("SELECT count(*) FROM inbound_message") == people


async def test_who_is_refused_is_told_after_a_while_and_taken_when_there_is_room(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        gateway.halt(True)
        began = time.monotonic()
        mo = world.answer(1, "OK")
        await eventually(lambda: gateway.intake.turned_away >= 2)
        assert time.monotonic() - began >= TOLD_AFTER_S + RETRY_DELAY_S  # the phone's network waits, too
        gateway.halt(False)
        await eventually(lambda: mo.taken)


async def test_who_cannot_be_taken_for_now_is_told_after_a_while_and_not_again_and_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A carrier that brings an MO again at once would keep a process in trouble busy with it, and its log."""
    monkeypatch.setattr(smsgate.simulator.connection, "RETRY_DELAY_S", 0.0)
    async with an_open_offer(database) as (world, gateway):
        await world.execute("REVOKE INSERT ON mo_seen FROM sg_bulk")
        began = time.monotonic()
        mo = world.answer(1, "OK")
        await eventually(lambda: world.log.written_again >= 2)
        assert time.monotonic() - began >= 2 * TOLD_AFTER_S
        await world.execute("GRANT INSERT ON mo_seen TO sg_bulk")
        await eventually(lambda: mo.taken)
        assert gateway.intake.taken == 1
