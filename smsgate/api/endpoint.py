"""What happens between the router and a handler, in one order for every route."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from smsgate.api.alive import SILENCE_MAX_S
from smsgate.api.auth import Authenticator, check_scope, source_of
from smsgate.api.body import BodyStream, check_media_type
from smsgate.api.buckets import Buckets
from smsgate.api.context import ApiContext
from smsgate.api.deadlines import Deadlines
from smsgate.api.endpoint_headers import NO_STORE, REQUEST_ID
from smsgate.api.idempotency import ABANDONED_AFTER_S, Outcome, is_uncertain, key_of, once
from smsgate.api.json_body import BODY_OCTETS_MAX, parse_json
from smsgate.api.problems import MEDIA_TYPE, Problems, Refusal
from smsgate.api.routing import JSON_MEDIA_TYPE, Answer, Body, Call, Reply, Route, Text
from smsgate.api.validation import no_such_member, validated
from smsgate.errors import StoreUnavailable
from smsgate.flows.ports_api import Principal
from smsgate.security.api_keys import Scope
from smsgate.security.request_fingerprint import fingerprint

PRINCIPAL: Final = web.RequestKey("principal", Principal)


@dataclass(slots=True)
class Gate:
    """What all endpoints share."""

    context: ApiContext
    authenticator: Authenticator
    limits: Buckets
    problems: Problems
    deadlines: Deadlines


# Takes a request, and what stands in the places of its path.
Endpoint = Callable[[web.Request, Mapping[str, str]], Awaitable[web.StreamResponse]]


def endpoint(gate: Gate, route: Route) -> Endpoint:
    """
    Return what answers requests of `route`.

    Order: key, scope, rate, query, headers of the body, body, model, idempotency, handler.
    """
    deadlines = gate.deadlines if route.handler_s is None else Deadlines(route.handler_s)

    async def serve(request: web.Request, path: Mapping[str, str]) -> web.StreamResponse:
        call = Call(gate.context, request, request[REQUEST_ID], None, path)
        try:
            if route.scope is not None:
                await _admit(gate, route, call)
            call.query = _read_query(route, request)
            body = await _read_body(route, call)
            key = key_of(request) if route.by_key else None
            if key is None:
                return await _run(deadlines, route, call)
            return await _run_once(gate, deadlines, route, call, key, body)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except Exception as exc:  # noqa: BLE001  # the one border: everything becomes a problem
            answer = gate.problems.answer(gate.problems.of(exc, call.request_id), call.request_id)
            return _with_headers(answer, call)

    return serve


async def _admit(gate: Gate, route: Route, call: Call) -> None:
    assert route.scope is not None
    source = source_of(call.request, gate.context)
    principal = await gate.authenticator.principal(call.request.headers.get("Authorization"), source)
    call.principal = principal
    call.request[PRINCIPAL] = principal
    drawn = gate.limits.take(principal.key_id, gate.context.clock.monotonic())
    rate = gate.limits.rate_per_s
    call.headers["RateLimit-Policy"] = f'"requests";q={rate};w=1'
    call.headers["RateLimit"] = f'"requests";r={drawn.remaining};t={drawn.retry_after_s or 1}'
    if not drawn.allowed:
        raise Refusal(
            "rate_limited",
            f"This key may make {rate} requests a second.",
            headers={"Retry-After": str(drawn.retry_after_s)},
        )
    check_scope(principal, route.scope)


def _read_query(route: Route, request: web.Request) -> BaseModel | None:
    if route.query is None and "?" not in request.raw_path:
        return None
    query = request.query
    if route.query is None:
        if query:
            raise Refusal("invalid", "This route takes no query.", errors=_unknown(query))
        return None
    values = dict(query)
    if len(values) != len(query):
        raise Refusal("invalid", "A name stands twice in the query.")
    if any("\0" in text for text in values.values()):
        raise Refusal("invalid", "A value of the query holds the character U+0000.")
    model = route.query
    return validated(model, lambda: model.model_validate(values))


def _unknown(names: object) -> list[dict[str, object]]:
    return [{"pointer": f"/{name}", "detail": no_such_member(str(name), ())} for name in list(names)[:10]]  # type: ignore[call-overload]


async def _read_body(route: Route, call: Call) -> BodyStream | None:
    """Read what the route takes into `call`; None: the request has no body that counts."""
    request = call.request
    if request.method in {"GET", "DELETE"}:
        return None
    if call.context.disk_full() and route.scope is not Scope.OPERATOR:  # who may have to make room
        raise StoreUnavailable("The database's disk is nearly full.")
    settings = call.context.settings
    takes = route.takes
    if takes is not Body.NONE or request.can_read_body:
        check_media_type(request, route.media_types)
    octets_max = settings.import_octets_max if takes is Body.STREAM else BODY_OCTETS_MAX
    body = BodyStream(request, octets_max, settings.body_timeout_s)
    if takes is Body.STREAM:
        call.stream = body.__aiter__()
        return body
    call.octets = await body.read()
    if takes is Body.JSON:
        assert route.request is not None
        parse_json(call.octets)
        model, octets = route.request, call.octets
        call.model = validated(model, lambda: model.model_validate_json(octets))
    elif takes is Body.NONE and call.octets.strip() and parse_json(call.octets) != {}:
        raise Refusal("invalid", "This route takes no body.")
    return body


async def _run(deadlines: Deadlines, route: Route, call: Call) -> web.StreamResponse:
    if route.takes is Body.STREAM or route.media_type != JSON_MEDIA_TYPE:
        answer = await route.handler(call)
    else:
        answer = await deadlines.run(route.handler(call))
    if isinstance(answer, web.StreamResponse):
        return answer
    return _with_headers(_plain(route, answer), call)


async def _run_once(
    gate: Gate, deadlines: Deadlines, route: Route, call: Call, key: str, body: BodyStream | None
) -> web.StreamResponse:
    request = call.request
    streams = route.takes is Body.STREAM

    async def run() -> Outcome:
        try:
            answer = await _run(deadlines, route, call)
        except Exception as exc:  # noqa: BLE001  # a refusal is an answer, too, and is kept
            problem = gate.problems.of(exc, call.request_id)
            call.headers.update(problem.headers)
            octets = gate.problems.octets(problem, call.request_id)
            # An import is done row by row, each once however often it comes: it may be sent again at once.
            return Outcome(problem.status, octets, uncertain=not streams and is_uncertain(exc))
        assert isinstance(answer, web.Response)
        assert isinstance(answer.body, bytes)
        return Outcome(answer.status, answer.body)

    async def final() -> bytes:
        if body is not None and streams:
            await body.drain()
            return fingerprint(request.method, request.raw_path, body.digest())
        return fingerprint(request.method, request.raw_path, call.octets)

    provisional = fingerprint(request.method, request.raw_path, b"") if streams else await final()
    outcome = await once(
        gate.context,
        call.key.owner_id,
        key,
        provisional,
        final=final,
        run=run,
        abandoned_s=SILENCE_MAX_S if streams else deadlines.seconds + ABANDONED_AFTER_S,
        streams=streams,
    )
    if outcome.replayed:
        call.headers["Idempotent-Replayed"] = "true"
    media_type = JSON_MEDIA_TYPE if outcome.status < 400 else MEDIA_TYPE
    response = web.Response(
        body=outcome.octets,
        status=outcome.status,
        headers={"Content-Type": media_type} if outcome.octets else {},
    )
    return _with_headers(response, call)


def _plain(route: Route, answer: Answer) -> web.Response:
    if answer is None:
        return web.Response(status=204, body=b"")
    if isinstance(answer, Text):
        return web.Response(
            body=answer.octets,
            status=answer.status,
            headers={**answer.headers, "Content-Type": answer.content_type},
        )
    model, status = (answer.model, answer.status) if isinstance(answer, Reply) else (answer, route.status)
    assert isinstance(model, BaseModel)
    return web.Response(
        body=model.model_dump_json().encode(), status=status, headers={"Content-Type": JSON_MEDIA_TYPE}
    )


def _with_headers(response: web.Response, call: Call) -> web.Response:
    if call.headers:
        response.headers.update(call.headers)
    response.headers.update(NO_STORE)
    return response
