"""
A shop that takes no orders for a day.

Its offers wait after half an hour, with the reason where merchant and operator look; one whose time runs
out meanwhile is never sent. Orders of offers that are out are taken; each buyer is told once that the shop
has not heard yet, and after a day that nothing is ordered. When the shop is back it gets every event, those
of one order in their order, and the offers go on.
"""

from __future__ import annotations

from typing import Any

from smsgate.campaigns.orders import SHOP_LATE_AFTER, USUAL_TERMS
from smsgate.demo.scene import YOUR_PHONE
from smsgate.flows.shop_reach import LOST_AFTER, PROBE_EVERY
from smsgate.simulator.shop import ORDER_CREATED
from tests.acceptance.town import Ground, Town, a_town, eventually

HELD_S = 301.0  # an endpoint that failed again and again is left in peace so long (webhooks/pace.py)
YOU = int(YOUR_PHONE[1:])


async def test_offers_wait_while_the_shop_takes_no_orders_for_a_day_and_no_order_is_lost(
    ground: Ground,
) -> None:
    async with a_town(ground, subscribers=3) as town:
        early, late, leaver = town.msisdns
        await town.finished(await town.new_record())
        town.shop.fail("error", 10 * 86_400.0)
        await town.answer(early, "OK")
        await eventually(lambda: len(town.texts(early)) == 2)  # the receipt of the order
        await eventually(lambda: failures(town, 3))
        town.clock.skip(LOST_AFTER.total_seconds() + 1)
        await eventually(lambda: events(town, "merchant.unreachable"))
        merchant = await town.operator.get(f"/v1/merchants/{town.merchant_id}")
        assert merchant["offers_wait_since"] is not None
        assert "smsgate_merchants_unreached 1.0" in (await town.anybody.get("/metrics")).decode()

        waiting = await town.new_record("you")
        await town.answer(leaver, "STOP")
        await eventually(lambda: len(town.texts(leaver)) == 2)  # what is no offer goes out
        found = await town.campaign(waiting)
        assert (found["state"], found["paused_reason"]) == ("sending", None)
        assert found["offers_wait_since"] == merchant["offers_wait_since"]
        assert town.offers_to(YOU) == 0

        town.clock.skip(SHOP_LATE_AFTER.total_seconds())
        await eventually(lambda: len(town.texts(early)) == 3)  # the shop has not answered yet
        town.clock.skip(USUAL_TERMS.shop_answer_s - SHOP_LATE_AFTER.total_seconds() - 7_200)
        await town.answer(late, "OK 2")
        await eventually(lambda: len(town.texts(late)) == 2)
        town.clock.skip(7_200)
        await eventually(lambda: len(town.texts(early)) == 4)  # nothing is ordered
        await eventually(lambda: len(town.texts(late)) == 3)
        fresh = await town.new_record("you")
        await eventually(lambda: offers_wait(town, fresh))
        assert (town.offers_to(YOU), town.told(ORDER_CREATED)) == (0, [])

        town.shop.recover()
        town.clock.skip(PROBE_EVERY.total_seconds() + HELD_S)
        await eventually(lambda: town.offers_to(YOU) == 1)
        await town.finished(fresh)
        assert (await town.finished(waiting))["progress"]["accepted"] == 0  # its time ran out while it waited
        await eventually(lambda: town.shop.by_type["merchant.reachable"] == 1)
        merchant = await town.operator.get(f"/v1/merchants/{town.merchant_id}")
        assert merchant["offers_wait_since"] is None
        (endpoint,) = await town.merchant.all("/v1/webhook_endpoints")
        assert (endpoint["failing_since"], endpoint["failures"]) == (None, 0)

        by_buyer = {order["msisdn"]: order for order in await town.merchant.all("/v1/orders")}
        assert by_buyer[f"+{early}"]["state"] == "cancelled"
        assert [told["type"] for told in order_events(town, by_buyer[f"+{early}"])] == [
            "order.created",
            "order.cancelled",
        ]
        await eventually(lambda: town.shop.confirmed_in_response == 2)
        assert [told["type"] for told in order_events(town, by_buyer[f"+{late}"])] == ["order.created"]
        assert (await town.merchant.get(f"/v1/orders/{by_buyer[f'+{late}']['id']}"))["state"] == "confirmed"
        assert (len(town.texts(early)), len(town.texts(late))) == (4, 3)  # each was told once
        assert town.shop.repeated == town.shop.verified_more == 0


async def failures(town: Town, at_least: int) -> bool:
    (endpoint,) = await town.merchant.all("/v1/webhook_endpoints")
    return bool(endpoint["failures"] >= at_least)


async def offers_wait(town: Town, campaign: str) -> bool:
    return (await town.campaign(campaign))["offers_wait_since"] is not None


async def events(town: Town, type_: str) -> Any:
    return await town.merchant.all(f"/v1/events?type={type_}")


def order_events(town: Town, order: Any) -> list[Any]:
    return [event.body for event in town.shop.received if event.subject == order["id"]]
