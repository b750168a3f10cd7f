"""Keys, scopes, isolation, bodies, idempotency, pages and headers: what holds for every route."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from smsgate.api.routing import Body, Route
from smsgate.api.table import ROUTES
from smsgate.flows.ports_api import Principal
from smsgate.security.api_keys import MERCHANT_SCOPES, Mode, Scope, new_key
from smsgate.security.public_ids import Kind
from smsgate.store.merchants import PgApiKeys
from smsgate.store.pool import Database
from tests.api.api_server import MAC_KEY, Answer, Api, a_context, a_merchant, running
from tests.api.commerce_setup import Shop

NUMBER = "+33639980012"


class CountingKeys(PgApiKeys):
    """The real store, and how often a key was looked up."""

    looked_up = 0

    async def find(self, public_id: str) -> Principal | None:
        self.looked_up += 1
        return await super().find(public_id)


def a_path(route: Route) -> str:
    """Return the route's path with something in the place of every id."""
    return re.sub(r"\{\w+\}", "x", route.path)


# ---------------------------------------------------------------------- keys and scopes


async def test_without_a_key_every_route_that_needs_one_answers_401(api: Api) -> None:
    for route in ROUTES:
        if route.scope is not None:
            answer = await api.anybody.call(route.method, a_path(route))
            assert (answer.status, answer.code) == (401, "key_missing"), route.path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_key_with_a_wrong_check_sum_never_reaches_the_database(database: Database) -> None:
    context = a_context(database)
    keys = CountingKeys(database)
    context.api_keys = keys
    async with running(context) as api:
        before = keys.looked_up
        wrong = new_key(Mode.LIVE).text[:-1] + "!"
        for text in (wrong, "sgk_live_", "x" * 5_000, "", "é"):
            answer = await api.with_key(text).get("/v1/subscribers")
            assert (answer.status, answer.code) == (401, "key_invalid")
        assert keys.looked_up == before


async def test_an_unknown_key_of_good_form_and_a_known_one_with_another_secret_answer_alike(api: Api) -> None:
    answer = await api.with_key(new_key(Mode.LIVE).text).get("/v1/subscribers")
    assert (answer.status, answer.code) == (401, "key_invalid")


async def test_after_twenty_wrong_keys_the_source_is_slowed_and_a_known_key_is_not(
    database: Database,
) -> None:
    context = a_context(database, wrong_keys_per_s=20)
    keys = CountingKeys(database)
    context.api_keys = keys
    async with running(context) as api:
        merchant = await api.merchant()
        assert (await merchant.get("/v1/subscribers")).status == 200
        before = keys.looked_up
        guesses = [api.with_key(new_key(Mode.LIVE).text) for _ in range(60)]
        answers = await asyncio.gather(*(guess.get("/v1/subscribers") for guess in guesses))
        statuses = [answer.status for answer in answers]
        assert statuses.count(401) >= 20
        assert statuses.count(429) > 0
        assert keys.looked_up - before < 60
        limited = next(answer for answer in answers if answer.status == 429)
        assert limited.headers["Retry-After"] == "1"
        assert (await merchant.get("/v1/subscribers")).status == 200


async def test_a_key_that_was_right_is_looked_up_again_beside_a_flood_of_wrong_ones(
    database: Database,
) -> None:
    """A company's shop and somebody who guesses may share an address, or a proxy that nobody trusts."""
    async with running(a_context(database, wrong_keys_per_s=1, key_cache_s=0.0)) as api:
        merchant = await api.merchant()
        assert (await merchant.get("/v1/subscribers")).status == 200
        guesses = [api.with_key(new_key(Mode.LIVE).text) for _ in range(5)]
        statuses = [(await guess.get("/v1/subscribers")).status for guess in guesses]
        assert statuses[-1] == 429
        assert (await merchant.get("/v1/subscribers")).status == 200


