"""
An orderly stop in the middle of a campaign, and a second process on the same database.

After SIGTERM no new submit leaves, open responses are awaited, the bind is left by unbind and unbind_resp,
and what was claimed and not sent is given back. The next process goes on: every phone has its offer once, no
phone twice, none is missing.
"""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from smsgate.flows import person_requests
from tests.acceptance.town import SENDER, Ground, a_carrier, an_empty_town, eventually
from tests.acceptance.wire import commands_of, smpp_wire

SUBMIT_SM, SUBMIT_SM_RESP = 0x4, 0x8000_0004
DELIVER_SM_RESP = 0x8000_0005
UNBIND, UNBIND_RESP = 0x6, 0x8000_0006
SUBSCRIBERS = 400
RATE_PER_S = 150


async def test_a_campaign_survives_the_stop_of_its_process_without_loss_or_repetition(ground: Ground) -> None:
    async with (
        an_empty_town(ground, smsc={"response_latency_s": 0.05, "receipt_delay_s": (0.0, 0.3)}) as town,
        smpp_wire(town.simulator.smpp_port) as (wire, port),
    ):
        town.settings = town.settings.model_copy(
            update={"carriers": (a_carrier(port, rate_per_s=RATE_PER_S),)}
        )
        log = town.simulator.smsc.log
        async with town.gateway() as first:
            await town.settle(SUBSCRIBERS)
            campaign = await town.new_record()
            await eventually(lambda: log.submits >= SUBSCRIBERS // 4)
        assert first.gateway is not None
        assert log.submits < SUBSCRIBERS, "it must stop in the middle to show anything"
        sent_by_the_first = log.submits
        there, back = commands_of(wire.sent[0]), commands_of(wire.answered[0])
        left = there.index((UNBIND, 0))
        assert {command for command, _ in there[left + 1 :]} <= {DELIVER_SM_RESP}, (
            "answers may follow, no more"
        )
        assert back[-1] == (UNBIND_RESP, 0)
        asked = sum(command == SUBMIT_SM for command, _ in there)
        assert asked == sum(command == SUBMIT_SM_RESP for command, _ in back) == sent_by_the_first

        async with town.gateway():
            done = await town.finished(campaign)
            assert log.submits == log.accepted == SUBSCRIBERS
            assert town.simulator.phones.received == SUBSCRIBERS
            assert {log.by_destination[msisdn] for msisdn in town.msisdns} == {1}
            progress = done["progress"]
            assert (progress["recipients"], progress["accepted"]) == (SUBSCRIBERS, SUBSCRIBERS)
            assert (progress["unknown"], progress["not_sent"]) == (0, 0)
            assert progress["delivered"] == SUBSCRIBERS
            books = await town.books()
            assert books.accepted == books.ledger_messages == SUBSCRIBERS


async def test_an_unbind_of_the_smsc_is_answered_and_the_gateway_binds_again(ground: Ground) -> None:
    async with (
        an_empty_town(ground) as town,
        smpp_wire(town.simulator.smpp_port) as (wire, port),
    ):
        town.settings = town.settings.model_copy(update={"carriers": (a_carrier(port),)})
        async with town.gateway():
            await town.settle(1)
            await town.simulator.smsc.unbind_all()
            await eventually(lambda: town.simulator.smsc.log.binds == 2 and town.bound())
            assert (UNBIND, 0) in commands_of(wire.answered[0])
            assert commands_of(wire.sent[0])[-1] == (UNBIND_RESP, 0)
            await town.finished(await town.new_record())
            assert town.offers_to(town.msisdns[0]) == 1


async def test_answers_and_events_that_wait_at_the_stop_are_not_lost(ground: Ground) -> None:
    """An order that came just before the stop reaches the shop from the next process, once."""
    async with an_empty_town(ground) as town:
        async with town.gateway():
            await town.settle(20)
            await town.finished(await town.new_record())
            town.shop.fail("error", 600.0)
            mos = [town.simulator.smsc.send_mo(msisdn, SENDER, "OK") for msisdn in town.msisdns]
            await eventually(lambda: all(mo.taken for mo in mos))
        town.shop.recover()
        town.clock.skip(6.0)  # the second attempt comes 5 s after the first
        async with town.gateway():
            await eventually(lambda: town.shop.confirmed_in_response == 20)
            assert (town.shop.verified_once, town.shop.verified_more) == (20, 0)
            await eventually(lambda: all(len(town.texts(msisdn)) == 2 for msisdn in town.msisdns))

            async def all_confirmed() -> Any:
                orders = await town.merchant.all("/v1/orders?state=confirmed")
                return orders if len(orders) == 20 else None

            orders = await eventually(all_confirmed)
            assert sorted(order["msisdn"] for order in orders) == [f"+{msisdn}" for msisdn in town.msisdns]


async def test_an_erasure_that_is_not_over_at_the_stop_is_finished_by_the_next_process(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is writing for longer than the request waits, and than the process lives."""
    monkeypatch.setattr(person_requests, "PATIENCE_S", 0.1)

    async with an_empty_town(ground) as town:

        async def states() -> list[str]:
            return [each["state"] for each in await town.merchant.all("/v1/data_requests")]

        writer = await asyncpg.connect(ground.dsn)
        try:
            async with town.gateway():
                await town.settle(1)
                person = await town.subscriber(town.msisdns[0])
                await writer.execute("BEGIN; INSERT INTO answer_count VALUES (1, now(), 1)")
                asked = {"kind": "erasure", "subscriber": person["id"]}
                made = await town.merchant.post("/v1/data_requests", asked)
                assert (made["state"], await states()) == ("under_way", ["under_way"])
        finally:
            await writer.close()
        async with town.gateway():

            async def done() -> bool:
                return await states() == ["done"]

            await eventually(done)
