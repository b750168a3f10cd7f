"""Margins of a month, of one snapshot of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smsgate.billing.periods import Month
from smsgate.flows.margins import MarginRow
from smsgate.store.catalogue import load
from smsgate.store.closing import first_day
from smsgate.store.pool import Database

_SQL: Final = load("reconciliation")
_COLUMNS: Final = MarginRow._fields


class PgMargins:
    """Implements `margins.MarginStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def margins(self, month: Month, merchant_id: int | None, rows_max: int) -> Sequence[MarginRow]:
        async with self._database.report() as connection:
            rows = await connection.fetch(_SQL["margins"], first_day(month), merchant_id, rows_max)
        return [MarginRow(*(row[name] for name in _COLUMNS)) for row in rows]