async def test_a_key_is_looked_up_once_and_its_use_noted_once(database: Database) -> None:
    context = a_context(database)
    keys = CountingKeys(database)
    context.api_keys = keys
    async with running(context) as api:
        merchant = await api.merchant()
        before = keys.looked_up
        for _ in range(5):
            await merchant.get("/v1/subscribers")
        assert keys.looked_up == before + 1
        listed = await api.operator.get(f"/v1/merchants/{merchant.merchant_id}/api_keys")
        assert listed.body["data"][0]["last_used_at"] is not None


async def test_an_expired_key_is_refused(api: Api) -> None:
    merchant = await api.merchant()
    path = f"/v1/merchants/{merchant.merchant_id}/api_keys"
    made = await api.operator.post(
        path, {"name": "short", "scopes": ["read"], "expires_at": "2199-01-01T00:00:00Z"}
    )
    assert (await api.with_key(made.body["key"]).get("/v1/subscribers")).status == 200
    past = await api.operator.post(
        path, {"name": "old", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}
    )
    assert past.status == 422


async def test_every_route_asks_for_its_scope_and_no_other(shop: Shop) -> None:
    api = shop.api
    callers = {scope: await api.merchant(scopes=[scope.value]) for scope in MERCHANT_SCOPES}
    for route in ROUTES:
        if route.scope is None:
            continue
        path = a_path(route)
        for scope, caller in callers.items():
            answer = await caller.call(route.method, path)
            if route.scope is Scope.OPERATOR:
                assert (answer.status, answer.code) == (403, "operator_only"), (route.path, scope)
            elif scope is not route.scope:
                assert (answer.status, answer.code) == (403, "scope_missing"), (route.path, scope)
            else:
                of_test_keys = answer.status == 403 and answer.code == "test_mode"
                assert not of_test_keys or route.path.startswith("/v1/test/"), (route.path, scope, answer)
                assert of_test_keys or answer.status not in {401, 403}, (route.path, scope, answer)
        if route.scope is not Scope.OPERATOR:
            answer = await api.operator.call(route.method, path)
            assert (answer.status, answer.code) == (403, "merchant_only"), route.path


async def test_a_suspended_merchant_is_told_so(database: Database) -> None:
    async with running(a_context(database, key_cache_s=0.0)) as api:
        merchant = await api.merchant()
        async with database.bulk() as connection:
            await connection.execute("UPDATE merchant SET state = 'suspended'")
        answer = await merchant.get("/v1/subscribers")
        assert (answer.status, answer.code) == (403, "merchant_suspended")


async def test_more_requests_than_allowed_are_answered_429_with_the_limit(database: Database) -> None:
    async with running(a_context(database, requests_per_s=5)) as api:
        answers = await asyncio.gather(*(api.operator.get("/v1/carriers") for _ in range(30)))
        limited = [answer for answer in answers if answer.status == 429]
        assert limited
        assert limited[0].code == "rate_limited"
        assert limited[0].headers["RateLimit-Policy"] == '"requests";q=5;w=1'
        assert limited[0].headers["RateLimit"].startswith('"requests";r=0')
        assert int(limited[0].headers["Retry-After"]) >= 1


# ---------------------------------------------------------------------- isolation


