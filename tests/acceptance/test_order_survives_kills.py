"""
An order and SIGKILL: whatever step the gateway dies at, there is one order, one piece less, one webhook.

Nor is anybody told twice: a text that the carrier may have had is `unknown`, and is not sent again.

Each customer answers OK to a gateway that dies at another step of what follows: the reply's transaction, the
deliver_sm_resp, the webhook, the shop's answer, the text to the customer. The next life goes on from what the
database and the carrier hold.
"""

from __future__ import annotations

import asyncio
import base64
import os
import pickle
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest

from smsgate.config import NodeSettings
from smsgate.simulator.shop import ORDER_CREATED
from tests.acceptance.dying_gateway import NEVER
from tests.acceptance.town import OFFER_TEXT, SENDER, Ground, Town, an_empty_town, an_offer, eventually

STOCK: Final = 100
# What happens between an OK and the end of it, in order; "between any two" is after the one, before the next.
REPLY: Final = (
    "before inbound.first_seen",
    "after inbound.first_seen",
    "after inbound.lock_people",
    "after inbound.open_offers",
    "after inbound.lock_offers",
    "after order_proof.offers",
    "after inbound.insert_orders",  # with the reply, its steps, the stock, the text and the event
    "after inbound.answered",
    "after order_proof.insert_stamps",  # with the counters
)
# The text may be claimed, and is not written; the carrier has no deliver_sm_resp.
COMMITTED: Final = ("committed sending.add_counters",)
WEBHOOK: Final = (
    "before deliveries.claim",
    "after deliveries.claim",
    "committed deliveries.claim",
    "before orders.lock_order",  # the shop's answer is here
    "after orders.change_order",
    "after orders.insert_order_event",
    "committed orders.insert_order_event",
    "before deliveries.settle",
    "after deliveries.settle",
)
UNTOLD: Final = ("after sending.take_interactive",)  # claimed, by a transaction of its own, and not written
# Of a text that waits in the queue, as all do of a merchant with a budget.
TEXT: Final = (
    "before sending.take_interactive",
    *UNTOLD,
    "before sending.log_flush",  # the carrier has it, and its answer is here
    "after sending.log_flush",
    "after sending.interactive_done",
    "committed sending.interactive_done",
)
BUDGET: Final = (
    "INSERT INTO budget (merchant_id, currency, prepaid, month, month_ends_at, day, day_ends_at, began_at) "
    "SELECT merchant_id, 'EUR', false, now(), now() + interval '40 days', now(), now() + interval '1 day', "
    "now() FROM merchant"
)
CERTAIN: Final = (*REPLY, *TEXT[:1])  # nothing of the text can have been written before the kill
SHOP_HANGS: Final = "the shop has the webhook, and has not answered"


