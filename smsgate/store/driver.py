"""The driver's connection, which asks what types are once for all connections."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, Final, NamedTuple

import asyncpg

# PostgreSQL: FirstUnpinnedObjectId. What is below is the same in all clusters of a major version.
FIRST_OWN_OID: Final = 12_000


class _NotAsked(NamedTuple):
    """In place of the statement that asked: it has a name, so it took no other one's place."""

    name: str = "known"


class TypedConnection(asyncpg.Connection):
    """
    A connection that knows the server's own types from those before it.

    Each connection of the driver asks for the arrays that its statements have, by a query that takes
    PostgreSQL milliseconds to plan: a process with 20 of them spent a quarter of a second of its start on
    that. The rows are the same in all databases of a major version. Where a version of the driver asks in
    another way, it asks each time.
    """

    _known: ClassVar[dict[tuple[int, frozenset[int]], Any]] = {}

    async def _introspect_types(self, typeoids: Collection[int], timeout: float | None) -> Any:  # noqa: ASYNC109
        asked = frozenset(typeoids)
        if max(asked, default=FIRST_OWN_OID) >= FIRST_OWN_OID:
            return await self._ask(typeoids, timeout)
        key = (self.get_server_version().major, asked)
        if key not in self._known:
            rows, _ = found = await self._ask(typeoids, timeout)
            self._known[key] = rows
            return found
        return self._known[key], _NotAsked()

    async def _ask(self, typeoids: Collection[int], timeout: float | None) -> Any:  # noqa: ASYNC109
        return await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]  # not in its stubs
