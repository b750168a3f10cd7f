"""From a committed event to a shop that took it, on a real database and real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from aiohttp import web

from smsgate.errors import SignatureInvalid, SmsgateError, StoreError, StoreUnavailable
from smsgate.flows.orders import ShopAnswer
from smsgate.flows.ports_webhooks import ClaimedDelivery, DeliveryResult, EndpointAnswers
from smsgate.security.webhook_signatures import new_secret, verify
from smsgate.store import node_lease
from smsgate.store.deliveries import PgDeliveries
from smsgate.store.webhook_endpoints import PgWebhookEndpoints
from smsgate.webhooks.delivery import REFUSED_HOLD_S
from smsgate.webhooks.limits import DeliverySettings
from tests.webhooks.gateway import MERCHANT, Gateway, answering, deciding


async def until(condition: Callable[[], bool], limit_s: float = 10) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_event_reaches_the_shop_signed_as_a_cloud_event(gateway: Gateway, shop: Any) -> None:
    _, secret = await gateway.endpoint(shop.url())
    event_id = await gateway.event()
    await gateway.turn()
    (received,) = shop.received
    assert verify(
        [secret], received.headers, received.body, gateway.clock.now().timestamp()
    ) == gateway.public(event_id)
    event = orjson.loads(received.body)
    assert event["id"] == gateway.public(event_id)
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "order.created", "ord_1")
    assert event["data"] == {"number": f"N{event_id}"}
    row = await gateway.row(event_id)
    assert (row["state"], row["attempts"], row["last_status"], row["owner"]) == ("delivered", 1, 200, None)


async def test_a_shop_that_is_away_is_tried_ten_times_and_then_the_event_has_failed(
    gateway: Gateway, shop: Any
) -> None:
    await gateway.endpoint(shop.url())
    event_id = await gateway.event()
    shop.answer = answering(500, text="bro\x07ken \x00 page")
    delays = []
    for _ in range(9):
        await gateway.turn()
        row = await gateway.row(event_id)
        assert row["state"] == "pending"
        delays.append(round((row["next_attempt_at"] - gateway.clock.now()).total_seconds()))
        await gateway.turn()  # nothing is due before its time
        gateway.clock.advance(delays[-1] + 0.5)
    assert len(shop.received) == 9
    assert delays == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    await gateway.turn()
    row = await gateway.row(event_id)
    assert (row["state"], row["attempts"], row["last_status"]) == ("failed", 10, 500)
    assert row["last_error"] == "answered 500: bro\\x07ken \\x00 page"
    assert len({received.body for received in shop.received}) == 1
    assert len({received.headers["webhook-id"] for received in shop.received}) == 1
    assert len({received.headers["webhook-timestamp"] for received in shop.received}) == 10


async def test_retry_after_is_obeyed_by_the_delivery_and_by_its_neighbours(
    gateway: Gateway, shop: Any
) -> None:
    await gateway.endpoint(shop.url())
    first = await gateway.event("ord_1")
    shop.answer = answering(429, 200, headers={"Retry-After": "60"})
    await gateway.turn()
    assert (await gateway.row(first))["next_attempt_at"] == gateway.clock.now() + timedelta(seconds=60)
    await gateway.event("ord_2")
    gateway.clock.advance(59)
    await gateway.turn()
    assert len(shop.received) == 1
    gateway.clock.advance(2)
    await gateway.turn()
    assert len(shop.received) == 3


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404])
async def test_only_2xx_is_success(status: int, gateway: Gateway, shop: Any) -> None:
    await gateway.endpoint(shop.url())
    event_id = await gateway.event()
    shop.answer = answering(status, headers={"Location": shop.url(path="/elsewhere")})
    await gateway.turn()
    row = await gateway.row(event_id)
    assert (row["state"], row["last_status"], len(shop.received)) == ("pending", status, 1)


async def test_410_ends_the_delivery_and_disables_the_endpoint(gateway: Gateway, shop: Any) -> None:
    endpoint_id, _ = await gateway.endpoint(shop.url())
    first, second = await gateway.event("ord_1"), await gateway.event("ord_1")
    shop.answer = answering(410)
    await gateway.turn()
    assert (await gateway.row(first))["state"] == "failed"
    endpoint = await PgWebhookEndpoints(gateway.database).get(MERCHANT, endpoint_id)
    assert (endpoint.state, endpoint.disabled_reason) == ("disabled", "the endpoint answered 410 Gone")
    await gateway.turn()
    assert (await gateway.row(second))["state"] == "pending"
    assert len(shop.received) == 1


async def test_during_a_rotation_both_secrets_sign_and_afterwards_the_new_one_alone(
    gateway: Gateway, shop: Any
) -> None:
    endpoint_id, old = await gateway.endpoint(shop.url())
    new, until_at = new_secret(), gateway.clock.now() + timedelta(hours=24)
    store = PgWebhookEndpoints(gateway.database)
    assert await store.rotate(
        MERCHANT,
        endpoint_id,
        before=(await store.get(MERCHANT, endpoint_id)).secret,
        secret=gateway.seal(MERCHANT, endpoint_id, "secret", new),
        previous_secret=gateway.seal(MERCHANT, endpoint_id, "previous_secret", old),
        previous_until=until_at,
    )
    await gateway.event("ord_1")
    await gateway.turn()
    gateway.clock.advance(24 * 3600)
    await gateway.event("ord_2")
    await gateway.turn()
    during, after = shop.received
    for secret in (old, new):
        verify([secret], during.headers, during.body, (until_at - timedelta(hours=24)).timestamp())
    verify([new], after.headers, after.body, until_at.timestamp())
    with pytest.raises(SignatureInvalid):
        verify([old], after.headers, after.body, until_at.timestamp())


async def test_events_of_one_order_arrive_in_their_order_and_others_do_not_wait(
    gateway: Gateway, shop: Any
) -> None:
    await gateway.endpoint(shop.url())
    first, second = await gateway.event("ord_1"), await gateway.event("ord_1", "order.cancelled")
    other = await gateway.event("ord_2")
    shop.answer = answering(500, 200)
    await gateway.turn()
    assert [received.headers["webhook-id"] for received in shop.received] == [
        gateway.public(first),
        gateway.public(other),
    ]
    gateway.clock.advance(6)
    await gateway.turn()
    await gateway.turn()
    assert [r.headers["webhook-id"] for r in shop.received[2:]] == [
        gateway.public(first),
        gateway.public(second),
    ]


async def test_two_nodes_never_send_the_same_event_at_once(gateway: Gateway, shop: Any) -> None:
    await gateway.endpoint(shop.url())
    events = {gateway.public(await gateway.event(f"ord_{number}")) for number in range(12)}
    nodes = [gateway.node(owner=owner) for owner in (1, 2, 3)]
    for _ in range(3):
        await asyncio.gather(*(gateway.turn(node) for node in nodes))
    sent = [received.headers["webhook-id"] for received in shop.received]
    assert len(sent) == len(set(sent)) == 12
    assert set(sent) == events


# ------------------------------------------------------------ the shop's decision


async def test_a_decision_in_the_answer_is_applied(gateway: Gateway, shop: Any) -> None:
    await gateway.endpoint(shop.url())
    decision = {"decision": "confirm", "order_ref": "B-889"}
    shop.answer = deciding(decision)
    event_id = await gateway.event("ord_7")
    await gateway.event("ord_8", "order.cancelled")
    await gateway.turn()
    assert gateway.decisions.taken == [(MERCHANT, "ord_7", decision)]
    assert (await gateway.row(event_id))["last_error"] == ""


async def test_a_decision_that_is_refused_is_told_and_the_event_counts_as_delivered(
    gateway: Gateway, shop: Any
) -> None:
    await gateway.endpoint(shop.url())
    shop.answer = deciding({"decision": "maybe"})
    gateway.decisions.outcome = ShopAnswer.REFUSED
    event_id = await gateway.event()
    await gateway.turn()
    row = await gateway.row(event_id)
    assert row["state"] == "delivered"
    assert "decision" in row["last_error"]


async def test_a_decision_that_could_not_be_written_has_the_event_sent_again_uncounted(
    gateway: Gateway, shop: Any
) -> None:
    await gateway.endpoint(shop.url())
    shop.answer = deciding({"decision": "confirm"})
    gateway.decisions.broken = True
    event_id = await gateway.event()
    await gateway.turn()
    row = await gateway.row(event_id)
    assert (row["state"], row["attempts"], row["owner"]) == ("pending", 0, None)
    gateway.decisions.broken = False
    gateway.clock.advance(31)
    await gateway.turn()
    assert (await gateway.row(event_id))["state"] == "delivered"
    assert len(gateway.decisions.taken) == 1


async def test_a_crash_between_decision_and_mark_repeats_the_event_once_under_the_same_id(
    gateway: Gateway, shop: Any
) -> None:
    async with gateway.database.control() as control:
        dead, alive = await node_lease.take_slot(control, "a"), await node_lease.take_slot(control, "b")
    await gateway.endpoint(shop.url())
    shop.answer = deciding({"decision": "confirm", "order_ref": "1"})
    event_id = await gateway.event("ord_9")
    crashing, surviving = gateway.node(dead.epoch), gateway.node(alive.epoch)
    await crashing.round()
    await asyncio.wait(set(crashing._attempts))  # sent and decided; killed before it could write the mark
    await gateway.turn(surviving)
    assert await PgDeliveries(gateway.database).release_orphans() == 0  # its lease still holds
    async with gateway.database.control() as control:
        await node_lease.release(control, dead)
    assert await PgDeliveries(gateway.database).release_orphans() == 1
    await gateway.turn(surviving)
    await gateway.turn(surviving)
    assert len(gateway.decisions.taken) == 2
    assert {received.headers["webhook-id"] for received in shop.received} == {gateway.public(event_id)}
    assert len(shop.received) == 2
    row = await gateway.row(event_id)
    assert (row["state"], row["attempts"]) == ("delivered", 1)
    await crashing.settle()  # a node that only slept: its late result changes nothing
    assert (await gateway.row(event_id)) == row


# ------------------------------------------------------------ the loop


class LineThatBreaks(PgDeliveries):
    """The answer to the first claim's COMMIT is lost on its way."""

    broken = False

    async def claim(self, *key: int, **rest: Any) -> list[ClaimedDelivery]:
        claims = await super().claim(*key, **rest)
        if not self.broken:
            self.broken = True
            raise StoreUnavailable("connection was closed in the middle of operation")
        return claims


