from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.flows.commerce_records import EVENT_TYPES, EventColumns
from smsgate.flows.events import add_event
from smsgate.security.public_ids import Kind
from smsgate.security.webhook_signatures import check_secret
from smsgate.store.events import insert_events
from tests.api.commerce_setup import Shop

PATH = "/v1/webhook_endpoints"
URL = "https://shop.example.com/hook?shop=1"


async def happened(shop: Shop, *types: str, merchant_id: int | None = None) -> list[int]:
    """Write events as the flows do; return their ids."""
    columns = EventColumns()
    for type_ in types:
        add_event(
            columns, merchant_id=merchant_id or shop.merchant_id, event_id=shop.next_id(), type_=type_,
            subject="ord_1", data={"n": len(columns)}, at=shop.clock.now(),
        )  # fmt: skip
    async with shop.database.bulk_transaction() as connection:
        await insert_events(connection, columns)
    return columns.event_ids


async def created(shop: Shop, **fields: Any) -> dict[str, Any]:
    answer = await shop.caller.post(PATH, {"url": URL, **fields})
    assert answer.status == 201, answer
    return dict(answer.body)


async def test_an_endpoint_is_proved_and_its_secret_is_shown_once_and_sealed(shop: Shop) -> None:
    made = await created(shop, event_types=["order.created"])
    check_secret(made["secret"])
    assert shop.prover.asked == [(URL, made["secret"], made["id"])]
    read = await shop.caller.get(f"{PATH}/{made['id']}")
    assert read.body == {name: value for name, value in made.items() if name != "secret"}
    sealed = await shop.value("SELECT secret FROM webhook_endpoint")
    assert made["secret"].encode() not in sealed
    opened = shop.api.context.secrets.open(
        sealed, table="webhook_endpoint", merchant_id=shop.merchant_id,
        row_id=shop.id_of(Kind.WEBHOOK_ENDPOINT, made["id"]), column="secret",
    )  # fmt: skip
    assert opened.decode() == made["secret"]


async def test_an_endpoint_that_does_not_answer_the_challenge_is_not_stored(shop: Shop) -> None:
    shop.prover.refusal = "the endpoint answered 404"
    answer = await shop.caller.post(PATH, {"url": URL})
    assert (answer.status, answer.code) == (422, "endpoint_not_proved")
    assert "404" in answer.body["detail"]
    assert await shop.value("SELECT count(*) FROM webhook_endpoint") == 0


async def test_who_wants_too_many_endpoints_tried_is_told_when_to_come_back(shop: Shop) -> None:
    shop.prover.busy_s = 3.2
    answer = await shop.caller.post(PATH, {"url": URL})
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert answer.headers["Retry-After"] == "4"
    assert "being tried" in answer.body["detail"]
    assert await shop.value("SELECT count(*) FROM webhook_endpoint") == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.com/hook",
        "https://127.0.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/hook",
        "https://user:pass@shop.example.com/",
        "https://shop.example.com:22/",
        "https://[::ffff:127.0.0.1]/",
        "not a url",
    ],
)
async def test_an_address_of_ours_is_refused_before_anything_is_sent(shop: Shop, url: str) -> None:
    answer = await shop.caller.post(PATH, {"url": url})
    assert (answer.status, answer.code) == (422, "address_refused")
    assert shop.prover.asked == []


async def test_a_merchant_has_ten_endpoints_at_most(shop: Shop) -> None:
    for _ in range(10):
        await created(shop)
    answer = await shop.caller.post(PATH, {"url": URL})
    assert (answer.status, answer.code) == (409, "endpoints_too_many")


async def test_an_unknown_event_type_is_named(shop: Shop) -> None:
    answer = await shop.caller.post(PATH, {"url": URL, "event_types": ["order.created", "order.unheard"]})
    assert (answer.status, answer.code) == (422, "event_type_unknown")
    assert answer.body["errors"][0]["pointer"] == "/event_types/1"


async def test_both_secrets_hold_for_a_day_after_a_rotation(shop: Shop) -> None:
    made = await created(shop)
    rotated = await shop.caller.post(f"{PATH}/{made['id']}/rotate_secret")
    assert rotated.status == 200, rotated
    assert rotated.body["secret"] != made["secret"]
    until = datetime.fromisoformat(rotated.body["previous_secret_until"])
    assert until == shop.clock.now() + timedelta(hours=24)
    [row] = await shop.fetch("SELECT secret, previous_secret FROM webhook_endpoint")
    row_id = shop.id_of(Kind.WEBHOOK_ENDPOINT, made["id"])
    for column, secret in (("secret", rotated.body["secret"]), ("previous_secret", made["secret"])):
        opened = shop.api.context.secrets.open(
            row[column], table="webhook_endpoint", merchant_id=shop.merchant_id, row_id=row_id, column=column
        )
        assert opened.decode() == secret


async def test_an_event_is_put_out_for_each_active_endpoint_that_wants_it(shop: Shop) -> None:
    every, orders, off = (
        await created(shop),
        await created(shop, event_types=["order.created"]),
        await created(shop),
    )
    disabled = await shop.caller.call("PATCH", f"{PATH}/{off['id']}", {"state": "disabled"})
    assert (disabled.body["state"], disabled.body["disabled_reason"]) == (
        "disabled",
        "disabled by the merchant",
    )
    order, stop = await happened(shop, "order.created", "consent.revoked")
    stranger = await shop.api.merchant()
    await happened(shop, "order.created", merchant_id=shop.id_of(Kind.MERCHANT, stranger.merchant_id))
    rows = await shop.fetch(
        "SELECT event_id, endpoint_id FROM webhook_delivery ORDER BY event_id, endpoint_id"
    )
    ids = {made["id"]: shop.id_of(Kind.WEBHOOK_ENDPOINT, made["id"]) for made in (every, orders)}
    wanted = [(order, ids[every["id"]]), (order, ids[orders["id"]]), (stop, ids[every["id"]])]
    assert [tuple(row) for row in rows] == sorted(wanted)


