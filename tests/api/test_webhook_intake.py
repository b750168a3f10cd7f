"""Webhooks that come together share a transaction; triggers kept in memory are believed by nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from smsgate.api.routes_triggers import LIFE_S_MIN
from smsgate.campaigns.tables import table
from smsgate.clock import ManualClock
from smsgate.flows.offers import text_findings
from smsgate.flows.webhook_intake import ATTEMPTS_MAX
from smsgate.security.webhook_signatures import signed_headers
from tests.api.commerce_setup import SENDER, SENDERS, Shop
from tests.api.trigger_setup import (
    MAPPING,
    NOTHING,
    PATH,
    SETTINGS,
    a_shop_event,
    created,
    fire,
    written,
)


async def test_of_many_webhooks_at_once_each_is_accepted_or_refused_by_itself(shop: Shop) -> None:
    """They share transactions; who is refused takes nobody along, and a repetition starts nothing."""
    await shop.subscribers(3, tags=("vip",))
    await shop.offer(external_id="taken")
    made = await created(shop)

    def event(n: int) -> tuple[str, dict[str, Any]]:
        match n % 4:
            case 0:
                return f"new-{n}", a_shop_event(id=f"evt-{n}")
            case 1:
                return f"taken-{n}", a_shop_event(id="taken")
            case 2:
                return "twin", a_shop_event(id="evt-twin")
            case _:
                return f"nobody-{n}", a_shop_event(id=f"evt-{n}", group="nobody")

    async def answered(n: int) -> tuple[int, int, str]:
        webhook_id, document = event(n)
        answer = await fire(shop, made["id"], made["secret"], document, webhook_id=webhook_id)
        return n % 4, answer.status, answer.code if answer.status >= 400 else answer.body["campaign"]

    answers = await asyncio.gather(*(answered(n) for n in range(80)))
    assert {status for kind, status, _ in answers if kind in {0, 2}} == {202}
    assert len({campaign for kind, _, campaign in answers if kind == 0}) == 20
    assert len({campaign for kind, _, campaign in answers if kind == 2}) == 1
    assert {(status, code) for kind, status, code in answers if kind == 1} == {(409, "external_id_taken")}
    assert {(status, code) for kind, status, code in answers if kind == 3} == {(422, "audience_empty")}
    assert await written(shop) == {
        "offer": 22, "offer_version": 22, "campaign": 21, "campaign_chunk": 21, "trigger_event": 21,
    }  # fmt: skip


async def test_a_webhook_is_the_same_route_with_and_without_the_router(shop: Shop) -> None:
    """What is no plain path of a trigger goes through aiohttp's router; the metrics know one route."""
    await shop.subscribers(1)
    made = await created(shop)
    body = json.dumps(a_shop_event()).encode()
    signed = signed_headers([made["secret"]], "msg_1", int(shop.clock.now().timestamp()), body)
    headers = {**signed, "Content-Type": "application/json"}

    async def answered(end: str, **more: str) -> tuple[int, str]:
        answer = await shop.api.anybody.call("POST", f"{PATH}/{end}", data=body, headers={**headers, **more})
        assert answer.headers["X-Request-Id"].startswith("req_")
        assert answer.headers["Server"] == "smsgate"
        return answer.status, answer.body.get("code", "") or answer.body["campaign"]

    plain = await answered(made["id"])
    assert plain[0] == 202
    assert await answered(made["id"], Expect="100-continue") == plain
    assert await answered(made["id"], Expect="200-ok") == (417, "expectation_failed")
    assert await answered(f"{made['id']}?") == plain
    assert await answered(f"{made['id']}?a=b") == (422, "invalid")
    assert await answered(f"{made['id']}/") == (404, "not_found")
    assert await answered("trg-0") == (404, "not_found")
    assert await answered("nothing") == (404, "not_found")
    assert await answered(made["id"], **{"Content-Type": "text/plain"}) == (415, "media_type_unsupported")
    assert await answered(made["id"], **{"webhook-id": "msg_2"}) == (401, "signature_invalid")

    def count(route: str, status: int) -> float | None:
        labels = {"method": "POST", "route": route, "status": str(status)}
        return shop.api.context.metrics.get_sample_value("smsgate_http_requests_total", labels)

    route = f"{PATH}/{{id}}"
    found = {status: count(route, status) for status in (202, 401, 404, 415, 417, 422)}
    assert found == {202: 3, 401: 1, 404: 2, 415: 1, 417: 1, 422: 1}
    assert count("none", 404) == 1
    # Of the three that were answered 202 one started a campaign.
    assert await written(shop) == dict.fromkeys(NOTHING, 1)


