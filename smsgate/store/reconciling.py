"""Carriers' rows and ours, joined by the database and streamed back; results, each file once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import asyncpg
import orjson

from smsgate.billing.bill_differences import Difference
from smsgate.billing.carrier_files import CarrierRecord
from smsgate.billing.periods import Month
from smsgate.billing.reconciliation import Verdict
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.events import first_id_of
from smsgate.flows.ports_api import OPERATOR
from smsgate.flows.reconciling import BillQuestion, BillResult, MatchRow, OurRow
from smsgate.protocol.receipt_states import FINAL
from smsgate.store.catalogue import load
from smsgate.store.closing import first_day, month_of_day
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database
from smsgate.store.usage import CLAIMED_BEFORE_SENT

_SQL: Final = load("reconciliation")
_FINALS: Final = sorted(FINAL)
BATCH_ROWS: Final = 2_000  # some 2 MB of Python objects at once
COPIED_ROWS: Final = 10_000
# Two clocks and two days of zones: what the carrier has at one end of its month, we may have beyond it.
BEYOND: Final = timedelta(days=2)
STATEMENT_S: Final = 3_600  # a month of some ten million rows is sorted twice


class PgReconciling:
    """Implements `reconciling.ReconcilingStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def carrier(self, name: str) -> int:
        async with self._database.bulk() as connection:
            found: int | None = await connection.fetchval(_SQL["carrier"], name)
        if found is None:
            raise NotFound(f"No carrier of the name {name!r} ever ran here.")
        return found

    async def match(
        self,
        question: BillQuestion,
        carrier_id: int,
        reconciliation_id: int,
        span: tuple[datetime, datetime],
        records: Iterable[CarrierRecord],
    ) -> AsyncIterator[Sequence[MatchRow]]:
        start, end = span[0] - BEYOND, span[1] + BEYOND
        async with self._database.bulk_transaction() as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_S}s'")
            await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{STATEMENT_S}s'")
            rows = iter(records)
            while batch := await asyncio.to_thread(list, islice(rows, COPIED_ROWS)):  # read beside the loop
                await connection.copy_records_to_table(
                    "carrier_record",
                    records=[(reconciliation_id, *record) for record in batch],
                    columns=[
                        "reconciliation_id", "place", "message_id", "at", "segments", "cost_micros",
                        "network",
                    ],
                )  # fmt: skip
            cursor = await connection.cursor(
                _SQL["pairs"], carrier_id, first_id_of(start - CLAIMED_BEFORE_SENT), first_id_of(end), start,
                end, question.currency, _FINALS, reconciliation_id,
            )  # fmt: skip
            while found := await cursor.fetch(BATCH_ROWS):
                yield [_match(row) for row in found]
            await connection.execute(_SQL["forget_records"], reconciliation_id)

    async def save(self, carrier_id: int, result: BillResult) -> int:
        month = first_day(result.month)
        async with self._database.bulk_transaction() as connection:
            made: int | None = await connection.fetchval(
                _SQL["insert"], result.reconciliation_id, carrier_id, month, result.zone_name,
                result.currency, result.by_message, result.file_name, result.file_sha256, result.file_rows,
                result.our_micros, result.invoiced_micros, result.allowed_micros, result.verdict.value,
                orjson.dumps(result.counts).decode(), result.created_at,
            )  # fmt: skip
            if made is None:
                known: int = await connection.fetchval(_SQL["find"], carrier_id, month, result.file_sha256)
                return known
            lines = result.lines
            await connection.execute(
                _SQL["insert_lines"], made, [line.network for line in lines],
                [line.our_unit for line in lines], [line.their_unit for line in lines],
                [line.our_segments for line in lines], [line.their_segments for line in lines],
                [line.our_micros for line in lines], [line.their_micros for line in lines],
            )  # fmt: skip
            return made

    async def page(self, ask: PageAsk) -> Page[BillResult]:
        async with self._database.api() as connection:
            rows, more = await page_rows(connection, _SQL["page"], OPERATOR, ask)
        return Page([_result(row) for row in rows], more)

    async def get(self, reconciliation_id: int) -> BillResult:
        async with self._database.api() as connection:
            row = await connection.fetchrow(_SQL["reconciliation"], reconciliation_id)
            if row is None:
                raise NotFound
            lines = await connection.fetch(_SQL["lines"], reconciliation_id)
        return replace(_result(row), lines=[Difference(*line) for line in lines])


def _match(row: asyncpg.Record) -> MatchRow:
    ours = theirs = None
    if row["message_id"] is not None:
        ours = OurRow(
            row["merchant_id"], row["message_id"], row["segment"], row["smsc_id"], row["sent_at"],
            row["segments"], row["cost_micros"], row["owed"], row["msisdn"] or 0, row["states"] or (),
            row["received_at"],
        )  # fmt: skip
    if row["place"] is not None:
        theirs = CarrierRecord(
            row["place"], row["id"], row["at"], row["their_segments"], row["their_micros"], row["network"]
        )
    return MatchRow(row["id"], ours, theirs)


def _result(row: asyncpg.Record) -> BillResult:
    month: Month = month_of_day(row["month"])
    return BillResult(
        row["reconciliation_id"], row["carrier"], month, row["zone"], row["currency"], row["by_message"],
        row["file_name"], row["file_sha256"], row["file_rows"], row["our_micros"], row["invoiced_micros"],
        row["allowed_micros"], Verdict(row["verdict"]), orjson.loads(row["counts"]), row["created_at"],
    )  # fmt: skip