async def test_anothers_id_is_answered_as_a_random_one_on_every_route(api: Api) -> None:
    """Every merchant route with an id in its path, and every kind of object that this half of the API has."""
    mine, theirs = await api.merchant(), await api.merchant()
    subscriber = (await theirs.post("/v1/subscribers", {"msisdn": NUMBER})).body["id"]
    row = {"msisdn": "33639980013", "consent_at": "x", "consent_source": "s", "wording_version": "1"}
    imported = await theirs.post(
        "/v1/imports", data=json.dumps(row).encode(), headers={"Content-Type": "application/x-ndjson"}
    )
    foreign = {"subscribers": subscriber, "imports": imported.body["id"]}
    kinds = {"subscribers": Kind.SUBSCRIBER, "imports": Kind.IMPORT}
    tried = 0
    for route in ROUTES:
        resource = route.path.split("/")[2] if route.path.startswith("/v1/") else ""
        if resource in foreign and "{id}" in route.path:
            random = api.context.public_ids.encode(kinds[resource], 12345)
            answers = [
                await mine.call(route.method, route.path.replace("{id}", id_), _body_for(route))
                for id_ in (foreign[resource], random, "sub_nonsense")
            ]
            told = [{**answer.body, "request_id": ""} for answer in answers]
            assert answers[0].status == 404
            assert told[0] == told[1] == told[2], route.path
            tried += 1
    assert tried >= 4


def _body_for(route: Route) -> Any:
    """Return what the route needs to find nothing wrong but the id."""
    if route.path.endswith("/unblock"):
        return {"decided_by": "Anne", "reason": "The person rang us."}
    return {} if route.takes is Body.JSON else None


async def test_anothers_id_in_a_body_a_filter_or_a_cursor_is_answered_as_a_random_one(api: Api) -> None:
    mine, theirs = await api.merchant(), await api.merchant()
    subscriber = (await theirs.post("/v1/subscribers", {"msisdn": NUMBER})).body["id"]
    await mine.post("/v1/subscribers", {"msisdn": NUMBER})
    random = api.context.public_ids.encode(Kind.SUBSCRIBER, 12345)
    consent = {
        "event": "granted", "wording_version": "1", "source": "form", "occurred_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    asks: list[Callable[[str], Awaitable[Answer]]] = [
        lambda id_: mine.post("/v1/consents", {"subscriber": id_, **consent}),
        lambda id_: mine.get(f"/v1/consents?subscriber={id_}"),
        lambda id_: mine.get(f"/v1/subscribers?starting_after={id_}"),
        lambda id_: mine.get(f"/v1/subscribers?ending_before={id_}"),
    ]
    for ask in asks:
        told = [await ask(id_) for id_ in (subscriber, random)]
        assert told[0].status == told[1].status
        assert {**told[0].body, "request_id": ""} == {**told[1].body, "request_id": ""}


async def test_an_idempotency_key_of_another_merchant_is_free(api: Api) -> None:
    mine, theirs = await api.merchant(), await api.merchant()
    headers = {"Idempotency-Key": "k"}
    first = await theirs.post("/v1/subscribers", {"msisdn": NUMBER}, headers=headers)
    second = await mine.post("/v1/subscribers", {"msisdn": NUMBER}, headers=headers)
    assert (first.status, second.status) == (201, 201)
    assert first.body["id"] != second.body["id"]


# ---------------------------------------------------------------------- bodies

ODD_JSON = [
    b"",
    b"{",
    b"nul",
    b"NaN",
    b'{"name": NaN}',
    b'{"name": Infinity}',
    b'{"name": 1e400}',
    b'{"a": 1, "a": 2}',
    b'{"name": "\\ud800"}',
    b'{"name": "\\u0000"}',
    b'{"na\\u0000me": 1}',
    b'{"name": "\x00"}',
    b'{"name": "\xff\xfe"}',
    b"\xef\xbb\xbf{}",
    b'{"name": ' + b"9" * 21 + b"}",
    b'{"name": ' + b"9" * 5_000 + b"}",
    b'{"name": 0.' + b"1" * 40 + b"}",
    b"[" * 33 + b"]" * 33,
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b"[]",
    b"null",
    b'"text"',
    b"1",
    b"{} {}",
    b"{'name': 1}",
    b'{"name": 1,}',
    b"\x1f\x8b\x08\x00",
]


