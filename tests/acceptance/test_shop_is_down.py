"""
A shop that is down, forged events, and a secret that is replaced.

While the shop fails (it answers errors, or hangs), events wait; after its recovery each arrives, once, and
those of one order in their order. Another merchant's shop does not wait for it. Who forges an event is
refused by the shop, and a rotation of the secret loses nothing.
"""

from __future__ import annotations

import orjson

from smsgate.security.webhook_signatures import new_secret, signed_headers
from smsgate.simulator.shop import ORDER_CREATED, Shop
from tests.acceptance.town import Ground, Town, a_row, a_town, eventually, fresh_numbers

SECOND_ATTEMPT_S = 6.0  # 5 s and a tenth
THIRD_ATTEMPT_S = 331.0  # 300 s and a tenth
DAY_S = 86_400.0


async def test_events_wait_for_a_shop_that_answers_errors_and_come_each_once_and_in_order(
    ground: Ground,
) -> None:
    async with a_town(ground, subscribers=5) as town:
        town.shop.settings.decision = "none"
        await town.finished(await town.new_record())
        town.shop.fail("error", 3_600.0)
        for msisdn in town.msisdns:
            await town.answer(msisdn, "OK")
            await texted(town, msisdn, 2)
            await town.answer(msisdn, "NON")
            await texted(town, msisdn, 3)
        await eventually(lambda: town.shop.failed >= 5)
        assert town.told(ORDER_CREATED) == []
        first_failures = town.shop.failed

        town.clock.skip(SECOND_ATTEMPT_S)
        await eventually(lambda: town.shop.failed > first_failures)
        deliveries = await deliveries_of(town, "pending")
        assert deliveries
        assert all(each["last_status"] == 500 for each in deliveries if each["attempts"])

        town.shop.recover()
        town.clock.skip(THIRD_ATTEMPT_S)
        await nothing_pending(town)
        orders = {event.subject for event in town.told(ORDER_CREATED)}
        assert len(orders) == 5
        for order in orders:
            told = [event.body for event in town.shop.received if event.subject == order]
            assert [event["type"] for event in told] == ["order.created", "order.cancelled"]
            data = [event["data"] for event in told]
            assert [(each["sequence"], each["state"]) for each in data] == [(1, "placed"), (2, "cancelled")]
        assert set(town.shop.events.values()) == {1}
        assert town.shop.repeated == town.shop.forged == 0
        assert await deliveries_of(town, "failed") == []


async def test_an_order_that_is_disputed_while_the_shop_is_down_is_confirmed_by_a_person_alone(
    ground: Ground,
) -> None:
    """The event of the order is older than the dispute: whatever answers it has not heard of that."""
    async with a_town(ground, subscribers=1) as town:
        (msisdn,) = town.msisdns
        started_at = town.clock.now()
        await town.finished(await town.new_record())
        town.shop.fail("error", 3_600.0)
        await town.answer(msisdn, "OK")
        await texted(town, msisdn, 2)
        await town.answer(msisdn, "je n'ai rien commandé")
        await texted(town, msisdn, 3)
        await eventually(lambda: town.shop.failed >= 1)

        town.shop.recover()  # and it confirms whatever it hears of
        town.clock.skip(SECOND_ATTEMPT_S)
        await nothing_pending(town)
        assert town.shop.by_type["order.disputed"] == 1
        assert (await town.only_order())["state"] == "disputed"
        delivered = await deliveries_of(town, "delivered")
        (told,) = [each for each in delivered if each["event_type"] == ORDER_CREATED]
        assert "not possible in the order's state" in str(told["last_error"])

        (endpoint,) = await town.merchant.all("/v1/webhook_endpoints")
        again = {"from": started_at.isoformat(), "to": town.clock.now().isoformat()}
        await town.merchant.post(f"/v1/webhook_endpoints/{endpoint['id']}/deliveries", again)
        await nothing_pending(town)
        assert town.shop.repeated >= 1
        assert (await town.only_order())["state"] == "disputed"

        order = (await town.only_order())["id"]
        await town.merchant.post(f"/v1/orders/{order}/confirm", {"order_ref": "B-1"})
        assert (await town.only_order())["state"] == "confirmed"


