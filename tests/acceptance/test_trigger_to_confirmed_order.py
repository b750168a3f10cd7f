"""
From a webhook to a confirmed order, and what it cost.

The shop emits its own JSON, signed. The gateway answers 202 and the offers reach the phones. One customer
answers OK and gets a receipt by SMS; the shop gets a signed order.created and confirms. The merchant reads
the order with what its messages cost, and statement, ledger and CSV say the same.
"""

from __future__ import annotations

from typing import Any

from smsgate.money import micros_from_text, micros_to_text
from smsgate.simulator.shop import ORDER_CREATED
from tests.acceptance.town import (
    COST_MICROS,
    OFFER_TEXT,
    SELL_MICROS,
    SENDER,
    Ground,
    Town,
    a_town,
    eventually,
)


async def test_a_webhook_of_the_shop_becomes_an_order_that_the_shop_confirms_in_its_answer(
    ground: Ground,
) -> None:
    async with a_town(ground, subscribers=3) as town:
        campaign = await town.new_record()
        await eventually(lambda: all(town.texts(msisdn) == [OFFER_TEXT] for msisdn in town.msisdns))

        buyer = town.msisdns[1]
        await town.answer(buyer, "Ok !")
        await eventually(lambda: town.shop.confirmed_in_response == 1)
        order = await town.confirmed_order()

        assert town.shop.verified_once == 1
        assert town.shop.forged == town.shop.repeated == 0
        assert order["order_ref"] == town.shop.order_refs[order["id"]] == "B-1"
        assert (order["msisdn"], order["item"]) == (f"+{buyer}", "CD Madonna")
        assert (order["quantity"], order["total"], order["currency"]) == (1, "19.90", "EUR")
        assert [step["state"] for step in order["steps"]] == ["placed", "confirmed"]

        receipt = (await eventually(lambda: town.texts(buyer)[1:]))[0]
        assert order["number"] in receipt
        assert "19.90€" in receipt or "19,90€" in receipt

        await the_books_agree(town, campaign, order, messages=4)


async def test_the_customer_may_order_two_and_the_shop_may_confirm_later_by_the_api(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        settings = town.shop.settings
        settings.decision, settings.api_url, settings.api_key = "later", town.base_url, town.merchant.key
        campaign = await town.new_record()
        await eventually(lambda: town.texts(town.msisdns[0]))
        await town.answer(town.msisdns[0], "2")

        await eventually(lambda: town.shop.confirmed_by_api == 1)
        order = await town.confirmed_order()
        assert (order["quantity"], order["total"], order["order_ref"]) == (2, "39.80", "B-1")
        assert town.shop.confirm_failures == []
        await the_books_agree(town, campaign, order, messages=2)


async def test_texts_about_an_order_speak_the_customers_language_not_the_offers(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        person = await town.subscriber(town.msisdns[0])
        changed = await town.merchant.ask("PATCH", f"/v1/subscribers/{person['id']}", {"language": "nl"})
        assert changed.status == 200, changed
        await town.new_record()
        await eventually(lambda: town.texts(town.msisdns[0]))
        town.shop.settings.decision = "later"
        await town.answer(town.msisdns[0], "OK")
        order = await town.only_order()
        await town.merchant.post(f"/v1/orders/{order['id']}/reject", {"reason": "op"})
        await eventually(lambda: len(town.texts(town.msisdns[0])) == 3)
        _, receipt, rejected = town.texts(town.msisdns[0])
        number = order["number"]
        assert receipt.startswith(f"Boxman: uw OK is ontvangen: 1 CD Madonna 19,90€. Bestelling {number}")
        assert rejected.startswith(f"Boxman: de winkel kon bestelling {number} (CD Madonna) niet aannemen.")


async def test_a_second_ok_orders_nothing_more(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        await town.new_record()
        customer = town.msisdns[0]
        await eventually(lambda: town.texts(customer))
        await town.answer(customer, "OK")
        await eventually(lambda: len(town.texts(customer)) == 2)
        await town.answer(customer, "ok")
        await eventually(lambda: len(town.texts(customer)) == 3)  # "you have ordered already"
        order = await town.confirmed_order()
        assert order["number"] in town.texts(customer)[2]
        assert town.shop.by_type[ORDER_CREATED] == 1


async def test_the_merchant_reads_what_went_out_and_what_came_in(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        campaign = await town.new_record()
        customer = town.msisdns[0]
        await eventually(lambda: town.texts(customer))
        await town.answer(customer, "OK")
        order = await town.confirmed_order()

        async def both_delivered() -> bool:
            messages = await town.merchant.all("/v1/messages")
            return [message["state"] for message in messages] == ["delivered", "delivered"]

        await eventually(both_delivered)
        receipt, offer = await town.merchant.all("/v1/messages")
        assert (offer["kind"], offer["campaign"], offer["text"]) == ("offer", campaign, OFFER_TEXT)
        assert (receipt["kind"], receipt["order"]) == ("order_receipt", order["id"])
        assert receipt["text"] == town.texts(customer)[1]
        assert offer["price"] == receipt["price"] == micros_to_text(SELL_MICROS)
        (reply,) = await town.merchant.all("/v1/inbound_messages")
        assert (reply["text"], reply["recipient"], reply["label"]) == ("OK", SENDER, "accept")
        assert (reply["outcome"], reply["order"], reply["campaign"]) == ("ordered", order["id"], campaign)
        progress = (await town.finished(campaign))["progress"]
        assert {name: n for name, n in progress.items() if n} == {
            "recipients": 1,
            "accepted": 1,
            "delivered": 1,
            "replies": 1,
            "orders": 1,
        }


async def the_books_agree(town: Town, campaign: str, order: Any, messages: int) -> None:
    """Every side has counted for itself: phones, SMSC, ledger, statement, CSV, and the order's own cost."""
    await town.finished(campaign)

    async def at_rest() -> bool:
        books = await town.books()
        return books.accepted == messages and not books.open_receipts

    await eventually(at_rest)
    books, statement = await town.books(), await town.statement()
    assert town.simulator.smsc.log.submits == town.simulator.smsc.log.accepted == messages
    assert books.ledger_messages == messages
    assert statement["messages"] == messages + 1  # the customer's answer stands there too; it costs nothing
    assert books.ledger_micros == micros_from_text(statement["amount"]) == messages * SELL_MICROS
    assert books.cost_micros == messages * COST_MICROS
    (line,) = [line for line in statement["lines"] if line["direction"] == "mt"]
    assert (line["messages"], line["segments"]) == (messages, messages)
    assert micros_from_text(line["amount"]) == messages * SELL_MICROS
    assert sum(micros_from_text(row["amount"]) for row in statement["csv"]) == messages * SELL_MICROS
    assert sum(int(row["messages"]) for row in statement["csv"]) == statement["messages"]
    order_again = await town.merchant.get(f"/v1/orders/{order['id']}")
    cost = order_again["message_cost"]
    assert [line["amount"] for line in cost["offer_message"]] == [micros_to_text(SELL_MICROS)]
    assert (cost["system_messages"], cost["system_amount"]) == (1, micros_to_text(SELL_MICROS))
    assert cost["total"] == micros_to_text(2 * SELL_MICROS)