@pytest.mark.parametrize("body", ODD_JSON, ids=range(len(ODD_JSON)))
async def test_odd_json_is_refused_and_never_an_error_of_ours(api: Api, body: bytes) -> None:
    answer = await api.operator.post("/v1/merchants", data=body, headers={"Content-Type": "application/json"})
    assert answer.status in {400, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.code in {"json_invalid", "invalid"}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "text/plain"}, "media_type_unsupported"),
        ({"Content-Type": "application/json; charset=utf-16"}, "media_type_unsupported"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "encoding_unsupported"),
        ({"Content-Type": "application/json", "Content-Encoding": "br"}, "encoding_unsupported"),
    ],
)
async def test_compressed_bodies_and_other_types_are_refused(
    api: Api, headers: dict[str, str], code: str
) -> None:
    answer = await api.operator.post("/v1/merchants", data=b"{}", headers=headers)
    assert (answer.status, answer.code) == (415, code)


async def test_a_body_over_one_mebibyte_is_refused_by_its_length_and_by_its_octets(api: Api) -> None:
    headers = {"Content-Type": "application/json"}

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    known = await api.operator.post("/v1/merchants", data=io.BytesIO(b" " * 1_048_577), headers=headers)
    unknown = await api.operator.post("/v1/merchants", data=chunks(), headers=headers)
    assert (known.status, known.code) == (413, "body_too_large")
    assert (unknown.status, unknown.code) == (413, "body_too_large")


async def test_unknown_and_mistyped_members_are_named_by_pointer(api: Api) -> None:
    answer = await api.operator.post("/v1/merchants", {**a_merchant(name=5), "merchant_id": 7})
    assert answer.status == 422
    assert {error["pointer"] for error in answer.body["errors"]} == {"/name", "/merchant_id"}
    assert answer.body["type"] == "/problems/invalid"
    page = await api.anybody.get(answer.body["type"])
    assert page.status == 200
    assert "422" in page.body


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=1&limit=2", "unknown=1", "tag=%00", "tag=%ff", "msisdn=x"],
)
async def test_an_odd_query_is_refused(api: Api, query: str) -> None:
    merchant = await api.merchant()
    assert (await merchant.get(f"/v1/subscribers?{query}")).status == 422


async def test_unknown_routes_and_methods_are_problems_too(api: Api) -> None:
    lost = await api.anybody.get("/v1/nothing")
    assert (lost.status, lost.code) == (404, "not_found")
    method = await api.anybody.call("PUT", "/v1/subscribers")
    assert (method.status, method.code) == (405, "method_not_allowed")
    assert set(method.headers["Allow"].split(",")) == {"GET", "POST"}
    assert method.body["request_id"] == method.headers["X-Request-Id"]


async def test_a_request_id_of_safe_characters_is_taken_over(api: Api) -> None:
    taken = await api.anybody.get("/healthz", headers={"X-Request-Id": "shop-1:42"})
    made = await api.anybody.get("/healthz", headers={"X-Request-Id": "a b<script>"})
    assert taken.headers["X-Request-Id"] == "shop-1:42"
    assert re.fullmatch(r"req_[0-9a-f]{24}", made.headers["X-Request-Id"])


# ---------------------------------------------------------------------- idempotency


async def test_the_same_request_under_one_key_is_done_once(api: Api) -> None:
    merchant = await api.merchant()
    headers = {"Idempotency-Key": '"abc-1"'}
    first = await merchant.post("/v1/subscribers", {"msisdn": NUMBER}, headers=headers)
    again = await merchant.post("/v1/subscribers", {"msisdn": NUMBER}, headers={"Idempotency-Key": "abc-1"})
    assert first.status == again.status == 201
    assert first.body == again.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers


async def test_a_refusal_is_repeated_as_well(api: Api) -> None:
    merchant = await api.merchant()
    headers = {"Idempotency-Key": "k"}
    first = await merchant.post("/v1/subscribers", {"msisdn": "12"}, headers=headers)
    again = await merchant.post("/v1/subscribers", {"msisdn": "12"}, headers=headers)
    assert first.status == again.status == 422
    assert again.headers["Content-Type"] == "application/problem+json"
    assert again.body == first.body


