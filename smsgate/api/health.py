"""What monitors and readers ask without a key: life, readiness, metrics, problem pages, the document."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from smsgate.api.models import AnswerModel
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Reply, Route, Text
from smsgate.errors import NotFound, StoreError
from smsgate.version import VERSION

STORE_TIMEOUT_S: Final = 3.0  # a monitor's own time-out is usually 5 s
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})

PROBLEMS: Final = (ProblemType("not_ready", 503, "Not ready", "`detail` says what is missing."),)


class Health(AnswerModel):
    status: str
    detail: str = ""


class About(AnswerModel):
    name: str
    version: str
    documentation: str


async def live(call: Call) -> Answer:
    """Answering at all shows that the event loop turns; no database, no carrier is asked."""
    del call
    return Health(status="ok")


async def ready(call: Call) -> Answer:
    """Tell whether this node can serve. A carrier that is down makes no node unready: all would leave."""
    if call.context.draining():
        return Reply(Health(status="draining", detail="This node is stopping."), 503)
    if call.context.disk_full():
        return Reply(Health(status="unready", detail="The database's disk is nearly full."), 503)
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            problem = await call.context.health.problem()
    except (StoreError, TimeoutError):
        problem = "The database does not answer."
    if problem:
        return Reply(Health(status="unready", detail=problem), 503)
    return Health(status="ok")


async def metrics(call: Call) -> Answer:
    local = call.request.remote in LOOPBACK and "X-Forwarded-For" not in call.request.headers
    if not (local or call.context.settings.metrics_public):
        raise NotFound("There is no such route.")
    return Text(generate_latest(call.context.metrics), CONTENT_TYPE_LATEST)


async def about(call: Call) -> Answer:
    return About(name="smsgate", version=VERSION, documentation=call.context.settings.documentation)


async def problem_page(call: Call) -> Answer:
    from smsgate.api.table import PROBLEMS as ALL  # noqa: PLC0415  # the table holds this very route

    code = call.path_text("code")
    found = next((problem for problem in ALL if problem.code == code), None)
    if found is None:
        raise NotFound("There is no such problem type.")
    text = f"{found.title}\n\nstatus: {found.status}\ncode: {found.code}\n\n{found.text}\n"
    return Text(text.encode(), "text/plain; charset=utf-8")


async def document(call: Call) -> Answer:
    from smsgate.api.openapi import document_octets  # noqa: PLC0415  # as above

    del call
    return Text(document_octets(), "application/json")


MONITORED: Final = (  # all that a process without the role `api` answers
    Route("GET", "/healthz", live, "Alive", None, response=Health),
    Route("GET", "/livez", live, "Alive", None, response=Health),
    Route("GET", "/readyz", ready, "Ready to serve", None, response=Health, more_statuses=(503,)),
    Route("GET", "/metrics", metrics, "Prometheus metrics", None, media_type="text/plain"),
)

ROUTES: Final = (
    Route("GET", "/", about, "What this is and where its description is", None, response=About),
    *MONITORED,
    Route("GET", "/problems/{code}", problem_page, "What an error code means", None, media_type="text/plain"),
    Route("GET", "/v1/openapi.json", document, "This document", None, media_type="application/json"),
)
