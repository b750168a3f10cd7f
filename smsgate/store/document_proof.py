"""What the proof file of an invoice says of the books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from smsgate.billing.numbering import number_text
from smsgate.billing.periods import Month
from smsgate.errors import NotFound
from smsgate.flows.document_proof import BilledQuantity, Chained
from smsgate.store.advances import CLOCKS_APART
from smsgate.store.catalogue import load
from smsgate.store.closing import first_day, month_of_day
from smsgate.store.pool import Database

_SQL: Final = load("billing")


class PgDocumentProofs:
    """Implements `document_proof.DocumentProofStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def chained(self, merchant_id: int, document_id: int) -> Chained:
        async with self._database.report() as connection:
            row = await connection.fetchrow(_SQL["chained_document"], merchant_id, document_id)
        if row is None:
            raise NotFound
        return Chained(*map(bytes, row))

    async def billed(
        self, merchant_id: int, origins: Sequence[Month], item_ids: Sequence[int]
    ) -> Sequence[BilledQuantity]:
        async with self._database.report() as connection:
            rows = await connection.fetch(
                _SQL["billed_by_document"], merchant_id, [first_day(month) for month in origins], item_ids
            )
        return [
            BilledQuantity(
                number_text(row["series"], row["number"]),
                row["item_id"],
                month_of_day(row["origin"]),
                row["quantity"],
            )
            for row in rows
        ]

    async def charged(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime, item_ids: Sequence[int]
    ) -> dict[int, int]:
        async with self._database.report() as connection:
            rows = await connection.fetch(
                _SQL["charged_of_items"], merchant_id, starts_at, ends_at, starts_at - CLOCKS_APART, item_ids
            )
        return {row["item_id"]: row["segments"] for row in rows}
