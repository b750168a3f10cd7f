"""
What is around each request: its id, its place in its connection's deadlines, one metric, its log line.

It stands before aiohttp's router, so that a route which many thousands a second ask for (`Route.direct`)
needs none of the router's steps.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Final, NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from smsgate.api.connections import connection_of
from smsgate.api.endpoint import PRINCIPAL, Endpoint, Gate
from smsgate.api.endpoint_headers import REQUEST_ID
from smsgate.api.request_lines import RequestLine, RequestLines

REQUEST_ID_FORM: Final = re.compile(r"[A-Za-z0-9_.:+/=-]{1,64}")
# Monitors ask these every few seconds: their lines would hide the others.
QUIET_PATHS: Final = frozenset({"/healthz", "/livez", "/readyz", "/metrics"})
QUIET_STATUSES: Final = frozenset({401, 429})  # floods of these have their own line
_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Direct(NamedTuple):
    """A POST of one id at the end of its path, which is found without the router and its table."""

    prefix: str
    route: str
    serve: Endpoint


class Around:
    def __init__(self, gate: Gate, registry: CollectorRegistry, direct: Sequence[Direct]) -> None:
        requests = Counter(
            "smsgate_http_requests", "HTTP requests.", ["method", "route", "status"], registry=registry
        )
        seconds = Histogram(
            "smsgate_http_request_seconds",
            "Time to answer.",
            ["route"],
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self._problems = gate.problems
        self._monotonic = gate.context.clock.monotonic
        self._direct = direct
        self._lines = RequestLines()
        # As many as there are series.
        self._count = cache(lambda method, route, status: requests.labels(method, route, str(status)).inc)
        self._time = cache(lambda route: seconds.labels(route).observe)

    def of(self, router: Handler) -> Handler:
        """Return what serves each request: `router`, aiohttp's own, those that are not direct."""

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            assert isinstance(request, web.Request)  # as an application has them made
            given = request.headers.get("X-Request-Id")
            if given and REQUEST_ID_FORM.fullmatch(given):
                request_id = given
            else:
                request_id = f"req_{secrets.token_hex(12)}"
            request[REQUEST_ID] = request_id
            connection = connection_of(request)
            if connection is not None:
                connection.request_began()
            started = self._monotonic()
            direct, word = self._found(request)
            try:
                if direct is not None:
                    response = await direct.serve(request, {"id": word})
                else:
                    response = await router(request)
            except Exception as exc:  # noqa: BLE001  # no route, wrong method; endpoints translate their own
                response = self._problems.answer(self._problems.of(exc, request_id), request_id)
            finally:
                if connection is not None:
                    connection.request_ended()
            if not response.prepared:
                response.headers["X-Request-Id"] = request_id
                response.headers["Server"] = "smsgate"  # aiohttp would tell its version and Python's
            self._tell(request, direct, response.status, self._monotonic() - started)
            return response

        return serve

    def _found(self, request: web.Request) -> tuple[Direct | None, str]:
        """Return the direct route of a request and its id; None: the router knows."""
        if request.method == "POST":
            target = request.raw_path
            for direct in self._direct:
                if target.startswith(direct.prefix):
                    word = target[len(direct.prefix) :]
                    # Letters, digits, underscores: no query, no escape, no more of a path.
                    if word.isascii() and word.isidentifier() and "Expect" not in request.headers:
                        return direct, word
        return None, ""

    def _tell(self, request: web.Request, direct: Direct | None, status: int, elapsed_s: float) -> None:
        method, route = _method_of(request), direct.route if direct is not None else _route_of(request)
        self._count(method, route, status)()
        self._time(route)(elapsed_s)
        if status in QUIET_STATUSES or route in QUIET_PATHS:
            return
        principal = request.get(PRINCIPAL)
        key = principal.public_id if principal is not None else None
        line = RequestLine(request[REQUEST_ID], method, route, status, key, round(elapsed_s * 1000, 1))
        self._lines.tell(line, together=direct is not None and status < 300)


AROUND: Final = web.AppKey("around", Around)


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
