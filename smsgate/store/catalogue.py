"""
The SQL catalogue: every statement of the store has a name and a scope and stands in `sql/*.sql`.

    -- name: claim_chunk
    -- scope: merchant
    UPDATE ...

A line `-- part: audience` stands for `sql/parts/audience.sql`: conditions that some statements share. Their
parameters have the same numbers in all of them.

The scope says which rows a statement concerns, hence where it may run on Citus: one `merchant`, one `msisdn`,
one carrier `account`, the `control` tables, or a `report` over everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Final

SCOPES: Final = frozenset({"merchant", "msisdn", "account", "control", "report"})
_NAME: Final = re.compile(r"^--\s*name:\s*(\S+)\s*$")
_SCOPE: Final = re.compile(r"^--\s*scope:\s*(\S+)\s*$")
_PART: Final = re.compile(r"^--\s*part:\s*(\S+)\s*$")
_VALID_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Statement:
    name: str
    scope: str
    sql: str


def _sql(file: str) -> str:
    return (files("smsgate.store") / "sql" / f"{file}.sql").read_text(encoding="utf-8")


def load(file: str) -> Mapping[str, str]:
    """Return the statements of `sql/<file>.sql` by name."""
    return MappingProxyType({statement.name: statement.sql for statement in parse(file, _sql(file))})


def load_all() -> Mapping[str, Statement]:
    """Return every statement of the catalogue as `file.name`."""
    catalogue: dict[str, Statement] = {}
    for path in sorted((files("smsgate.store") / "sql").iterdir(), key=lambda path: path.name):
        if path.name.endswith(".sql"):
            stem = path.name.removesuffix(".sql")
            for statement in parse(stem, _sql(stem)):
                catalogue[f"{stem}.{statement.name}"] = statement
    return catalogue


def parse(file: str, text: str) -> tuple[Statement, ...]:
    """
    Cut a catalogue file into its statements.

    Raises:
        ValueError: a statement without name, scope or text, a name twice, SQL before the first name, or a
            part that is not there.
    """
    statements = tuple(_statements(file, text))
    names = [statement.name for statement in statements]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{file}.sql: twice: {sorted(doubled)}")
    return statements


def _statements(file: str, text: str) -> Iterator[Statement]:
    name, scope, lines = "", "", list[str]()
    for line in text.splitlines():
        if match := _NAME.match(line):
            if name:
                yield _statement(file, name, scope, lines)
            name, scope, lines = match[1], "", []
        elif name and (match := _SCOPE.match(line)):
            scope = match[1]
        elif name and (match := _PART.match(line)):
            lines.append(_part(file, name, match[1]))
        elif name:
            lines.append(line)
        elif line.strip() and not line.startswith("--"):
            raise ValueError(f"{file}.sql: SQL before the first name: {line}")
    if name:
        yield _statement(file, name, scope, lines)


def _part(file: str, name: str, part: str) -> str:
    try:
        return _sql(f"parts/{part}").rstrip()
    except FileNotFoundError as exc:
        raise ValueError(f"{file}.sql: {name}: there is no part {part!r}") from exc


def _statement(file: str, name: str, scope: str, lines: list[str]) -> Statement:
    if not _VALID_NAME.fullmatch(name):
        raise ValueError(f"{file}.sql: {name!r} is no name")
    if scope not in SCOPES:
        raise ValueError(f"{file}.sql: {name}: scope is one of {sorted(SCOPES)}, not {scope!r}")
    sql = "\n".join(lines).strip().rstrip(";").rstrip()
    if not without_comments(sql).strip():
        raise ValueError(f"{file}.sql: {name}: no SQL")
    return Statement(name, scope, sql)


def without_comments(sql: str) -> str:
    """Return the statement without `--` and `/* */` comments; quotes keep what looks like one."""
    pattern = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\")|--[^\n]*|/\*.*?\*/", re.DOTALL)
    return pattern.sub(lambda match: match[1] or " ", sql)