async def test_events_are_cloud_events_and_are_read_for_ninety_days(shop: Shop) -> None:
    [event_id] = await happened(shop, "order.created")
    listed = await shop.caller.get("/v1/events?type=order.created&subject=ord_1")
    [event] = listed.body["data"]
    assert event["id"] == shop.public(Kind.EVENT, event_id)
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "order.created", "ord_1")
    assert event["time"] == event["timestamp"]
    assert event["time"].endswith("Z")
    assert event["source"] == f"/v1/merchants/{shop.caller.merchant_id}"
    assert event["data"] == {"n": 0}
    assert (await shop.caller.get(f"/v1/events/{event['id']}")).body == event
    stranger = await shop.api.merchant()
    assert (await stranger.get(f"/v1/events/{event['id']}")).status == 404
    shop.clock.advance(91 * 86_400)
    assert (await shop.caller.get(f"/v1/events/{event['id']}")).status == 404
    assert (await shop.caller.get("/v1/events")).body["data"] == []


async def test_a_range_is_delivered_again_as_far_as_the_endpoint_asked_for_it(shop: Shop) -> None:
    made = await created(shop, event_types=["order.created"])
    await happened(shop, "order.created", "inbound.received", "order.created")
    [other] = await happened(shop, "consent.revoked")
    path = f"{PATH}/{made['id']}/deliveries"
    await shop.execute("UPDATE webhook_delivery SET state = 'delivered'")
    ever = {"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"}
    assert (await shop.caller.post(path, ever)).body == {"events": 2}
    named = await shop.caller.post(path, {"event": shop.public(Kind.EVENT, other)})
    assert named.body == {"events": 1}  # who names one has it


async def test_a_failed_delivery_is_seen_and_sent_again(shop: Shop) -> None:
    made = await created(shop)
    first, second = await happened(shop, "order.created", "order.cancelled")
    await shop.execute(
        "UPDATE webhook_delivery SET state = 'failed', attempts = 10, last_status = 500, "
        "last_error = 'status 500'"
    )
    path = f"{PATH}/{made['id']}/deliveries"
    failed = await shop.caller.get(f"{path}?state=failed")
    assert [row["event"] for row in failed.body["data"]] == [
        shop.public(Kind.EVENT, second), shop.public(Kind.EVENT, first),
    ]  # fmt: skip
    assert (failed.body["data"][0]["attempts"], failed.body["data"][0]["last_status"]) == (10, 500)
    again = await shop.caller.post(path, {"event": shop.public(Kind.EVENT, first)})
    assert (again.status, again.body) == (202, {"events": 1})
    [row] = (await shop.caller.get(f"{path}?state=pending")).body["data"]
    assert (row["event"], row["attempts"]) == (shop.public(Kind.EVENT, first), 0)


async def test_a_range_is_sent_again_with_events_that_came_before_the_endpoint(shop: Shop) -> None:
    await happened(shop, "order.created", "order.created")
    made = await created(shop)
    path = f"{PATH}/{made['id']}/deliveries"
    now = datetime.now(UTC)
    span = {"from": (now - timedelta(minutes=5)).isoformat(), "to": (now + timedelta(minutes=5)).isoformat()}
    assert (await shop.caller.post(path, span)).body == {"events": 2}
    assert (await shop.caller.post(path, span)).body == {"events": 0}  # they wait already
    for body in ({}, {"from": span["from"]}, {"event": "evt_1", **span}):
        assert (await shop.caller.post(path, body)).status == 422


async def test_a_deleted_endpoint_takes_its_deliveries_along(shop: Shop) -> None:
    made = await created(shop)
    await happened(shop, "order.created")
    assert (await shop.caller.call("DELETE", f"{PATH}/{made['id']}")).status == 204
    assert (await shop.caller.get(f"{PATH}/{made['id']}")).status == 404
    assert await shop.value("SELECT count(*) FROM webhook_delivery") == 0


async def test_another_merchants_endpoint_is_not_there(shop: Shop) -> None:
    made = await created(shop)
    [event] = await happened(shop, "order.created")
    stranger = await shop.api.merchant()
    path = f"{PATH}/{made['id']}"
    assert (await stranger.get(path)).status == 404
    assert (await stranger.get(f"{path}/deliveries")).status == 404
    assert (await stranger.call("PATCH", path, {"state": "disabled"})).status == 404
    assert (await stranger.call("DELETE", path)).status == 404
    assert (await stranger.post(f"{path}/rotate_secret")).status == 404
    redeliver = await stranger.post(f"{path}/deliveries", {"event": shop.public(Kind.EVENT, event)})
    assert redeliver.status == 404
    assert (await shop.caller.get(path)).body["state"] == "active"


def test_event_types_are_names_of_two_words_each_once() -> None:
    assert len(set(EVENT_TYPES)) == len(EVENT_TYPES)
    assert all(json.dumps(name).strip('"').count(".") == 1 for name in EVENT_TYPES)
