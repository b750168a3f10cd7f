"""The web application: the table of routes on aiohttp."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from aiohttp import web

from smsgate.api.app_keys import AUTHENTICATOR
from smsgate.api.around import AROUND, Around, Direct
from smsgate.api.auth import Authenticator
from smsgate.api.buckets import Buckets
from smsgate.api.context import CONTEXT, ApiContext
from smsgate.api.deadlines import Deadlines
from smsgate.api.endpoint import Endpoint, Gate, endpoint
from smsgate.api.problems import Problems
from smsgate.api.routing import DIRECT_END, Route
from smsgate.api.table import PROBLEMS, ROUTES


def build_app(context: ApiContext, routes: Sequence[Route] = ROUTES) -> web.Application:
    """Return the application with these routes; serve it with `smsgate.api.serving.serve`."""
    problems = Problems(PROBLEMS)
    settings = context.settings
    authenticator = Authenticator(context.api_keys, context.key_mac_key, context.clock, settings)
    gate = Gate(
        context,
        authenticator,
        Buckets(settings.requests_per_s),
        problems,
        Deadlines(settings.handler_timeout_s),
    )
    app = web.Application()
    app[CONTEXT] = context
    app[AUTHENTICATOR] = authenticator
    endpoints = [endpoint(gate, route) for route in routes]
    for route, serve in zip(routes, endpoints, strict=True):
        app.router.add_route(route.method, route.path, partial(_resolved, serve))
    direct = [
        Direct(route.path.removesuffix(DIRECT_END), route.path, serve)
        for route, serve in zip(routes, endpoints, strict=True)
        if route.direct
    ]
    app[AROUND] = Around(gate, context.metrics, direct)
    return app


async def _resolved(serve: Endpoint, request: web.Request) -> web.StreamResponse:
    return await serve(request, request.match_info)