async def test_what_changes_a_trigger_holds_for_the_next_webhook_though_the_trigger_is_in_memory(
    shop: Shop,
) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    path = f"{PATH}/{made['id']}"

    async def answered(n: int, secret: str) -> tuple[int, str]:
        answer = await fire(shop, made["id"], secret, a_shop_event(id=f"e{n}"), webhook_id=f"msg_{n}")
        return answer.status, answer.code if answer.status >= 400 else ""

    assert await answered(1, made["secret"]) == (202, "")
    await shop.caller.call("PATCH", path, {"state": "disabled"})
    assert await answered(2, made["secret"]) == (401, "signature_invalid")
    await shop.caller.call("PATCH", path, {"state": "active"})
    assert await answered(3, made["secret"]) == (202, "")
    secret = (await shop.caller.post(f"{path}/rotate_secret")).body["secret"]
    assert await answered(4, secret) == (202, "")
    await shop.caller.call("PATCH", path, {"text": SETTINGS["text"].replace("STOP 36111", "")})
    assert await answered(5, secret) == (422, "mandatory_info_missing")
    await shop.caller.call("PATCH", path, {"text": SETTINGS["text"]})
    await shop.execute_as_owner("UPDATE merchant SET state = 'suspended'")
    assert await answered(6, secret) == (403, "merchant_suspended")
    await shop.execute_as_owner("UPDATE merchant SET state = 'active'")
    assert await answered(7, secret) == (202, "")
    assert (await shop.caller.call("DELETE", path)).status == 204
    assert await answered(8, secret) == (401, "signature_invalid")


