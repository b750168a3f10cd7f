"""Merchants, keys, prices, subscribers and consents over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.security.public_ids import Kind
from smsgate.store.pool import Database
from tests.api.api_server import Api, Caller, a_merchant

NUMBER = "+33639980012"


def a_subscriber(msisdn: str = NUMBER, **fields: Any) -> dict[str, Any]:
    return {"msisdn": msisdn, **fields}


def a_consent(subscriber: str, event: str = "granted", **fields: Any) -> dict[str, Any]:
    return {
        "subscriber": subscriber,
        "event": event,
        "wording_version": "2026-01",
        "source": "form: checkout",
        "occurred_at": ago(minutes=1),
        **fields,
    }


def ago(**delta: float) -> str:
    return (datetime.now(UTC) - timedelta(**delta)).isoformat()


async def subscribed(merchant: Caller, msisdn: str = NUMBER) -> str:
    made = await merchant.post("/v1/subscribers", a_subscriber(msisdn))
    assert made.status == 201, made
    return str(made.body["id"])


async def test_a_merchant_is_made_listed_and_read(api: Api) -> None:
    made = await api.operator.post("/v1/merchants", a_merchant())
    assert made.status == 201
    assert made.body["id"].startswith("mer_")
    assert (await api.operator.get(f"/v1/merchants/{made.body['id']}")).body == made.body
    assert (await api.operator.get("/v1/merchants")).body == {"data": [made.body], "has_more": False}


async def test_a_slug_is_given_once(api: Api) -> None:
    await api.operator.post("/v1/merchants", a_merchant())
    again = await api.operator.post("/v1/merchants", a_merchant())
    assert (again.status, again.code) == (409, "name_taken")
    assert again.body["errors"][0]["pointer"] == "/slug"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("currency", "XXX", "currency_unknown"),
        ("timezone", "Mars/Olympus", "invalid"),
        ("timezone", "../etc/passwd", "invalid"),
        ("country", "France", "invalid"),
        ("slug", "Bad Slug", "invalid"),
        ("state", "suspended", "invalid"),
        ("name", "", "invalid"),
    ],
)
async def test_a_wrong_value_of_a_merchant_is_named(api: Api, field: str, value: str, code: str) -> None:
    answer = await api.operator.post("/v1/merchants", a_merchant(**{field: value}))
    assert (answer.status, answer.code) == (422, code)
    assert answer.body["errors"][0]["pointer"] == f"/{field}"


async def test_a_key_is_shown_once_and_at_most_two_share_a_name(api: Api) -> None:
    merchant = await api.merchant()
    path = f"/v1/merchants/{merchant.merchant_id}/api_keys"
    second = await api.operator.post(path, {"name": "test", "scopes": ["read"]})
    assert second.status == 201
    third = await api.operator.post(path, {"name": "test", "scopes": ["read"]})
    assert (third.status, third.code) == (409, "keys_of_name_max")
    listed = await api.operator.get(path)
    assert listed.body["data"][0]["scopes"] == ["read"]
    assert all("key" not in key for key in listed.body["data"])


async def test_no_merchant_key_gets_the_operators_scope(api: Api) -> None:
    merchant = await api.merchant()
    answer = await api.operator.post(
        f"/v1/merchants/{merchant.merchant_id}/api_keys", {"name": "x", "scopes": ["operator"]}
    )
    assert (answer.status, answer.code) == (422, "invalid")


async def test_a_revoked_key_is_refused_at_once(api: Api) -> None:
    merchant = await api.merchant()
    assert (await merchant.get("/v1/subscribers")).status == 200
    keys = await api.operator.get(f"/v1/merchants/{merchant.merchant_id}/api_keys")
    revoked = await api.operator.call("DELETE", f"/v1/api_keys/{keys.body['data'][0]['id']}")
    assert revoked.body["revoked_at"] is not None
    assert (await merchant.get("/v1/subscribers")).status == 401


async def test_prices_are_published_and_given_to_a_merchant(api: Api) -> None:
    merchant = await api.merchant()
    made = await api.operator.post("/v1/price_lists", {"name": "standard", "currency": "EUR"})
    assert made.status == 201
    items = [
        {"direction": "mt", "network": "*", "unit_price": "0.045"},
        {"direction": "mt", "network": "20801", "unit_price": "0.04"},
        {"direction": "mo", "network": "*", "unit_price": "0"},
    ]
    path = f"/v1/price_lists/{made.body['id']}/versions"
    first = await api.operator.post(path, {"effective_from": "2026-01-01T00:00:00Z", "items": items})
    assert first.status == 201, first
    assert first.body["version"] == 1
    assert first.body["items"][0] == {
        "direction": "mt", "network": "*", "unit_price": "0.045", "basis": "submit", "tiers": None,
    }  # fmt: skip
    for early in (ago(hours=1), ago(seconds=0), ago(seconds=-50)):  # other nodes would learn of it too late
        past = await api.operator.post(path, {"effective_from": early, "items": items})
        assert (past.status, past.code) == (422, "effective_from_past")
    later = await api.operator.post(path, {"effective_from": ago(hours=-1), "items": items})
    assert later.body["version"] == 2
    ahead = await api.operator.post("/v1/price_lists", {"name": "ahead", "currency": "EUR"})
    path = f"/v1/price_lists/{ahead.body['id']}/versions"
    first = await api.operator.post(path, {"effective_from": ago(hours=-2), "items": items})
    sooner = await api.operator.post(path, {"effective_from": ago(hours=-1), "items": items})
    assert (first.status, sooner.status, sooner.code) == (201, 422, "effective_from_past")  # its prices hold
    given = await api.operator.call(
        "PUT", f"/v1/merchants/{merchant.merchant_id}/price_list", {"price_list": made.body["id"]}
    )
    assert given.body["price_list"] == made.body["id"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"direction": "mt", "network": "*", "unit_price": 0.045}, "invalid"),
        ({"direction": "mt", "network": "*", "unit_price": "-1"}, "invalid"),
        ({"direction": "mt", "network": "*", "unit_price": "0.0000001"}, "invalid"),
        ({"direction": "mt", "network": "*", "unit_price": "1001"}, "price_invalid"),
        ({"direction": "mt", "network": "2080", "unit_price": "1"}, "invalid"),
        ({"direction": "xx", "network": "*", "unit_price": "1"}, "invalid"),
    ],
)
async def test_a_price_that_is_none_is_refused_with_its_place(
    api: Api, item: dict[str, Any], code: str
) -> None:
    made = await api.operator.post("/v1/price_lists", {"name": "standard", "currency": "EUR"})
    answer = await api.operator.post(
        f"/v1/price_lists/{made.body['id']}/versions",
        {"effective_from": "2026-01-01T00:00:00Z", "items": [item]},
    )
    assert (answer.status, answer.code) == (422, code)
    assert answer.body["errors"][0]["pointer"].startswith("/items/0/")


async def test_a_list_of_costs_or_of_another_currency_is_given_to_nobody(api: Api) -> None:
    merchant = await api.merchant()
    path = f"/v1/merchants/{merchant.merchant_id}/price_list"
    for fields, code in (
        ({"name": "a", "currency": "GBP"}, "price_list_currency"),
        ({"name": "b", "currency": "EUR", "side": "cost"}, "price_list_side"),
    ):
        made = await api.operator.post("/v1/price_lists", fields)
        answer = await api.operator.call("PUT", path, {"price_list": made.body["id"]})
        assert (answer.status, answer.code) == (409, code)


async def test_carriers_are_listed_for_the_operator(api: Api) -> None:
    assert (await api.operator.get("/v1/carriers")).body == {"data": []}


async def test_a_subscriber_is_made_changed_and_found_again(api: Api) -> None:
    merchant = await api.merchant()
    made = await merchant.post(
        "/v1/subscribers",
        a_subscriber("06 39 98 00 12", country="FR", tags=["vip", "vip"], fields={"first_name": "Zoé"}),
    )
    assert made.status == 201, made
    assert made.body["msisdn"] == NUMBER
    assert made.body["tags"] == ["vip"]
    assert made.body["language"] == "fr"
    assert made.body["offers_state"] == "none"
    path = f"/v1/subscribers/{made.body['id']}"
    changed = await merchant.call("PATCH", path, {"tags": ["new"], "external_id": "c-1"})
    assert changed.body["fields"] == {"first_name": "Zoé"}
    assert (await merchant.get(path)).body == changed.body
    found = await merchant.get("/v1/subscribers?msisdn=%2B33639980012&tag=new&offers_state=none")
    assert [one["id"] for one in found.body["data"]] == [made.body["id"]]
    assert (await merchant.get("/v1/subscribers?tag=vip")).body["data"] == []


async def test_the_same_number_twice_names_the_subscriber_that_has_it(api: Api) -> None:
    merchant = await api.merchant()
    subscriber = await subscribed(merchant)
    again = await merchant.post("/v1/subscribers", a_subscriber())
    assert (again.status, again.code) == (409, "subscriber_exists")
    assert again.body["subscriber"] == subscriber


@pytest.mark.parametrize(
    "number", ["12", "hello", "+33123456789", "+88213300000", "+999123456789", "0639980012"]
)
async def test_a_number_that_is_no_mobile_number_is_refused(api: Api, number: str) -> None:
    merchant = await api.merchant()
    answer = await merchant.post("/v1/subscribers", a_subscriber(number))
    assert (answer.status, answer.code) == (422, "msisdn_invalid")
    assert answer.body["errors"][0]["pointer"] == "/msisdn"


async def test_a_consent_moves_the_state_and_is_listed(api: Api) -> None:
    merchant = await api.merchant()
    subscriber = await subscribed(merchant)
    granted = await merchant.post("/v1/consents", a_consent(subscriber, evidence={"ip": "192.0.2.1"}))
    assert granted.status == 201, granted
    assert granted.body["state_after"] == "subscribed"
    assert granted.body["who"] == granted.body["evidence"]["key"]  # nobody else was named
    assert granted.body["evidence"]["ip"] == "192.0.2.1"
    assert (await merchant.get(f"/v1/subscribers/{subscriber}")).body["offers_state"] == "subscribed"
    listed = await merchant.get(f"/v1/consents?subscriber={subscriber}")
    assert listed.body["data"] == [granted.body]


async def test_who_took_a_consent_is_kept_beside_the_key_that_told_it(api: Api) -> None:
    merchant = await api.merchant()
    subscriber = await subscribed(merchant)
    by_form = await merchant.post("/v1/consents", a_consent(subscriber, who="person", source="web form"))
    assert (by_form.body["who"], by_form.body["evidence"]["who"]) == ("person", "person")
    assert by_form.body["evidence"]["key"] not in {"", "person"}


async def test_a_revocation_is_known_before_the_answer_and_outlives_older_grants(api: Api) -> None:
    merchant = await api.merchant()
    subscriber = await subscribed(merchant)
    await merchant.post("/v1/consents", a_consent(subscriber))
    owner = api.context.public_ids.decode(Kind.MERCHANT, merchant.merchant_id)
    assert 33639980012 not in api.context.stops.held(owner)
    revoked = await merchant.post(
        "/v1/consents", a_consent(subscriber, "revoked", occurred_at=ago(seconds=5))
    )
    assert revoked.body["state_after"] == "unsubscribed"
    assert 33639980012 in api.context.stops.held(owner)
    older = await merchant.post("/v1/consents", a_consent(subscriber, occurred_at=ago(days=3)))
    assert (older.status, older.code) == (409, "stop_is_newer")
    newer = await merchant.post("/v1/consents", a_consent(subscriber, occurred_at=ago(seconds=1)))
    assert newer.body["state_after"] == "subscribed"


async def test_a_consent_without_wording_or_from_the_future_is_none(api: Api) -> None:
    merchant = await api.merchant()
    subscriber = await subscribed(merchant)
    bare = await merchant.post("/v1/consents", a_consent(subscriber, wording_version=""))
    assert (bare.status, bare.code) == (422, "consent_missing")
    future = await merchant.post("/v1/consents", a_consent(subscriber, occurred_at=ago(hours=-1)))
    assert (future.status, future.code) == (422, "occurred_in_future")


async def test_a_change_of_consent_is_an_event_for_the_shop_and_a_repetition_is_none(
    api: Api, database: Database
) -> None:
    merchant = await api.merchant()
    subscriber = await subscribed(merchant)
    for _ in range(2):
        await merchant.post("/v1/consents", a_consent(subscriber))
    owner = api.context.public_ids.decode(Kind.MERCHANT, merchant.merchant_id)
    async with database.transaction(owner) as connection:
        rows = await connection.fetch("SELECT type, subject FROM event")
    assert [tuple(row) for row in rows] == [("consent.granted", subscriber)]