class Lives:
    """A gateway in a process of its own that is killed again and again."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._pid = 0

    async def begin(self, step: str) -> None:
        await self._tell(step)
        said, pid = (await self._line()).split()
        assert said == "bound"
        self._pid = int(pid)

    async def arm(self) -> None:
        os.kill(self._pid, signal.SIGUSR1)
        assert await self._line() == "armed"

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    async def death(self) -> None:
        assert await self._line() == f"dead {int(signal.SIGKILL)}"
        self._pid = 0

    def end(self) -> None:
        if self._pid:
            self.kill()

    async def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await asyncio.wait_for(self._process.stdout.readline(), 20.0)).decode().strip()


@asynccontextmanager
async def lives_of(town: Town) -> AsyncIterator[Lives]:
    node = NodeSettings(state_dir=town.settings.node.state_dir, roles=("gateway", "webhooks"))
    settings = town.settings.model_copy(update={"node": node})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.acceptance.dying_gateway",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(base64.b64encode(pickle.dumps(settings)) + b"\n")
    lives = Lives(process)
    try:
        yield lives
    finally:
        process.kill()
        lives.end()
        await process.wait()


async def settled(connection: asyncpg.Connection[Any], orders: int) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT (SELECT count(*) = $1 AND coalesce(bool_and(state = 'confirmed'), true) FROM orders) "
            "AND (SELECT count(*) = 0 FROM interactive_queue) "
            # Nor is there anything left to flush, which would be taken for a step of the next order.
            "AND NOT EXISTS (SELECT FROM sent s WHERE s.status = 0 AND NOT EXISTS "
            "(SELECT FROM receipt r WHERE r.message_id = s.message_id)) "
            "AND (SELECT count(*) = 0 FROM webhook_delivery WHERE state = 'pending')",
            orders,
        )
    )


# A guard against a hang, and no bar: 27 lives of a gateway take 40 s where nothing else runs, and took 204.
@pytest.mark.timeout(480)
async def test_an_order_is_one_whatever_step_the_gateway_is_killed_at(ground: Ground) -> None:
    steps = (*REPLY, *COMMITTED, *WEBHOOK, SHOP_HANGS, *TEXT)
    async with an_empty_town(ground) as town, lives_of(town) as lives:
        async with town.gateway():
            await town.settle(len(steps) + 1)
            offer = await town.merchant.post("/v1/offers", an_offer(town.clock, stock=STOCK, quantity_max=1))
            draft = {"offer": offer["id"], "audience": {"tags": ["music"]}, "start": True}
            await town.finished((await town.merchant.post("/v1/campaigns", draft))["id"])
        connection = await asyncpg.connect(ground.dsn)
        try:
            for place, step in enumerate(steps):
                await lives.begin(NEVER if step == SHOP_HANGS else step)
                await eventually(lambda: settled(connection, place))  # noqa: B023
                if step == TEXT[0]:
                    await connection.execute(BUDGET)
                if step == SHOP_HANGS:
                    failed = town.shop.failed
                    town.shop.fail("lost_answer", 600.0)
                await lives.arm()
                mo = town.simulator.smsc.send_mo(town.msisdns[place], SENDER, "OK")
                if step == SHOP_HANGS:
                    await eventually(lambda: town.shop.failed > failed)  # noqa: B023
                    lives.kill()
                    town.shop.recover()
                await lives.death()
                await connection.execute("UPDATE node SET expires_at = now()")  # its six seconds are over
            await lives.begin(NEVER)
            await eventually(lambda: settled(connection, len(steps)))
            lives.kill()
            await lives.death()
            await connection.execute("UPDATE node SET expires_at = now()")
        finally:
            await connection.close()
        assert mo.taken
        async with town.gateway():
            await the_books_say(town, offer["id"], steps)


async def the_books_say(town: Town, offer: str, steps: tuple[str, ...]) -> None:
    buyers = town.msisdns[: len(steps)]
    orders = await town.merchant.all("/v1/orders")
    assert Counter(int(order["msisdn"].lstrip("+")) for order in orders) == Counter(buyers)
    assert {order["quantity"] for order in orders} == {1}
    assert (await town.merchant.get(f"/v1/offers/{offer}"))["stock_remaining"] == STOCK - len(steps)

    created = {subject: n for (type_, subject), n in town.shop.events.items() if type_ == ORDER_CREATED}
    assert created == {order["id"]: 1 for order in orders}  # under one webhook-id, however often
    assert town.shop.forged == 0
    assert {order["order_ref"] for order in orders} == set(town.shop.order_refs.values())

    texts = [each for each in await town.merchant.all("/v1/messages") if each["order"]]
    states = {each["order"]: each["state"] for each in texts}
    assert len(states) == len(texts) == len(orders)
    of_buyer = {int(order["msisdn"].lstrip("+")): order["id"] for order in orders}
    for msisdn, step in zip(buyers, steps, strict=True):
        offer_text, *told = town.texts(msisdn)
        assert offer_text == OFFER_TEXT
        seen = (len(told), states[of_buyer[msisdn]])
        if step in CERTAIN:
            assert seen == (1, "delivered"), step
        elif step in UNTOLD:
            assert seen == (0, "unknown"), step
        elif step in COMMITTED:
            assert seen in {(1, "delivered"), (0, "unknown")}, step
        else:  # the carrier may have had it: told once, or in doubt and said to be
            assert seen in {(1, "delivered"), (1, "unknown"), (0, "unknown")}, step
    replies = await town.merchant.all("/v1/inbound_messages")
    assert Counter(reply["outcome"] for reply in replies) == {"ordered": len(steps)}
