"""
Other merchants' objects do not exist.

One merchant has an object of every kind. Whatever another asks about one of them, by any route of the
document, in the path, the query or the body, it gets the very answer that an id of nothing gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson

from smsgate.security.public_ids import Kind
from tests.acceptance.town import SENDER, Answer, Caller, Ground, Town, a_row, a_town, an_offer, eventually

KINDS = {
    "subscribers": Kind.SUBSCRIBER,
    "imports": Kind.IMPORT,
    "offers": Kind.OFFER,
    "campaigns": Kind.CAMPAIGN,
    "messages": Kind.MESSAGE,
    "inbound_messages": Kind.INBOUND_MESSAGE,
    "inbox": Kind.INBOUND_MESSAGE,
    "orders": Kind.ORDER,
    "events": Kind.EVENT,
    "webhook_endpoints": Kind.WEBHOOK_ENDPOINT,
    "triggers": Kind.TRIGGER,
    "consents": Kind.CONSENT,
    "keywords": Kind.KEYWORD,
    "merchants": Kind.MERCHANT,
    "api_keys": Kind.API_KEY,
    "price_lists": Kind.PRICE_LIST,
    "esmes": Kind.ESME,
    "explanations": Kind.MESSAGE,
    "reconciliations": Kind.RECONCILIATION,
}
OPERATORS = {"merchants", "api_keys", "price_lists", "esmes", "explanations", "reconciliations"}
# Of a month that is over, or money that came: the tests of these routes (tests/api) ask for foreign ones.
DOCUMENTS = {"invoices", "credit_notes", "prepayments", "payouts"}
PATH_ID = re.compile(r"/v1/(\w+)/\{id\}")


def bodies_at(now: datetime) -> dict[str, object]:
    """Return what routes need to find nothing wrong but the id."""
    return {
        "/v1/inbound_messages/{id}/reclassify": {"verdict": "stop", "decided_by": "Anne", "reason": "none"},
        "/v1/orders/{id}/require_action": {
            "link": "https://a.example/p",
            "until": (now + timedelta(days=1)).isoformat(),
        },
        "/v1/offers/{id}": {"stock": 5},
        "/v1/subscribers/{id}/unblock": {"decided_by": "Anne", "reason": "none"},
        "/v1/orders/{id}/fulfil": {"delivered_at": now.isoformat()},
        "/v1/webhook_endpoints/{id}/deliveries": {
            "from": "2026-01-01T00:00:00Z",
            "to": "2026-01-02T00:00:00Z",
        },
    }


async def test_every_route_answers_for_a_foreign_id_as_for_an_id_of_nothing(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        foreign = await everything(town)
        stranger, _ = await town.another_merchant("fnac")
        document = await town.anybody.get("/v1/openapi.json")
        asked, bodies = set(), bodies_at(town.clock.now())
        for path, item in document["paths"].items():
            match = PATH_ID.match(path)
            if match is None or match[1] in OPERATORS | DOCUMENTS:
                continue
            kind = KINDS[match[1]]
            nothing = town.process.services.public_ids.encode(kind, 42)
            for method in item:
                if (method, path) == ("post", "/v1/triggers/{id}"):
                    continue  # signed by the shop and not by a key: the story of bad input has it
                body = bodies.get(path, {}) if method in {"post", "patch", "put"} else None
                answers = [
                    await stranger.ask(method.upper(), path.replace("{id}", id_), body)
                    for id_ in (foreign[kind], nothing)
                ]
                alike(*answers)
                assert answers[0].code == "not_found", (method, path, answers[0].octets)
                asked.add(kind)
        assert asked == {kind for name, kind in KINDS.items() if name not in OPERATORS}
        # And nothing of it changed anything for its owner.
        assert len(await town.merchant.all("/v1/triggers")) == 1
        assert (await town.merchant.all("/v1/webhook_endpoints"))[0]["state"] == "active"


async def test_foreign_ids_in_queries_and_bodies_are_ids_of_nothing(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        foreign = await everything(town)
        stranger, _ = await town.another_merchant("fnac")
        nothing = {kind: town.process.services.public_ids.encode(kind, 42) for kind in Kind}

        for query, kind in (
            ("messages?campaign={}", Kind.CAMPAIGN),
            ("messages?subscriber={}", Kind.SUBSCRIBER),
            ("messages?starting_after={}", Kind.MESSAGE),
            ("inbound_messages?campaign={}", Kind.CAMPAIGN),
            ("orders?campaign={}", Kind.CAMPAIGN),
            ("orders?ending_before={}", Kind.ORDER),
            ("consents?subscriber={}", Kind.SUBSCRIBER),
            ("events?subject={}", Kind.ORDER),
            ("subscribers?starting_after={}", Kind.SUBSCRIBER),
            ("campaigns?starting_after={}", Kind.CAMPAIGN),
        ):
            answers = [
                await stranger.ask("GET", f"/v1/{query.format(ids[kind])}") for ids in (foreign, nothing)
            ]
            alike(*answers)
            assert answers[0].status >= 400 or answers[0].body["data"] == [], query

        offer = await stranger.post("/v1/offers", an_offer(town.clock, shop_name="Boxman"))
        own_endpoint = await endpoint_of(town, stranger)
        bodies: list[tuple[str, Kind, Callable[[str], object]]] = [
            ("campaigns", Kind.OFFER, lambda id_: {"offer": id_, "audience": {"all": True}}),
            (
                "campaigns",
                Kind.SUBSCRIBER,
                lambda id_: {"offer": offer["id"], "audience": {"subscribers": [id_]}},
            ),
            ("consents", Kind.SUBSCRIBER, lambda id_: a_revocation(town, id_)),
            (f"webhook_endpoints/{own_endpoint}/deliveries", Kind.EVENT, lambda id_: {"event": id_}),
        ]
        for path, kind, body in bodies:
            answers = [
                await stranger.ask("POST", f"/v1/{path}", body(ids[kind])) for ids in (foreign, nothing)
            ]
            alike(*answers)
            assert answers[0].status in {404, 422}, (path, answers[0].octets)
        person = await town.subscriber(town.msisdns[0])
        assert person["offers_state"] == "subscribed"


async def test_lists_and_statements_hold_the_callers_own_and_nothing_else(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        await everything(town)
        stranger, _ = await town.another_merchant("fnac")
        for name in KINDS.keys() - OPERATORS:
            assert await stranger.all(f"/v1/{name}") == [], name
        assert (await stranger.get("/v1/usage/statements"))["data"] == []
        # The same person may be a subscriber of both, and each sees its own side.
        row = orjson.dumps(a_row(town.msisdns[0], town.clock.now()))
        await stranger.post("/v1/imports", row, Content_Type="application/x-ndjson")
        (mine,) = await stranger.all("/v1/subscribers")
        theirs = await town.subscriber(town.msisdns[0])
        assert mine["msisdn"] == theirs["msisdn"]
        assert mine["id"] != theirs["id"]


async def everything(town: Town) -> dict[Kind, str]:
    """Let the town's merchant have an object of every kind; return their ids."""
    await town.finished(await town.new_record())
    await town.answer(town.msisdns[0], "OK")
    await town.only_order()
    await eventually(lambda: len(town.texts(town.msisdns[0])) == 2)
    await town.answer(town.msisdns[0], "hm hm")  # nobody can read it: it waits in the inbox
    await eventually(lambda: len(town.texts(town.msisdns[0])) == 3)
    keyword = {"word": "JAZZ", "sender": SENDER, "wording_version": "poster-1"}
    await town.merchant.post("/v1/keywords", keyword)
    return {
        kind: (await town.merchant.all(f"/v1/{name}"))[0]["id"]
        for name, kind in KINDS.items()
        if name not in OPERATORS
    }


async def endpoint_of(town: Town, merchant: Caller) -> str:
    """Register the town's shop for another merchant; return the endpoint's id."""
    secrets, town.shop.settings.secrets = town.shop.settings.secrets, []
    made = await merchant.post("/v1/webhook_endpoints", {"url": town.shop.url})
    town.shop.settings.secrets = secrets
    return str(made["id"])


def a_revocation(town: Town, subscriber: str) -> dict[str, Any]:
    at = town.clock.now().isoformat()
    return {"subscriber": subscriber, "event": "revoked", "source": "letter", "occurred_at": at}


def alike(one: Answer, other: Answer) -> None:
    """Both answers are the same but for what differs between any two requests."""
    assert one.status == other.status, (one.octets, other.octets)
    own = {"x-request-id", "date", "ratelimit"}
    headers = [
        {name.lower(): text for name, text in answer.headers.items() if name.lower() not in own}
        for answer in (one, other)
    ]
    assert headers[0] == headers[1]
    bodies = [
        {name: value for name, value in answer.body.items() if name != "request_id"}
        for answer in (one, other)
    ]
    assert bodies[0] == bodies[1]
