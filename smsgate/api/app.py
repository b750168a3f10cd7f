"""The web application: the table of routes on aiohttp, request ids, one log line and one metric a request."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter, Histogram

from smsgate.api.app_keys import AUTHENTICATOR
from smsgate.api.auth import Authenticator
from smsgate.api.buckets import Buckets
from smsgate.api.context import CONTEXT, ApiContext
from smsgate.api.endpoint import PRINCIPAL, Gate, endpoint
from smsgate.api.endpoint_headers import REQUEST_ID
from smsgate.api.problems import Problems
from smsgate.api.serving import connection_of
from smsgate.api.table import PROBLEMS, ROUTES

REQUEST_ID_FORM: Final = re.compile(r"[A-Za-z0-9_.:+/=-]{1,64}")
# Monitors ask these every few seconds: their lines would hide the others.
QUIET_PATHS: Final = frozenset({"/healthz", "/livez", "/readyz", "/metrics"})
_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_log = structlog.get_logger("smsgate.api")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(context: ApiContext) -> web.Application:
    """Return the application; serve it with `smsgate.api.serving.serve`."""
    problems = Problems(PROBLEMS)
    settings = context.settings
    authenticator = Authenticator(context.api_keys, context.key_mac_key, context.clock, settings)
    gate = Gate(context, authenticator, Buckets(settings.requests_per_s), problems)
    app = web.Application(middlewares=[_around(gate, context.metrics)])
    app[CONTEXT] = context
    app[AUTHENTICATOR] = authenticator
    for route in ROUTES:
        app.router.add_route(route.method, route.path, endpoint(gate, route))
    return app


def _around(gate: Gate, registry: CollectorRegistry) -> Middleware:
    requests = Counter(
        "smsgate_http_requests", "HTTP requests.", ["method", "route", "status"], registry=registry
    )
    seconds = Histogram(
        "smsgate_http_request_seconds", "Time to answer.", ["route"], registry=registry, buckets=_BUCKETS_S
    )
    clock = gate.context.clock

    @cache  # as many as there are series
    def counted(method: str, route: str, status: int) -> Counter:
        return requests.labels(method, route, str(status))

    @cache
    def timed(route: str) -> Histogram:
        return seconds.labels(route)

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-Id")
        request_id = given if given and REQUEST_ID_FORM.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        request[REQUEST_ID] = request_id
        connection = connection_of(request)
        if connection is not None:
            connection.request_began()
        started = clock.monotonic()
        try:
            response = await handler(request)
        except Exception as exc:  # noqa: BLE001  # no route, wrong method; endpoints translate their own
            response = gate.problems.answer(gate.problems.of(exc, request_id), request_id)
        finally:
            if connection is not None:
                connection.request_ended()
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
            response.headers["Server"] = "smsgate"  # aiohttp would tell its version and Python's
        route, method = _route_of(request), _method_of(request)
        elapsed_s = clock.monotonic() - started
        counted(method, route, response.status).inc()
        timed(route).observe(elapsed_s)
        if route not in QUIET_PATHS and response.status not in {
            401,
            429,
        }:  # floods of these have their own line
            principal = request.get(PRINCIPAL)
            _log.info(
                "http_request",
                request_id=request_id,
                method=method,
                route=route,
                status=response.status,
                key=principal.public_id if principal is not None else None,
                ms=round(elapsed_s * 1000, 1),
            )
        return response

    return around


def _route_of(request: web.Request) -> str:
    """Return the route's pattern: paths as they came would make endless metrics."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def _method_of(request: web.Request) -> str:
    return (
        request.method
        if request.method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
        else "other"
    )
