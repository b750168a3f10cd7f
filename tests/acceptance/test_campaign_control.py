"""
A campaign in the merchant's hands: looked at before it costs anything, paused, resumed, cancelled.

Every command holds within a second, whatever waits to be sent, and nobody gets an offer twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

from smsgate.money import micros_from_text, micros_to_text
from tests.acceptance.town import (
    OFFER_TEXT,
    SELL_MICROS,
    SENDER,
    Ground,
    Town,
    a_town,
    an_offer,
    eventually,
)

RATE_PER_S = 100
SUBSCRIBERS = 300
WITHIN_S = 1.0


async def a_campaign(town: Town, **audience: Any) -> str:
    offer = await town.merchant.post("/v1/offers", an_offer(town.clock))
    draft = {"offer": offer["id"], "audience": audience or {"tags": ["music"]}}
    campaign = await town.merchant.post("/v1/campaigns", draft)
    assert campaign["state"] == "draft"
    return str(campaign["id"])


async def test_a_preview_shows_septets_encoding_and_cost_and_sends_nothing(ground: Ground) -> None:
    async with a_town(ground, subscribers=40) as town:
        offer = await town.merchant.post("/v1/offers", an_offer(town.clock))
        assert offer["septets"] == 160
        campaign = await a_campaign(town)
        preview = await town.merchant.post(f"/v1/campaigns/{campaign}/preview")
        assert (preview["text"], preview["encoding"]) == (OFFER_TEXT, "gsm7")
        assert (preview["septets"], preview["segments"]) == (160, 1)
        assert (preview["recipients"], preview["priced"]) == (40, 40)
        assert (preview["cost"], preview["currency"]) == (micros_to_text(40 * SELL_MICROS), "EUR")
        (france,) = preview["countries"]
        assert (france["country"], france["recipients"], france["cost"]) == ("FR", 40, preview["cost"])
        assert town.simulator.smsc.log.submits == 0

        started = await town.merchant.post(f"/v1/campaigns/{campaign}/start")
        assert (started["state"], started["recipients"]) == ("sending", 40)
        await town.finished(campaign)
        statement = await town.statement()
        assert micros_from_text(statement["amount"]) == micros_from_text(preview["cost"])


async def test_pause_holds_within_a_second_and_resume_sends_the_rest_once(ground: Ground) -> None:
    async with a_town(ground, subscribers=SUBSCRIBERS, carrier={"rate_per_s": RATE_PER_S}) as town:
        log = town.simulator.smsc.log
        campaign = await a_campaign(town)
        await town.merchant.post(f"/v1/campaigns/{campaign}/start")
        await eventually(lambda: log.submits >= 20)
        paused = await town.merchant.post(f"/v1/campaigns/{campaign}/pause")
        assert paused["state"] == "paused"
        at_the_command = log.submits
        await quiet(town)
        held = log.submits
        assert held < SUBSCRIBERS
        assert held - at_the_command <= RATE_PER_S * WITHIN_S
        assert (await town.campaign(campaign))["state"] == "paused"

        await town.merchant.post(f"/v1/campaigns/{campaign}/resume")
        await eventually(lambda: log.submits > held, within_s=WITHIN_S)
        done = await town.finished(campaign)
        assert done["progress"]["accepted"] == log.submits == SUBSCRIBERS
        assert {log.by_destination[msisdn] for msisdn in town.msisdns} == {1}


async def test_cancel_holds_within_a_second_and_for_ever(ground: Ground) -> None:
    async with a_town(ground, subscribers=SUBSCRIBERS, carrier={"rate_per_s": RATE_PER_S}) as town:
        log = town.simulator.smsc.log
        campaign = await a_campaign(town)
        await town.merchant.post(f"/v1/campaigns/{campaign}/start")
        await eventually(lambda: log.submits >= 20)
        cancelled = await town.merchant.post(f"/v1/campaigns/{campaign}/cancel")
        assert cancelled["state"] == "cancelled"
        at_the_command = log.submits
        await quiet(town)
        sent = log.submits
        assert sent < SUBSCRIBERS
        assert sent - at_the_command <= RATE_PER_S * WITHIN_S
        for command in ("resume", "start", "pause"):
            refused = await town.merchant.ask("POST", f"/v1/campaigns/{campaign}/{command}")
            assert (refused.status, refused.code) == (409, "campaign_state"), command

        async def counted() -> bool:
            progress = (await town.campaign(campaign))["progress"]
            return bool(progress["accepted"] == progress["delivered"] == sent)

        await eventually(counted)
        assert (await town.books()).ledger_messages == sent
        assert set(log.by_destination.values()) == {1}


async def test_what_the_gateway_itself_says_does_not_wait_for_a_campaign(ground: Ground) -> None:
    """An answer's receipt goes out at once, though hundreds of offers wait for their turn."""
    async with a_town(ground, subscribers=SUBSCRIBERS, carrier={"rate_per_s": 50}) as town:
        campaign = await a_campaign(town)
        await town.merchant.post(f"/v1/campaigns/{campaign}/start")
        first = await eventually(lambda: next((m for m in town.msisdns if town.texts(m)), None))
        await town.answer(first, "OK", SENDER)
        await eventually(lambda: len(town.texts(first)) == 2, within_s=2.0)
        assert town.simulator.smsc.log.submits < SUBSCRIBERS // 2
        await town.merchant.post(f"/v1/campaigns/{campaign}/cancel")


async def quiet(town: Town) -> None:
    """Wait until nothing is submitted for a while."""
    log = town.simulator.smsc.log
    while True:
        before = log.submits
        await asyncio.sleep(0.5)  # the thing to be shown is that nothing happens
        if log.submits == before:
            return
