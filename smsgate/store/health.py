"""Whether the database serves: reachable, and with the schema of this code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsgate.errors import StoreNotReady
from smsgate.store import migrate

if TYPE_CHECKING:
    from smsgate.store.pool import Database


class PgHealth:
    """Implements `ports_api.HealthStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def problem(self) -> str:
        try:
            async with self._database.api() as connection:
                await migrate.check(connection)
        except StoreNotReady as exc:
            return str(exc)
        return ""
