"""
Several statements of the catalogue as one: one way to the database and back.

Beside a campaign each statement waits for a turn of the loop, which takes milliseconds. Source:
docs/decisions/0062.

Each is a CTE of its own, so that it is planned as it is alone. All of them see one snapshot: none sees what
another writes, nor what was committed while one of them waited for a lock. In which order they are done is
not said: at most one of them locks rows that others want, and no two of them change one row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from smsgate.store.catalogue import without_comments
from smsgate.store.connection import Connection

Piece = tuple[str, tuple[str, ...]]  # a statement, and the columns of it that are read
MADE_MAX: Final = 256  # different ones: which writes a group has
_PARAMETER: Final = re.compile(r"\$(\d+)")
_CTE: Final = re.compile(
    r"\s*(\w+)(?:\s*\([^()]*\))?\s+AS\s+(?:(?:NOT\s+)?MATERIALIZED\s+)?\(", re.IGNORECASE
)
_WITH: Final = re.compile(r"\s*WITH\b", re.IGNORECASE)
_CHANGES: Final = re.compile(r"(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|[()]")


class Read:
    """What one of them returns, once they were run."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self.rows: Sequence[tuple[Any, ...]] = ()

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self._columns, row, strict=True)) for row in self.rows]


class Together:
    """Statements that are collected, and run as one."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._arguments: list[object] = []
        self._reads: list[Read] = []

    def read(self, sql: str, columns: Sequence[str], *arguments: object) -> Read:
        """Have these columns of it read: no arrays, for each comes as one."""
        self._pieces.append((sql, tuple(columns)))
        self._arguments += arguments
        found = Read(columns)
        self._reads.append(found)
        return found

    def write(self, sql: str, *arguments: object) -> None:
        self._pieces.append((sql, ()))
        self._arguments += arguments

    async def run(self, connection: Connection) -> None:
        """Run what was collected; nothing when there is none."""
        if not self._pieces:
            return
        if len(self._pieces) == 1:
            await self._run_alone(connection)
            return
        row = await connection.fetchrow(_made(tuple(self._pieces)), *self._arguments)
        place = 0
        for found, (_, names) in zip(self._reads, (each for each in self._pieces if each[1]), strict=True):
            assert row is not None
            arrays = row[place : place + len(names)]
            found.rows = list(zip(*arrays, strict=True)) if arrays[0] is not None else ()
            place += len(names)

    async def _run_alone(self, connection: Connection) -> None:
        ((sql, names),) = self._pieces
        rows = await connection.fetch(sql, *self._arguments)
        for found in self._reads:
            found.rows = [tuple(row[name] for name in names) for row in rows]


@lru_cache(MADE_MAX)
def _made(pieces: tuple[Piece, ...]) -> str:
    """Return the one statement that these are."""
    ctes, columns, froms, parameters = list[str](), list[str](), list[str](), 0
    for nth, (sql, names) in enumerate(pieces):
        text = without_comments(sql).strip()
        count = max((int(found) for found in _PARAMETER.findall(text)), default=0)
        text = _PARAMETER.sub(lambda match, past=parameters: f"${past + int(match[1])}", text)  # type: ignore[misc]
        parameters += count
        before, last = parted(text)
        ctes += [*before, f"piece_{nth} AS {'MATERIALIZED ' if names else ''}({last})"]
        if names:
            found = [f"array_agg({name}) AS read_{nth}_{name}" for name in names]
            froms.append(f"(SELECT {', '.join(found)} FROM piece_{nth}) AS of_{nth}")  # noqa: S608  # names of ours
            columns.append(f"of_{nth}.*")
        elif not _CHANGES.match(last):
            raise ValueError(f"nobody reads it, so PostgreSQL would not run it: {last}")
    names_of = [found[1] for found in map(_CTE.match, ctes) if found]
    if len(set(names_of)) < len(names_of):
        raise ValueError(f"two statements have a part of one name: {sorted(names_of)}")
    made = f"WITH {', '.join(ctes)} SELECT {', '.join(columns) or 1}"
    made += f" FROM {', '.join(froms)}" if froms else ""
    return made


def parted(sql: str) -> tuple[list[str], str]:
    """Return the CTEs that a statement begins with, and the rest: a change may stand at the top alone."""
    begins = _WITH.match(sql)
    if begins is None:
        return [], sql
    ctes, at, more = list[str](), begins.end(), True
    while more:
        begun = _CTE.match(sql, at)
        assert begun is not None, sql
        end = _closed(sql, begun.end())
        ctes.append(sql[at:end].strip())
        more = sql[end:].lstrip().startswith(",")
        at = sql.index(",", end) + 1 if more else end
    return ctes, sql[at:].strip()


def _closed(sql: str, at: int) -> int:
    """Return where the bracket is closed that was opened just before."""
    depth = 1
    for token in _TOKEN.finditer(sql, at):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth:
            return token.end()
    raise ValueError(f"a bracket is not closed: {sql}")