async def test_a_trigger_that_is_changed_under_each_attempt_is_given_up_and_nothing_stored(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.subscribers(1)
    made = await created(shop)
    store = shop.commerce.webhook_intake._store  # where a change can come between
    receive = store.receive
    attempts = 0

    async def overtaken(merchant_id: int, webhook: Any) -> Any:
        nonlocal attempts
        attempts += 1
        await shop.caller.call("PATCH", f"{PATH}/{made['id']}", {"name": f"change {attempts}"})
        return await receive(merchant_id, webhook)

    monkeypatch.setattr(store, "receive", overtaken)
    answer = await fire(shop, made["id"], made["secret"], a_shop_event())
    assert (answer.status, answer.code, attempts) == (409, "conflict", ATTEMPTS_MAX)
    assert await written(shop) == NOTHING
    monkeypatch.undo()
    assert (await fire(shop, made["id"], made["secret"], a_shop_event())).status == 202


@pytest.mark.parametrize("by_number", [False, True])
async def test_a_price_that_was_published_a_moment_ago_counts(shop: Shop, by_number: bool) -> None:
    [swede] = await shop.subscribers(1)
    await shop.execute("UPDATE subscriber SET msisdn = 46701234567 WHERE subscriber_id = $1", swede)
    mapping = {k: v for k, v in MAPPING.items() if k != "audience"} | {"recipients": "$.to"}
    made = await created(shop, mapping=mapping if by_number else MAPPING)
    event = a_shop_event(to="+46701234567")
    refused = await fire(shop, made["id"], made["secret"], event)
    assert (refused.status, refused.code) == (422, "price_missing")
    # By another process, so that nothing here hears of it.
    await shop.execute_as_owner(
        "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
        "SELECT price_list_id, 2, effective_from + interval '1 day', source_sha256 FROM price_version"
    )
    await shop.execute_as_owner(
        "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros, basis) "
        "SELECT 9, price_list_id, 2, direction, '240', unit_micros, basis FROM price_item "
        "WHERE direction = 'mt'"
    )
    assert (await fire(shop, made["id"], made["secret"], event)).status == 202


BY_NUMBER: dict[str, Any] = {
    **{name: source for name, source in MAPPING.items() if name != "audience"},
    "recipients": "$.to",
}


async def test_the_same_offer_for_one_customer_after_the_other_is_each_time_an_offer_of_its_own(
    shop: Shop,
) -> None:
    numbers = (33612345671, 33612345672, 33612345673)
    for number, subscriber in zip(numbers, await shop.subscribers(3), strict=True):
        await shop.execute("UPDATE subscriber SET msisdn = $1 WHERE subscriber_id = $2", number, subscriber)
    made = await created(shop, mapping=BY_NUMBER)
    titles = ("CD Madonna", "CD Madonna", "CD Bach")
    for n, (number, title) in enumerate(zip(numbers, titles, strict=True)):
        event = a_shop_event(id=f"e{n}", to=f"+{number}", product={"title": title, "price": "19,90"})
        assert (await fire(shop, made["id"], made["secret"], event, webhook_id=f"m{n}")).status == 202
        shop.clock.advance(60)
    rows = await shop.fetch(
        "SELECT o.external_id, v.text, v.expires_at, v.created_at, s.msisdn FROM campaign c "
        "JOIN offer o USING (merchant_id, offer_id) JOIN offer_version v USING (merchant_id, offer_id) "
        "JOIN subscriber s ON s.subscriber_id = ANY (c.audience_ids) ORDER BY o.external_id"
    )
    assert [(row["external_id"], row["msisdn"]) for row in rows] == [
        (f"e{n}", number) for n, number in enumerate(numbers)
    ]
    assert [title in row["text"] for row, title in zip(rows, titles, strict=True)] == [True] * 3
    assert {row["expires_at"] - row["created_at"] for row in rows} == {timedelta(days=1)}
    assert [row["created_at"] - rows[0]["created_at"] for row in rows] == [
        timedelta(minutes=n) for n in range(3)
    ]


async def test_an_offer_that_was_asked_for_before_is_held_to_what_changed_since(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number is configured anew; the next customer lives where the text may not go; a day goes by."""
    french, english = await shop.subscribers(2)
    for number, subscriber, country in ((33612345671, french, "FR"), (33612345672, english, "GB")):
        await shop.execute(
            "UPDATE subscriber SET msisdn = $1, country = $2 WHERE subscriber_id = $3",
            number, country, subscriber,
        )  # fmt: skip
    made = await created(shop, mapping=BY_NUMBER)
    count = 0

    async def answered(to: str = "+33612345671") -> tuple[int, str]:
        nonlocal count
        count += 1
        event = a_shop_event(id=f"e{count}", to=to)
        answer = await fire(shop, made["id"], made["secret"], event, webhook_id=f"m{count}")
        return answer.status, answer.code if answer.status >= 400 else ""

    assert await answered() == (202, "")
    monkeypatch.setitem(SENDERS, SENDER, replace(SENDERS[SENDER], receives=False))
    assert await answered() == (422, "sender_not_reply_capable")
    monkeypatch.undo()
    assert await answered() == (202, "")
    assert await answered("+33612345672") == (422, "mandatory_info_missing")
    assert await answered() == (202, "")
    countries = table("law", "offers.toml")["country"]
    tomorrow = shop.clock.now().date() + timedelta(days=1)
    stricter = {**countries["FR"][-1], "from": tomorrow, "withdrawal_days": 15}
    monkeypatch.setitem(countries, "FR", [*countries["FR"], stricter])
    assert await answered() == (202, "")
    shop.clock.advance(86_400)
    text_findings.cache_clear()  # whoever looked at this text on that day did so by the law that there is
    try:
        assert await answered() == (422, "withdrawal_mismatch")
    finally:
        text_findings.cache_clear()  # it was judged by a law that there is not


async def test_a_trigger_whose_offers_last_no_longer_than_they_must_is_taken(shop: Shop) -> None:
    await shop.subscribers(1)
    made = await created(shop, expires_in_s=LIFE_S_MIN)
    shop.clock.now = _going_on(shop.clock)  # type: ignore[method-assign]
    assert (await fire(shop, made["id"], made["secret"], a_shop_event())).status == 202


def _going_on(clock: ManualClock) -> Callable[[], datetime]:
    """Return a clock's `now` that is a little later each time it is asked, as the time is."""
    now = clock.now

    def later() -> datetime:
        clock.advance(0.001)
        return now()

    return later