async def test_a_shop_that_hangs_keeps_nobody_else_waiting(ground: Ground) -> None:
    """A shop that took an event and hung before it answered gets it again, and knows it."""
    async with a_town(ground, subscribers=1) as town:
        other, _ = await town.another_merchant("fnac")
        quick = Shop(clock=town.clock)
        await quick.start()
        try:
            endpoint = await other.post("/v1/webhook_endpoints", {"url": quick.url})
            quick.learn(endpoint["secret"])
            (number,) = fresh_numbers(1)
            row = orjson.dumps(a_row(number, town.clock.now()))
            await other.post("/v1/imports", row, Content_Type="application/x-ndjson")
            person = (await other.get("/v1/subscribers"))["data"][0]["id"]

            town.shop.fail("lost_answer", 3_600.0)
            await revoke(town, (await town.subscriber(town.msisdns[0]))["id"])
            await eventually(lambda: town.shop.failed == 1)
            await other.post(
                "/v1/consents",
                {
                    "subscriber": person,
                    "event": "revoked",
                    "source": "letter",
                    "occurred_at": town.clock.now().isoformat(),
                },
            )
            await eventually(lambda: quick.by_type["consent.revoked"] == 1, within_s=2.0)

            async def timed_out() -> bool:
                return any(each["attempts"] == 1 for each in await deliveries_of(town, "pending"))

            await eventually(timed_out, within_s=20.0)
            town.shop.recover()
            town.clock.skip(SECOND_ATTEMPT_S)
            await nothing_pending(town)
            assert town.shop.by_type["consent.revoked"] == 1
            assert town.shop.repeated == 1  # the same webhook-id came again: the shop answered as before
        finally:
            await quick.stop()


async def test_the_shop_refuses_what_the_gateway_did_not_sign(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        body = orjson.dumps({"type": ORDER_CREATED, "subject": "ord_forged", "data": {"order": "ord_forged"}})
        now_s = int(town.clock.now().timestamp())
        forgeries = [
            signed_headers([new_secret()], "evt_forged", now_s, body),
            signed_headers(town.shop.settings.secrets, "evt_old", now_s - 301, body),
            {"webhook-id": "evt_bare"},
        ]
        for headers in forgeries:
            async with town.session.post(town.shop.url, data=body, headers=headers) as answer:
                assert answer.status == 401
        assert town.shop.forged == 3
        assert town.told(ORDER_CREATED) == []
        assert not town.shop.order_refs


async def test_a_secret_is_replaced_and_no_event_is_lost(ground: Ground) -> None:
    async with a_town(ground, subscribers=4) as town:
        shop = town.shop
        people = [(await town.subscriber(msisdn))["id"] for msisdn in town.msisdns]
        (endpoint,) = await town.merchant.all("/v1/webhook_endpoints")
        (old,) = shop.settings.secrets

        rotated = await town.merchant.post(f"/v1/webhook_endpoints/{endpoint['id']}/rotate_secret")
        assert rotated["secret"] != old
        await revoke(town, people[0])  # the shop knows the old secret alone
        await eventually(lambda: shop.by_type["consent.revoked"] == 1)

        shop.settings.secrets[:] = [rotated["secret"]]
        await revoke(town, people[1])  # and now the new one alone
        await eventually(lambda: shop.by_type["consent.revoked"] == 2)

        town.clock.skip(DAY_S + 1)
        await revoke(town, people[2])
        await eventually(lambda: shop.by_type["consent.revoked"] == 3)
        assert shop.forged == 0

        shop.settings.secrets[:] = [old]  # a day later the old one is worth nothing
        await revoke(town, people[3])
        await eventually(lambda: shop.forged == 1)
        shop.settings.secrets[:] = [rotated["secret"]]
        town.clock.skip(SECOND_ATTEMPT_S)
        await eventually(lambda: shop.by_type["consent.revoked"] == 4)
        assert len({event.subject for event in town.told("consent.revoked")}) == 4


async def texted(town: Town, msisdn: int, count: int) -> None:
    await eventually(lambda: len(town.texts(msisdn)) == count)


async def revoke(town: Town, subscriber: str) -> None:
    """Make an event without a phone: the merchant writes down a revocation."""
    revocation = {"event": "revoked", "source": "letter", "occurred_at": town.clock.now().isoformat()}
    await town.merchant.post("/v1/consents", {"subscriber": subscriber, **revocation})


async def deliveries_of(town: Town, state: str) -> list[dict[str, object]]:
    (endpoint,) = await town.merchant.all("/v1/webhook_endpoints")
    return await town.merchant.all(f"/v1/webhook_endpoints/{endpoint['id']}/deliveries?state={state}")


async def nothing_pending(town: Town) -> None:
    async def none() -> bool:
        return not await deliveries_of(town, "pending")

    await eventually(none)