async def test_another_request_under_the_same_key_is_refused(api: Api) -> None:
    merchant = await api.merchant()
    headers = {"Idempotency-Key": "k"}
    await merchant.post("/v1/subscribers", {"msisdn": NUMBER}, headers=headers)
    other = await merchant.post("/v1/subscribers", {"msisdn": "+33639980013"}, headers=headers)
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    elsewhere = await merchant.post("/v1/consents", {"msisdn": NUMBER}, headers=headers)
    assert elsewhere.status == 422


async def test_a_hundred_at_once_under_one_key_make_one_subscriber(api: Api) -> None:
    merchant = await api.merchant()
    headers = {"Idempotency-Key": "k"}
    answers = await asyncio.gather(
        *(merchant.post("/v1/subscribers", {"msisdn": NUMBER}, headers=headers) for _ in range(30))
    )
    made = {answer.body["id"] for answer in answers if answer.status == 201}
    assert len(made) == 1
    assert {answer.status for answer in answers} <= {201, 409}
    assert {answer.code for answer in answers if answer.status == 409} <= {"idempotency_in_flight"}


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, 'a"b'])
async def test_a_malformed_key_is_refused(api: Api, key: str) -> None:
    merchant = await api.merchant()
    answer = await merchant.post("/v1/subscribers", {"msisdn": NUMBER}, headers={"Idempotency-Key": key})
    assert (answer.status, answer.code) == (400, "idempotency_key_invalid")


async def test_the_key_of_a_process_that_died_is_free_again_after_a_while(
    api: Api, database: Database
) -> None:
    merchant = await api.merchant()
    owner = api.context.public_ids.decode(Kind.MERCHANT, merchant.merchant_id)
    headers = {"Idempotency-Key": "k"}
    async with database.transaction(owner) as connection:
        await connection.execute(
            "INSERT INTO idempotency_key (merchant_id, key, fingerprint) VALUES ($1, 'k', '')", owner
        )
    held = await merchant.post("/v1/subscribers", {"msisdn": NUMBER}, headers=headers)
    assert (held.status, held.code) == (409, "idempotency_in_flight")
    async with database.transaction(owner) as connection:
        await connection.execute("UPDATE idempotency_key SET abandoned_at = abandoned_at - interval '121 s'")
    assert (await merchant.post("/v1/subscribers", {"msisdn": NUMBER}, headers=headers)).status == 201


# ---------------------------------------------------------------------- pages


async def test_pages_walk_forward_and_back_without_loss_or_repetition(api: Api) -> None:
    merchant = await api.merchant()
    made: list[str] = []
    for n in range(5):
        answer = await merchant.post("/v1/subscribers", {"msisdn": f"+3363998001{n}"})
        made.insert(0, answer.body["id"])
    seen, path = [], "/v1/subscribers?limit=2"
    while path:
        page = await merchant.get(path)
        seen += [one["id"] for one in page.body["data"]]
        links = dict(
            reversed(found) for found in re.findall(r'<([^>]+)>; rel="(\w+)"', page.headers.get("Link", ""))
        )
        assert page.body["has_more"] == ("next" in links)
        path = links.get("next", "")
    assert seen == made
    back = await merchant.get(f"/v1/subscribers?limit=2&ending_before={made[4]}")
    assert [one["id"] for one in back.body["data"]] == made[2:4]
    assert back.body["has_more"] is True
    both = await merchant.get(f"/v1/subscribers?starting_after={made[0]}&ending_before={made[1]}")
    assert (both.status, both.code) == (422, "invalid")


async def test_a_cursor_that_is_no_object_is_refused(api: Api) -> None:
    merchant = await api.merchant()
    answer = await merchant.get("/v1/subscribers?starting_after=sub_nothing")
    assert (answer.status, answer.code) == (422, "cursor_unknown")


