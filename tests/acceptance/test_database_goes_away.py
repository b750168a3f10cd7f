"""
The database goes away, as in a failover, and comes back.

While it is away the node says that it is not ready, and refuses politely. What phones say meanwhile stays
with the carrier. Afterwards everything goes on by itself: no offer is lost, none is sent twice, and the books
agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from smsgate.clock import SystemClock
from smsgate.config import DatabaseSettings
from smsgate.daemon.services import LoopDied, open_services
from tests.acceptance.town import SENDER, Ground, Town, a_record, a_town, eventually
from tests.acceptance.wire import Wire, database_wire

SUBSCRIBERS = 300
RATE_PER_S = 150
AWAY_S = 1.5


async def test_the_node_is_unready_while_the_database_is_away_and_says_so(
    ground: Ground, short_dir: Path
) -> None:
    async with a_town_on_a_wire(ground, short_dir, subscribers=2) as (town, wire):
        assert await statuses(town) == {"/healthz": 200, "/livez": 200, "/readyz": 200}
        wire.cut()
        assert await statuses(town) == {"/healthz": 200, "/livez": 200, "/readyz": 503}
        away = await town.merchant.ask("GET", "/v1/campaigns")
        assert (away.status, away.code) == (503, "store_unavailable")
        assert int(away.headers["Retry-After"]) >= 1
        refused = await town.emit(a_record(), webhook_id="evt-1")
        assert (refused.status, refused.code) == (503, "store_unavailable")
        wire.mend()
        await eventually(lambda: ready(town))
        # The shop sends its webhook again, as it must after a 503: now it starts the one campaign.
        again = await town.emit(a_record(), webhook_id="evt-1")
        assert again.status == 202
        await town.finished(again.body["campaign"])
        assert [town.offers_to(msisdn) for msisdn in town.msisdns] == [1, 1]
        assert len(await town.merchant.all("/v1/campaigns")) == 1


async def test_replies_of_an_absence_are_told_to_come_again_and_the_session_lives(
    ground: Ground, short_dir: Path
) -> None:
    async with a_town_on_a_wire(ground, short_dir, subscribers=3) as (town, wire):
        log = town.simulator.smsc.log
        await town.finished(await town.new_record())
        wire.cut()
        replies = [town.simulator.smsc.send_mo(msisdn, SENDER, "OK") for msisdn in town.msisdns]
        # The SMSC brings again what was refused for now (0x14); 0x64 it would take as final, 0 as taken.
        await eventually(lambda: log.written_again >= 3)
        assert [reply.statuses for reply in replies] == [[], [], []]
        assert not log.deliver_refused
        wire.mend()
        await eventually(lambda: all(reply.taken for reply in replies))
        assert len(await town.merchant.all("/v1/orders")) == 3
        assert log.binds == 1


async def test_a_campaign_outlives_the_absence_and_every_phone_gets_its_offer_once(
    ground: Ground, short_dir: Path
) -> None:
    parts = {"subscribers": SUBSCRIBERS, "carrier": {"rate_per_s": RATE_PER_S}}
    async with a_town_on_a_wire(ground, short_dir, **parts) as (town, wire):
        log = town.simulator.smsc.log
        campaign = await town.new_record()
        await eventually(lambda: log.accepted >= SUBSCRIBERS // 4)
        buyer = next(msisdn for msisdn in town.msisdns if town.texts(msisdn))
        wire.cut()
        reply = town.simulator.smsc.send_mo(buyer, SENDER, "OK")
        await asyncio.sleep(AWAY_S)  # the absence itself
        assert not reply.taken, "nothing may be acknowledged that is not stored"
        wire.mend()

        done = await town.finished(campaign)
        await eventually(lambda: reply.taken)
        order = await town.only_order()
        assert order["msisdn"] == f"+{buyer}"
        await eventually(lambda: len(town.texts(buyer)) == 2)
        progress = done["progress"]
        assert (progress["accepted"], progress["unknown"], progress["not_sent"]) == (SUBSCRIBERS, 0, 0)
        assert {town.offers_to(msisdn) for msisdn in town.msisdns} == {1}
        assert log.submits == log.accepted == SUBSCRIBERS + 1

        async def booked() -> bool:
            books = await town.books()
            return books.accepted == books.ledger_messages == SUBSCRIBERS + 1 and not books.open_receipts

        await eventually(booked)
        await eventually(lambda: town.shop.confirmed == 1)
        assert (town.shop.verified_once, town.shop.verified_more) == (1, 0)


async def test_why_a_process_ends_is_not_hidden_by_a_database_that_is_away(
    ground: Ground, short_dir: Path
) -> None:
    """A lost lease ends with its own sentence and exit code; the lease that cannot be given back runs out."""
    async with database_wire(ground.dsn, short_dir, Wire) as (wire, dsn):
        dsns = DatabaseSettings(dsn=SecretStr(dsn)).dsns()

        async def end_while_it_is_away() -> None:
            async with open_services(ground.state_dir, dsns, SystemClock(), print):
                wire.cut()
                raise LoopDied("the lease was lost")

        with pytest.raises(LoopDied, match="the lease was lost"):
            await end_while_it_is_away()


async def test_why_a_whole_process_ends_is_not_hidden_by_its_stop_that_cannot_be_committed(
    ground: Ground, short_dir: Path
) -> None:
    async def end_while_it_is_away() -> None:
        async with a_town_on_a_wire(ground, short_dir, subscribers=2) as (_town, wire):
            wire.cut()
            raise LoopDied("the lease was lost")

    with pytest.raises(LoopDied, match="the lease was lost"):
        await end_while_it_is_away()


@asynccontextmanager
async def a_town_on_a_wire(ground: Ground, directory: Path, **parts: Any) -> AsyncIterator[tuple[Town, Wire]]:
    """Start a town whose way to the database can be cut."""
    async with (
        database_wire(ground.dsn, directory, Wire) as (wire, dsn),
        a_town(ground, dsn=dsn, **parts) as town,
    ):
        yield town, wire


async def statuses(town: Town) -> dict[str, int]:
    paths = ("/healthz", "/livez", "/readyz")
    return {path: (await town.anybody.ask("GET", path)).status for path in paths}


async def ready(town: Town) -> bool:
    return (await statuses(town))["/readyz"] == 200
