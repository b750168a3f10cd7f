"""The table of routes, the document made from it, and what monitors ask."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator import validate as validate_document

import smsgate
from smsgate.api.app import build_app
from smsgate.api.openapi import document, problem_codes
from smsgate.api.problems import COMMON, Problems
from smsgate.api.table import PROBLEMS, ROUTES
from smsgate.errors import Invalid, LinkError, StoreUnavailable, TextError
from smsgate.store.health import PgHealth
from smsgate.store.pool import Database
from tests.api.api_server import Api, a_context, running


async def test_the_router_holds_exactly_the_table(database: Database) -> None:
    app = build_app(a_context(database))
    routed = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    assert routed == {(route.method, route.path) for route in ROUTES}
    assert len(routed) == len(ROUTES)


async def test_the_served_document_is_valid_and_names_every_route(api: Api) -> None:
    answer = await api.anybody.get("/v1/openapi.json")
    assert answer.status == 200
    validate_document(answer.body, cls=OpenAPIV31SpecValidator)
    assert answer.body["openapi"].startswith("3.1")
    named = {(method.upper(), path) for path, item in answer.body["paths"].items() for method in item}
    assert named == {(route.method, route.path) for route in ROUTES}


def test_every_operation_has_a_name_of_its_own() -> None:
    made = document(ROUTES, PROBLEMS)
    names = [operation["operationId"] for item in made["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)


def test_every_problem_of_every_route_is_documented_with_one_status() -> None:
    known = Problems(PROBLEMS).types
    for route in ROUTES:
        for code in problem_codes(route):
            assert code in known, (route.path, code)
    assert {problem.code for problem in COMMON} <= set(known)


# What no caller of the API is told as a problem. As results of an import's rows:
OF_ROWS = {"row_invalid", "row_too_long"}
# By commands alone, of files and directories on the operator's machine, and of the node itself:
OF_COMMANDS = {
    "bench_failed", "ca_not_written", "carriers_would_be_removed", "case_invalid", "config_invalid", "cut",
    "demo_failed", "export_invalid", "export_too_large", "export_unavailable", "journal_refused",
    "listen_refused", "loop_died", "proof_refused", "rate_invalid", "records_incomplete",
    "retention_not_allowed", "reversal_refused", "tolerance_invalid", "usage",
}  # fmt: skip
# Between us and a peer; where one is about a message, the message's state tells it:
OF_LINKS = {
    "body_error", "carrier_refused", "carrier_unanswered", "framing_error", "link_down", "not_bound",
    "not_in_alphabet", "not_looked_up", "protocol_error", "window_full",
}  # fmt: skip
# Our own mistakes, or refused before it was stored; were one to reach the API, it is `internal` and logged:
OF_OURS = {
    "csv_invalid", "document_wrong", "field_missing", "field_too_long", "ledger_mismatch",
    "network_invalid", "refused", "seal_broken", "series_invalid", "store_refused", "text_invalid",
    "vat_invalid", "vat_unknown", "zone_unknown",
}  # fmt: skip


def codes_raised() -> set[str]:
    """Return every code that stands in the source: of a class of errors, or given with one."""
    found = set()
    for path in Path(smsgate.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            given: ast.expr | None = None
            match node:
                case ast.keyword(arg="code", value=value):
                    given = value
                case ast.Assign(targets=[ast.Name(id="code")], value=value):
                    given = value
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                found.add(given.value)
    return found


def test_every_code_that_is_raised_anywhere_is_documented_or_never_told() -> None:
    untold = [OF_ROWS, OF_COMMANDS, OF_LINKS, OF_OURS]
    documented, raised = set(Problems(PROBLEMS).types), codes_raised()
    assert len(raised) > 120
    for codes in untold:
        assert codes <= raised, codes - raised
        assert not codes & documented
    assert raised <= documented.union(*untold), raised - documented.union(*untold)


def test_a_code_that_stands_in_no_table_is_our_mistake() -> None:
    problems = Problems(PROBLEMS)
    for exc in (Invalid("12 is not 13", code="ledger_mismatch"), LinkError("gone"), TextError("half")):
        problem = problems.of(exc, "req_1")
        assert (problem.code, problem.status) == ("internal", 500)
        assert str(exc) not in problem.detail
    assert problems.of(Invalid("too long", code="external_id_taken"), "req_1").code == "external_id_taken"


async def test_every_problem_has_its_page(api: Api) -> None:
    for problem in PROBLEMS:
        page = await api.anybody.get(f"/problems/{problem.code}")
        assert page.status == 200
        assert page.headers["Content-Type"].startswith("text/plain")
    assert (await api.anybody.get("/problems/nonsense")).status == 404


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/"])
async def test_monitors_need_no_key(api: Api, path: str) -> None:
    answer = await api.anybody.get(path)
    assert answer.status == 200
    assert answer.headers["Server"] == "smsgate"


async def test_ready_says_why_not(database: Database) -> None:
    class Away(PgHealth):
        async def problem(self) -> str:
            raise StoreUnavailable("refused")

    context = a_context(database)
    draining = False
    full = False
    context.draining = lambda: draining
    context.disk_full = lambda: full
    async with running(context) as api:
        draining = True
        answer = await api.anybody.get("/readyz")
        assert (answer.status, answer.body["status"]) == (503, "draining")
        draining = False
        full = True
        answer = await api.anybody.get("/readyz")
        assert (answer.status, answer.body["status"]) == (503, "unready")
        assert "disk" in answer.body["detail"]
        refused = await api.anybody.post("/v1/triggers/trg_1", {})
        assert (refused.status, refused.body["code"]) == (503, "store_unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        full = False
        context.health = Away(database)
        answer = await api.anybody.get("/readyz")
        assert (answer.status, answer.body["status"]) == (503, "unready")
        assert (await api.anybody.get("/livez")).status == 200


async def test_an_older_schema_makes_the_node_unready(api: Api, database: Database) -> None:
    async with database.control() as connection:
        await connection.execute("DELETE FROM schema_migration")
    answer = await api.anybody.get("/readyz")
    assert answer.status == 503
    assert "migrate" in answer.body["detail"]


async def test_metrics_count_requests_by_pattern_and_not_by_path(api: Api) -> None:
    merchant = await api.merchant()
    for id_ in ("a", "b"):
        await merchant.get(f"/v1/subscribers/{id_}")
    await api.anybody.get("/no/such/route")
    text = (await api.anybody.get("/metrics")).body
    line = 'smsgate_http_requests_total{method="GET",route="/v1/subscribers/{id}",status="404"} 2.0'
    assert line in text
    assert 'route="none"' in text
    assert "/no/such/route" not in text


async def test_metrics_are_for_this_machine_unless_opened(api: Api) -> None:
    forwarded: dict[str, Any] = {"headers": {"X-Forwarded-For": "192.0.2.1"}}
    assert (await api.anybody.get("/metrics", **forwarded)).status == 404