# ---------------------------------------------------------------------- connections


async def test_silent_half_and_idle_connections_are_closed_on_their_deadline(database: Database) -> None:
    context = a_context(database, header_timeout_s=0.3, idle_timeout_s=0.3)
    async with running(context) as api:
        for octets in (
            b"",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", api.serving.port)
            writer.write(octets)
            async with asyncio.timeout(5):
                assert (await reader.read()).startswith(
                    b"HTTP/1.1 200" if octets.endswith(b"\r\n\r\n") else b""
                )
            writer.close()
        assert api.serving.connections.total <= 1


async def test_a_body_that_does_not_come_is_answered_408(database: Database) -> None:
    async with running(a_context(database, body_timeout_s=0.3)) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.serving.port)
        writer.write(
            b"POST /v1/merchants HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + str(api.operator.key).encode() + b"\r\nContent-Length: 100\r\n\r\n{"
        )
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408")
        writer.close()
        await writer.wait_closed()


async def test_one_source_gets_so_many_connections_and_no_more(database: Database) -> None:
    async with running(a_context(database, connections_per_source_max=3)) as api:
        opened = [await asyncio.open_connection("127.0.0.1", api.serving.port) for _ in range(4)]
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await opened[3][0].read() == b""
        assert api.serving.connections.refused == 1
        for _, writer in opened:
            writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/consents HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /v1/consents HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: x\n\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    ],
)
async def test_ambiguous_http_is_refused_and_the_connection_closed(api: Api, head: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.serving.port)
    writer.write(head)
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400", b"HTTP/1.1 401")), answer[:200]
    writer.close()


async def test_the_client_behind_a_trusted_proxy_is_the_last_hop_that_is_none(database: Database) -> None:
    from ipaddress import ip_network

    context = a_context(database, trusted_proxies=(ip_network("127.0.0.0/8"),), wrong_keys_per_s=1)
    async with running(context) as api:

        async def guess(forwarded: str) -> int:
            caller = api.with_key("wrong")
            return (await caller.get("/v1/subscribers", headers={"X-Forwarded-For": forwarded})).status

        assert await guess("192.0.2.1") == 401
        assert await guess("192.0.2.2") == 401
        assert await guess("8.8.8.8, 192.0.2.2, 127.0.0.5") == 429


# ---------------------------------------------------------------------- failures of ours


async def test_a_database_that_is_away_is_503_with_retry_after(database: Database) -> None:
    from smsgate.errors import StoreUnavailable

    class Away(PgApiKeys):
        async def find(self, public_id: str) -> Principal | None:
            raise StoreUnavailable("connection to 10.0.0.5 refused")

    context = a_context(database)
    async with running(context) as api:
        context.api_keys = Away(database)
        from smsgate.api.app import build_app
        from smsgate.api.serving import serve

        context.metrics = type(context.metrics)()
        serving = await serve(build_app(context), "127.0.0.1", 0)
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {api.operator.key}"}
            async with session.get(f"http://127.0.0.1:{serving.port}/v1/carriers", headers=headers) as answer:
                assert answer.status == 503
                assert answer.headers["Retry-After"] == "2"
                text = await answer.text()
        await serving.stop()
        assert "10.0.0.5" not in text


async def test_an_error_of_ours_shows_no_inside(database: Database) -> None:
    class Broken(PgApiKeys):
        async def list(self, *_: Any) -> Any:
            raise RuntimeError("secret inside")

    context = a_context(database)
    async with running(context) as api:
        merchant = await api.merchant()
        context.api_keys = Broken(database)
        answer = await api.operator.get(f"/v1/merchants/{merchant.merchant_id}/api_keys")
        assert (answer.status, answer.code) == (500, "internal")
        assert "secret inside" not in json.dumps(answer.body)
        assert MAC_KEY.hex() not in json.dumps(answer.body)