async def test_a_claim_whose_commit_was_not_seen_is_given_back_and_what_is_in_hand_stays(
    gateway: Gateway, shop: Any
) -> None:
    await gateway.endpoint(shop.url())
    in_hand = await gateway.event("ord_1")
    gateway.deliveries._store = store = LineThatBreaks(gateway.database)
    store.broken = True
    assert not await gateway.deliveries.round()  # claimed, and on its way
    store.broken = False
    forgotten = await gateway.event("ord_2")
    with pytest.raises(StoreUnavailable):
        await gateway.deliveries.round()
    assert (await gateway.row(forgotten))["owner"] == 1
    await gateway.turn()
    await gateway.turn()
    assert [(await gateway.row(event))["state"] for event in (in_hand, forgotten)] == ["delivered"] * 2
    assert len(shop.received) == 2, "what was in hand was not claimed and sent again"


class Refusing(PgDeliveries):
    """The database refuses every write that has the result of one event, like a deadlock that comes back."""

    event_id: int | None = None

    async def settle(self, results: Sequence[DeliveryResult], *rest: Any, **more: Any) -> None:
        if any(result.event_id == self.event_id for result in results):
            raise StoreError("deadlock detected")
        await super().settle(results, *rest, **more)


async def test_a_result_that_the_database_refuses_holds_back_no_other_and_is_sent_again_later(
    gateway: Gateway, shop: Any
) -> None:
    await gateway.endpoint(shop.url())
    events = [await gateway.event(f"ord_{number}") for number in range(3)]
    gateway.deliveries._store = store = Refusing(gateway.database)
    store.event_id = events[1]
    await gateway.turn()

    async def states() -> list[str]:
        return [(await gateway.row(event))["state"] for event in events]

    assert await states() == ["delivered", "pending", "delivered"]
    store.event_id = None
    await gateway.turn()
    assert len(shop.received) == 3, "the endpoint is left in peace for a while"
    gateway.clock.advance(REFUSED_HOLD_S)
    await gateway.turn()
    assert await states() == ["delivered"] * 3
    ids = [received.headers["webhook-id"] for received in shop.received]
    assert (ids[3], ids.count(ids[3])) == (gateway.public(events[1]), 2)


