"""A flash sale: thousands answer at once, and there is little to sell. Nobody buys what is not there."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.acceptance.town import SENDER, Ground, a_town, an_offer, eventually

PHONES = 2_000
STOCK = 50
# Every answer that a shop counts on, and with which none is told from another by its octets.
WORDS = ("OK", "ok", "Ok merci", "oui", "Oui !", "d'accord", "OK svp")


async def test_of_two_thousand_who_say_ok_at_once_fifty_buy_and_everybody_else_hears_sold_out(
    ground: Ground,
) -> None:
    async with a_town(ground, subscribers=PHONES, carrier={"rate_per_s": 5_000, "window_max": 500}) as town:
        offer = await town.merchant.post("/v1/offers", an_offer(town.clock, stock=STOCK, quantity_max=1))
        draft = {"offer": offer["id"], "audience": {"tags": ["music"]}, "start": True}
        campaign = (await town.merchant.post("/v1/campaigns", draft))["id"]
        done = await town.finished(campaign)
        assert done["progress"]["accepted"] == PHONES == len(town.msisdns)

        mos = [
            town.simulator.smsc.send_mo(msisdn, SENDER, WORDS[n % len(WORDS)])
            for n, msisdn in enumerate(town.msisdns)
        ]
        await eventually(lambda: all(mo.taken for mo in mos), within_s=60.0)
        await eventually(lambda: all(len(town.texts(each)) == 2 for each in town.msisdns), within_s=60.0)

        orders = await town.merchant.all(f"/v1/orders?campaign={campaign}")
        assert len(orders) == STOCK
        buyers = Counter(int(order["msisdn"].lstrip("+")) for order in orders)
        assert set(buyers.values()) == {1}
        answers = {msisdn: town.texts(msisdn)[1] for msisdn in town.msisdns}
        sold_out = {msisdn for msisdn, text in answers.items() if "épuisé" in text}
        assert sold_out == set(town.msisdns) - set(buyers)
        assert {answers[msisdn].count("épuisé") for msisdn in buyers} == {0}
        assert (await town.merchant.get(f"/v1/offers/{offer['id']}"))["stock_remaining"] == 0

        def told_once() -> Any:
            created = Counter(event.subject for event in town.told("order.created"))
            return set(created) == {order["id"] for order in orders}

        await eventually(told_once, within_s=30.0)
        progress = (await town.campaign(campaign))["progress"]
        assert (progress["orders"], progress["replies"]) == (STOCK, PHONES)
