"""
The roles in two processes on one database: the API in one, carriers and webhooks in the other.

What the one commits the other does: a campaign is sent, its orders reach the shop, and a pause or a
revocation that comes in by the API holds for the process that sends.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from smsgate.config import NodeSettings
from smsgate.config.settings import Role
from smsgate.daemon.process import Process, running
from smsgate.security.public_ids import Kind
from smsgate.store.roles import ADMIN
from tests.acceptance.town import PATIENCE_S, Caller, Ground, Town, an_empty_town, eventually

RATE_PER_S = 100
WITHIN_S = 1.0  # a command holds within this, whatever process it came in by
QUIET_S = 0.5  # fifty messages at this rate
PRICES_SEEN_S = 6.0  # a process looks for new prices every 5 s


async def test_a_campaign_goes_through_both_to_a_confirmed_order(ground: Ground) -> None:
    async with a_divided_town(ground, subscribers=20) as (town, _):
        assert (await town.anybody.ask("GET", "/readyz")).status == 200
        await town.finished(await town.new_record())
        assert {town.offers_to(msisdn) for msisdn in town.msisdns} == {1}
        await town.answer(town.msisdns[0], "OK")
        order = await town.confirmed_order()
        assert order["order_ref"] == "B-1"
        assert town.shop.verified_once == town.shop.confirmed_in_response == 1
        await eventually(lambda: len(town.texts(town.msisdns[0])) == 2)


async def test_a_campaign_by_prices_that_were_published_a_moment_ago_is_sent(ground: Ground) -> None:
    """What the API took with a price must not come to nothing because the sender has not seen it yet."""
    async with a_divided_town(ground, subscribers=20, since_prices_s=0.0) as (town, _):
        done = await town.finished(await town.new_record())
        assert (done["progress"]["accepted"], done["progress"]["not_sent"]) == (20, 0)


async def test_pause_and_revocation_hold_in_the_process_that_sends(ground: Ground) -> None:
    async with a_divided_town(ground, subscribers=400, carrier={"rate_per_s": RATE_PER_S}) as (
        town,
        worker,
    ):
        log = town.simulator.smsc.log
        campaign = await town.new_record()
        await eventually(lambda: log.submits >= 20)
        await town.merchant.post(f"/v1/campaigns/{campaign}/pause")
        at_the_command = log.submits
        held = await quiet(lambda: log.submits)
        assert held < len(town.msisdns)
        assert held - at_the_command <= RATE_PER_S * WITHIN_S

        leaver = next(msisdn for msisdn in town.msisdns if not town.texts(msisdn))
        revocation = {"event": "revoked", "source": "letter", "occurred_at": town.clock.now().isoformat()}
        person = await town.subscriber(leaver)
        await town.merchant.post("/v1/consents", {"subscriber": person["id"], **revocation})
        whose = worker.services.public_ids.decode(Kind.MERCHANT, town.merchant_id)
        await eventually(lambda: (whose, leaver) in worker.stops)
        await town.merchant.post(f"/v1/campaigns/{campaign}/resume")
        done = await town.finished(campaign)
        assert town.texts(leaver) == []
        assert done["progress"]["accepted"] == log.submits == len(town.msisdns) - 1


async def test_what_was_taken_back_while_nobody_listened_holds_in_the_process_that_sends(
    ground: Ground,
) -> None:
    async with a_divided_town(ground, subscribers=400, carrier={"rate_per_s": RATE_PER_S}) as (
        town,
        worker,
    ):
        campaign = await town.new_record()
        await eventually(lambda: town.simulator.smsc.log.submits >= 20)
        leaver = [msisdn for msisdn in town.msisdns if not town.texts(msisdn)][-1]
        admin = await worker.services.database.connect(ADMIN)
        try:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE '%sg_owner'"
            )
            await admin.execute("UPDATE subscriber SET offers_state = 'paused' WHERE msisdn = $1", leaver)
        finally:
            await admin.close()
        done = await town.finished(campaign)
        assert town.texts(leaver) == []
        assert (done["progress"]["accepted"], done["progress"]["not_sent"]) == (399, 1)


async def test_a_cancel_holds_within_a_second_in_the_process_that_sends(ground: Ground) -> None:
    async with a_divided_town(ground, subscribers=300, carrier={"rate_per_s": RATE_PER_S}) as (town, _):
        log = town.simulator.smsc.log
        campaign = await town.new_record()
        await eventually(lambda: log.submits >= 20)
        await town.merchant.post(f"/v1/campaigns/{campaign}/cancel")
        at_the_command = log.submits
        sent = await quiet(lambda: log.submits)
        assert sent - at_the_command <= RATE_PER_S * WITHIN_S
        assert sent < len(town.msisdns)
        assert set(log.by_destination.values()) == {1}


async def test_the_process_without_the_api_answers_monitors_and_nobody_else(ground: Ground) -> None:
    async with a_divided_town(ground, subscribers=1) as (town, worker):
        assert worker.api is not None
        monitor = Caller(f"http://127.0.0.1:{worker.api.port}", "", town.session)
        for path in ("/livez", "/healthz", "/readyz"):
            assert (await monitor.ask("GET", path)).status == 200
        text = (await monitor.get("/metrics")).decode()
        assert re.search(r'^smsgate_bind_up\{.*carrier="sim"\} 1\.0$', text, re.MULTILINE)
        assert "smsgate_flush_failures_total 0.0" in text
        assert 'smsgate_loop_silent_seconds{loop="claims"}' in text
        operator = Caller(monitor.base_url, town.operator.key, town.session)
        for path in ("/", "/v1/carriers", "/v1/orders", "/v1/openapi.json"):
            assert (await operator.ask("GET", path)).code == "not_found"
        worker.draining = True
        assert (await monitor.ask("GET", "/readyz")).body["status"] == "draining"


async def quiet(count: Callable[[], int], within_s: float = PATIENCE_S) -> int:
    """Wait until nothing was counted for QUIET_S, and return the count."""
    async with asyncio.timeout(within_s):
        while True:
            seen = count()
            await asyncio.sleep(QUIET_S)
            if count() == seen:
                return seen


@asynccontextmanager
async def a_divided_town(
    ground: Ground, *, subscribers: int, since_prices_s: float = PRICES_SEEN_S, **parts: Any
) -> AsyncIterator[tuple[Town, Process]]:
    async with an_empty_town(ground, **parts) as town:

        def process(*roles: Role) -> Any:
            node = NodeSettings(state_dir=ground.state_dir, roles=roles)
            settings = town.settings.model_copy(update={"node": node})
            return running(settings, say=lambda _sentence: None, clock=town.clock)

        async with process("gateway", "webhooks") as worker, process("api") as door:
            town.process = worker
            await eventually(town.bound)
            town.process = door
            await town.settle(subscribers)
            town.clock.skip(since_prices_s)
            yield town, worker