async def test_the_loop_delivers_what_it_is_woken_for_and_parks_the_rest_when_stopped(
    gateway: Gateway, shop: Any
) -> None:
    await gateway.endpoint(shop.url())
    held = asyncio.Event()
    arrived = asyncio.Event()

    async def slow_for_the_second(received: Any) -> web.Response:
        if orjson.loads(received.body)["subject"] == "ord_2":
            arrived.set()
            await held.wait()
        return web.Response()

    shop.answer = slow_for_the_second
    running = asyncio.create_task(gateway.deliveries.run())
    first = await gateway.event("ord_1")
    gateway.deliveries.wake.set()
    await until(lambda: gateway.deliveries.totals.delivered == 1)
    second = await gateway.event("ord_2")
    gateway.deliveries.wake.set()
    await arrived.wait()
    await gateway.deliveries.stop(grace_s=0.1)
    await asyncio.wait_for(running, 5)
    held.set()
    assert (await gateway.row(first))["state"] == "delivered"
    row = await gateway.row(second)
    assert (row["state"], row["attempts"], row["owner"]) == ("pending", 0, None)


async def test_the_loop_ends_loudly_when_no_results_can_be_written_any_more(
    gateway: Gateway, shop: Any
) -> None:
    class Broken(PgDeliveries):
        async def settle(
            self,
            results: Sequence[DeliveryResult],
            answers: Sequence[EndpointAnswers],
            *,
            owner: int,
            at: datetime,
        ) -> None:
            raise RuntimeError("a mistake of ours")

    gateway.deliveries._store = Broken(gateway.database)
    await gateway.endpoint(shop.url())
    await gateway.event()
    with pytest.raises(SmsgateError, match="a mistake of ours"):
        await asyncio.wait_for(gateway.deliveries.run(), 5)


