"""Messages behind a line of an invoice."""

from __future__ import annotations

from typing import Final

import asyncpg

from smsgate.billing.numbering import number_text
from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.prices import Basis, Direction
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.events import first_id_of
from smsgate.flows.exporting import accepted_at_of
from smsgate.flows.line_messages import LineMessage, PricedItem
from smsgate.protocol.receipt_states import FINAL
from smsgate.store.advances import CLOCKS_APART
from smsgate.store.catalogue import load
from smsgate.store.closing import first_day
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database

_SQL: Final = load("line_messages")
_BILLING: Final = load("billing")
_FINALS: Final = sorted(FINAL)


class PgInvoiceLines:
    """Implements `line_messages.LineStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def item(self, merchant_id: int, item_id: int, month: Month) -> PricedItem:
        async with self._database.report() as connection:
            merchant = await connection.fetchrow(_BILLING["billing_merchant"], merchant_id)
            row = await connection.fetchrow(_BILLING["billing_items"], [item_id])
        if merchant is None or row is None:
            raise NotFound
        bounds = month_bounds(month, merchant["timezone"])
        return PricedItem(item_id, row["direction"], row["basis"] == Basis.DELIVERED.value, *bounds)

    async def counts(self, merchant_id: int, item: PricedItem, month: Month) -> tuple[int, dict[str, int]]:
        ids = [item.item_id]
        async with self._database.report() as connection:
            charged = await connection.fetchrow(
                _BILLING["charged_of_items"], merchant_id, item.starts_at, item.ends_at,
                item.starts_at - CLOCKS_APART, ids,
            )  # fmt: skip
            billed = await connection.fetch(
                _BILLING["billed_by_document"], merchant_id, [first_day(month)], ids
            )
        documents = {number_text(row["series"], row["number"]): row["quantity"] for row in billed}
        return 0 if charged is None else charged["segments"], documents

    async def page(self, merchant_id: int, item: PricedItem, ask: PageAsk) -> Page[LineMessage]:
        async with self._database.report() as connection:
            if item.direction == Direction.MO.value:
                rows, more = await page_rows(
                    connection, _SQL["replies_of_price"], merchant_id, ask, item.item_id, item.starts_at,
                    item.ends_at,
                )  # fmt: skip
            else:
                rows, more = await page_rows(
                    connection, _SQL["messages_of_price"], merchant_id, ask, item.item_id,
                    first_id_of(item.starts_at), first_id_of(item.ends_at), item.delivered, _FINALS,
                )  # fmt: skip
        return Page([_message(row) for row in rows], more)


def _message(row: asyncpg.Record) -> LineMessage:
    at = row.get("received_at") or accepted_at_of(row["page_id"])
    return LineMessage(row["page_id"], at, row["parts"], row["segments"], row["micros"])
