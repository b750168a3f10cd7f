"""Charged messages of a merchant's month, streamed in the order of acceptance from one snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from smsgate.billing.periods import Month
from smsgate.flows.events import first_id_of
from smsgate.flows.exporting import ChargedMessage, Contradiction, LedgerSum, ReceivedMessage, Recorded
from smsgate.protocol.receipt_states import FINAL
from smsgate.store.catalogue import load
from smsgate.store.closing import first_day
from smsgate.store.connection import Connection
from smsgate.store.pool import Database

_SQL: Final = load("usage_records")
_CONTRADICTIONS: Final = load("contradictions")
BATCH_ROWS: Final = 2_000  # some 1 MB of Python objects at once
_FINALS: Final = sorted(FINAL)


class PgUsageSnapshot:
    """Implements `exporting.UsageSnapshot`."""

    def __init__(
        self, connection: Connection, merchant_id: int, starts_at: datetime, ends_at: datetime
    ) -> None:
        self._connection = connection
        self._span = (merchant_id, starts_at, ends_at)

    async def charged(self, currency: str) -> AsyncIterator[Sequence[ChargedMessage]]:
        merchant_id, starts_at, ends_at = self._span
        cursor = await self._connection.cursor(
            _SQL["charged_messages"],
            merchant_id,
            first_id_of(starts_at),
            first_id_of(ends_at),
            currency,
            _FINALS,
        )
        while rows := await cursor.fetch(BATCH_ROWS):
            yield [ChargedMessage(*row) for row in rows]

    async def received(self, currency: str) -> AsyncIterator[Sequence[ReceivedMessage]]:
        cursor = await self._connection.cursor(_SQL["received_messages"], *self._span, currency)
        while rows := await cursor.fetch(BATCH_ROWS):
            yield [ReceivedMessage(*row) for row in rows]

    async def ledger(self, currency: str, recorded: Recorded | None = None) -> Sequence[LedgerSum]:
        before, instants = (None, ()) if recorded is None else recorded
        rows = await self._connection.fetch(_SQL["ledger_sums"], *self._span, currency, before, instants)
        return [LedgerSum(*row) for row in rows]

    async def recorded_since(self, currency: str, since: datetime) -> Sequence[datetime]:
        rows = await self._connection.fetch(_SQL["recorded_since"], *self._span, currency, since)
        return [row["at"] for row in rows]

    async def billed(self, currency: str, month: Month, recorded: Recorded) -> Mapping[str, tuple[int, int]]:
        rows = await self._connection.fetch(
            _SQL["billed_sums"], *self._span, currency, first_day(month), recorded.before, recorded.instants
        )
        return {row["direction"]: (row["segments"], row["amount_micros"]) for row in rows}

    async def contradictions(self, limit: int) -> tuple[int, Sequence[Contradiction]]:
        merchant_id, starts_at, ends_at = self._span
        rows = await self._connection.fetch(
            _CONTRADICTIONS["of_month"],
            merchant_id,
            first_id_of(starts_at),
            first_id_of(ends_at),
            _FINALS,
            limit,
        )
        return (rows[0]["found"] if rows else 0), [Contradiction(*row[:4]) for row in map(tuple, rows)]


class PgUsageRecords:
    """Implements `exporting.UsageRecordStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def snapshot(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime
    ) -> AsyncIterator[PgUsageSnapshot]:
        async with self._database.report() as connection:
            yield PgUsageSnapshot(connection, merchant_id, starts_at, ends_at)
