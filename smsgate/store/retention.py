"""What merchants chose to keep for how long, and how old the oldest row of each rule is."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Final

from smsgate.campaigns.retention import By, Rule, check_choice
from smsgate.store import partitions
from smsgate.store.catalogue import load
from smsgate.store.housekeeping import OF_REPLIES

if TYPE_CHECKING:
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

_SQL: Final = load("retention")


class PgRetention:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def choose(self, merchant_id: int, rule: str, days: int, now: datetime) -> None:
        """
        Keep what a rule is about for so long, of one merchant.

        Raises:
            Invalid: code `retention_not_allowed`.
        """
        check_choice(rule, days)
        async with self._database.bulk() as connection:
            await connection.execute(_SQL["choose"], merchant_id, rule, days, now)

    async def unchoose(self, merchant_id: int, rule: str) -> bool:
        """Go back to the rule's own time; return whether another was chosen."""
        async with self._database.bulk() as connection:
            return bool(await connection.fetch(_SQL["unchoose"], merchant_id, rule))

    async def chosen(self) -> list[tuple[str, str, int]]:
        """Return rule, slug and days of every choice."""
        async with self._database.bulk() as connection:
            return [(row["rule"], row["slug"], row["days"]) for row in await connection.fetch(_SQL["chosen"])]

    async def oldest(self, rule: Rule) -> datetime | None:
        """Return since when the oldest row is kept that a rule is about; None: there is none, or no table."""
        async with self._database.control() as connection:
            if rule.by is By.DAYS:
                days = [await _oldest_day(connection, table) for table in rule.tables]
                return min(filter(None, days), default=None)
            if not rule.tables:
                return None
            found: datetime | None
            if rule.id in OF_REPLIES:
                found = await connection.fetchval(_SQL["oldest_reply"], rule.id)
            else:
                found = await connection.fetchval(_SQL[f"oldest_{rule.id}"])
            return found


async def _oldest_day(connection: Connection, table: str) -> datetime | None:
    for _, day in await partitions.existing(connection, table):
        if await connection.fetchval(_SQL[f"has_{table}"], *partitions.borders(day)):
            return datetime.combine(day, time(), UTC)
    return None
