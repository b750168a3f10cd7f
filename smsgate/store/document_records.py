"""What closes billed, read from the ledger again (implements flows.document_exports.BookedStore)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from smsgate.billing.document_records import Booked
from smsgate.billing.vat import NO_RATE, Vat, VatHistory
from smsgate.errors import NotFound
from smsgate.flows.billing_records import DocumentRow
from smsgate.security.public_ids import Kind
from smsgate.store.advances import CLOCKS_APART
from smsgate.store.catalogue import load
from smsgate.store.closing import ALWAYS, first_day, month_of_day
from smsgate.store.pool import Database
from smsgate.store.profiles import billing_merchant

_SQL: Final = load("billing")
BATCH_ROWS: Final = 2_000


class PgDocumentRecords:
    """`name` writes an id for people."""

    def __init__(self, database: Database, name: Callable[[Kind, int], str]) -> None:
        self._database = database
        self._name = name

    async def booked(self, document: DocumentRow, *, outside: bool) -> AsyncIterator[Sequence[Booked]]:
        merchant_id = document.merchant_id
        async with self._database.report() as connection:
            merchant = await billing_merchant(connection, merchant_id)
            period = await connection.fetchrow(_SQL["period"], merchant_id, first_day(document.month))
            if period is None:
                raise NotFound(f"{document.month} is not closed")
            previous = period["previous_cut_at"] or ALWAYS
            vats = await connection.fetch(_SQL["merchant_vat"], merchant_id)
            taxed = VatHistory((row["valid_from"], Vat(row["category"], NO_RATE)) for row in vats)
            cursor = await connection.cursor(
                _SQL["booked_of_period"], merchant_id, min(period["starts_at"], previous) - CLOCKS_APART,
                period["cut_at"], period["starts_at"], period["ends_at"], previous, merchant.zone_name,
                document.currency,
            )  # fmt: skip
            while rows := await cursor.fetch(BATCH_ROWS):
                yield [
                    Booked(
                        item_id=row["item_id"],
                        origin=month_of_day(row["day"]),
                        accepted_at=row["accepted_at"],
                        recorded_from=row["recorded_from"],
                        recorded_to=row["recorded_to"],
                        direction=row["direction"],
                        campaign=row["external_id"] or self._campaign(row["campaign_id"]),
                        network=row["network"],
                        price_item=self._name(Kind.PRICE_ITEM, row["item_id"]),
                        messages=row["messages"],
                        segments=row["segments"],
                        unit_micros=row["unit_micros"],
                        amount_micros=row["amount_micros"],
                        tiered=row["tiered"],
                    )
                    for row in rows
                    if taxed.on(row["day"]).is_outside is outside
                ]

    def _campaign(self, campaign_id: int | None) -> str:
        return "" if campaign_id is None else self._name(Kind.CAMPAIGN, campaign_id)
