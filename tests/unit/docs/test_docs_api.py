"""docs/api.md says what the code does: problem types, routes, events and scopes are held to the tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from smsgate.api.problems import ProblemType
from smsgate.api.table import PROBLEMS, ROUTES
from smsgate.flows.commerce_records import EVENT_TYPES
from smsgate.security.api_keys import MERCHANT_SCOPES

PAGE: Final = Path(__file__).parents[3] / "docs" / "api.md"
BEGIN: Final = "<!-- problems: checked by tests/unit/docs; it prints the table when this one is old -->\n"
END: Final = "<!-- problems end -->"
BLOCK: Final = re.compile(r"```bash\n(.*?)```", re.DOTALL)
CALL: Final = re.compile(
    r"curl -sS(?: -X (?P<method>[A-Z]+))? \"\$SMSGATE_URL(?P<path>/[^\"?]*)[^\"]*\"(?P<rest>[^|]*)"
)


def problem_table() -> str:
    """Return the table as the page must have it: by status, then by code; each code once."""
    known: dict[str, ProblemType] = {}
    for problem in PROBLEMS:
        known.setdefault(problem.code, problem)
    rows = [
        f"| {problem.status} | `{problem.code}` | {problem.title} | {problem.text} |\n"
        for problem in sorted(known.values(), key=lambda problem: (problem.status, problem.code))
    ]
    return "".join(["| status | code | title | what to do |\n", "|---|---|---|---|\n", *rows])


def calls() -> list[tuple[str, str]]:
    found = []
    for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        for match in CALL.finditer(block):
            posts = " -d " in match["rest"] or " --data-binary " in match["rest"]
            found.append((match["method"] or ("POST" if posts else "GET"), match["path"]))
    return found


def test_the_table_of_problem_types_is_the_codes_own() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = page.split(BEGIN, 1)[1].split(END, 1)[0]
    assert table == problem_table(), f"put this between the two marks:\n{problem_table()}"


def test_the_page_shows_more_than_twenty_calls() -> None:
    assert len(calls()) > 20


@pytest.mark.parametrize(("method", "path"), sorted(set(calls())))
def test_every_call_of_the_page_has_a_route(method: str, path: str) -> None:
    """Shell variables stand for ids; a route's `{name}` takes one step of the path."""
    asked = path.split("/")
    assert any(
        route.method == method
        and len(asked) == len(steps := route.path.split("/"))
        and all(
            re.fullmatch(r"[^/]+".join(map(re.escape, re.split(r"\{[a-z_]+\}", step))), part)
            for step, part in zip(steps, asked, strict=True)
        )
        for route in ROUTES
    )


def test_every_event_type_is_explained_and_no_other() -> None:
    section = PAGE.read_text(encoding="utf-8").split("| type | subject | when |\n", 1)[1].split("\n\n", 1)[0]
    cells = [line.split("|")[1] for line in section.splitlines()[1:]]
    assert sorted(re.findall(r"`([a-z_.]+)`", " ".join(cells))) == sorted(EVENT_TYPES)


def test_every_scope_of_a_merchant_is_explained_and_no_other() -> None:
    section = PAGE.read_text(encoding="utf-8").split("| scope | allows |\n", 1)[1].split("\n\n", 1)[0]
    cells = [line.split("|")[1] for line in section.splitlines()[1:]]
    assert sorted(re.findall(r"`([a-z_.]+)`", " ".join(cells))) == sorted(MERCHANT_SCOPES)
