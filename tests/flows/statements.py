"""Which statements of the catalogue the pool of the bulk role runs, transaction by transaction."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, TypeAlias

from smsgate.store.catalogue import load_all, without_comments
from smsgate.store.pool import Database
from smsgate.store.together import parted

Statements: TypeAlias = list[tuple[str, ...]]  # of one transaction, each with its pieces
BULK_CONNECTIONS = 4  # of a test's database


def _plain(sql: str) -> str:
    return re.sub(r"\$\d+", "$", without_comments(sql).strip())


_LAST = {name: _plain(parted(without_comments(each.sql).strip())[1]) for name, each in load_all().items()}
_ALONE = {each.sql: name for name, each in load_all().items()}


@cache
def pieces_of(query: str) -> tuple[str, ...]:
    """Return the names of the statements that a query is, or was made of (smsgate.store.together)."""
    if query in _ALONE:
        return (_ALONE[query],)
    text = _plain(query)
    places = {text.find(f"({last})"): name for name, last in _LAST.items()}
    return tuple(places[place] for place in sorted(places) if place >= 0)


@asynccontextmanager
async def transactions(database: Database) -> AsyncIterator[list[Statements]]:
    """Note each transaction that was committed: its statements, in their order, each with its pieces."""
    found: list[Statements] = []
    async with AsyncExitStack() as stack:
        for _ in range(BULK_CONNECTIONS):
            connection = await stack.enter_async_context(database.bulk())
            connection.add_query_logger(_noting(found))
    yield found


@asynccontextmanager
async def statements(database: Database) -> AsyncIterator[list[str]]:
    """Note each statement of the catalogue, in a transaction of several or in one of its own."""
    found: list[str] = []
    async with AsyncExitStack() as stack:
        for _ in range(BULK_CONNECTIONS):
            connection = await stack.enter_async_context(database.bulk())
            connection.add_query_logger(lambda logged: found.extend(pieces_of(logged.query)))
    yield found


def _noting(found: list[Statements]) -> Any:
    under_way: Statements = []

    def note(logged: Any) -> None:
        if logged.query == "BEGIN;":
            under_way.clear()
        elif logged.query == "COMMIT;":
            found.append(list(under_way))
        elif pieces := pieces_of(logged.query):
            under_way.append(pieces)

    return note