async def test_a_merchant_whose_receivers_never_answer_does_not_slow_the_others(
    gateway: Gateway, shop: Any, hostile: Any
) -> None:
    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    settings = DeliverySettings(concurrency=8, per_host=8, per_host_per_s=1_000, poll_s=0.05)
    deliveries = gateway.node(owner=1, settings=settings)
    async with hostile(never) as server:
        for number in range(5):
            await gateway.endpoint(server.url(f"h{number}.example.com"), merchant_id=50)
        await gateway.endpoint(shop.url(), merchant_id=51)
        for number in range(10):
            await gateway.event(f"ord_{number}", merchant_id=50)
        for number in range(20):
            await gateway.event(f"ord_{number}", merchant_id=51)
        running = asyncio.create_task(deliveries.run())
        await until(lambda: len(shop.received) == 20, limit_s=5)
        await deliveries.stop(grace_s=0)
        await asyncio.wait_for(running, 5)


async def test_an_endpoint_whose_name_turned_inwards_gets_no_packet_and_is_told_why(
    gateway: Gateway, shop: Any, names: Any
) -> None:
    await gateway.endpoint(shop.url())
    names.answers["shop.example.com"] = [["169.254.169.254"]]
    event_id = await gateway.event()
    await gateway.turn()
    assert shop.received == []
    assert "link local" in (await gateway.row(event_id))["last_error"]
    assert gateway.deliveries.totals.refused_addresses == 1


async def test_an_event_that_is_past_its_retention_fails_without_a_request(
    gateway: Gateway, shop: Any
) -> None:
    await gateway.endpoint(shop.url())
    event_id = await gateway.event()
    async with gateway.database.control() as control:
        await control.execute("DELETE FROM event WHERE event_id = $1", event_id)
    await gateway.turn()
    row = await gateway.row(event_id)
    assert (row["state"], row["last_error"]) == ("failed", "the event is past its retention")
    assert shop.received == []


async def test_the_backlog_counts_what_is_due_and_how_long(gateway: Gateway, shop: Any) -> None:
    await gateway.endpoint(shop.url())
    await gateway.event("ord_1")
    await gateway.event("ord_2")
    gateway.clock.advance(90)
    waiting, oldest_s = await PgDeliveries(gateway.database).backlog(gateway.clock.now())
    assert waiting == 2
    assert oldest_s == pytest.approx(90, abs=0.1)
