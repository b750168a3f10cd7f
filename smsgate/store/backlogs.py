"""How much waits in the database for its other half, for the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsgate.store.catalogue import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsgate.store.pool import Database

_SQL: Final = load("backlogs")
COUNTED_MAX: Final = 100_000  # rows of one table and carrier; more is as alarming, and slower to count


class StoredBacklogs:
    def __init__(self, database: Database) -> None:
        self._database = database
        # By (carrier's name, kind) what waited at the last look; kinds are receipts_unmatched and mo_parts.
        self.found: dict[tuple[str, ...], int] = {}

    async def look(self, carriers: Iterable[tuple[int, str]]) -> None:
        found: dict[tuple[str, ...], int] = {}
        async with self._database.bulk() as connection:
            for carrier_id, name in carriers:
                row = await connection.fetchrow(_SQL["waiting"], carrier_id, COUNTED_MAX)
                assert row is not None
                found.update({(name, kind): int(count) for kind, count in row.items()})
        self.found = found
