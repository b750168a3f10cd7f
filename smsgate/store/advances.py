"""
Prepaid accounts in documents: what closes deduct, the 386 of each payment, and what is paid back.

Whoever deducts or pays back holds the row of the merchant's budget, so no advance is deducted twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from smsgate.billing.advances import ADVANCES_MAX, Advance, deducting, deductions_of
from smsgate.billing.documents import DocumentType
from smsgate.billing.issuing import Draft
from smsgate.billing.numbering import number_text
from smsgate.money import micros_per_minor
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store.budgets import SQL, Locked
from smsgate.store.connection import Connection

# An entry's `at` and `accepted_at` may be of two nodes' clocks: no index look-up needs to be closer.
CLOCKS_APART: Final = timedelta(days=1)


@dataclass(slots=True)
class PrepaidClose:
    """What the close of one month does with a merchant's prepaid account; its budget is locked."""

    locked: Locked
    charged_micros: int
    unbilled_micros: int
    drawn_micros: int = 0

    @classmethod
    async def find(
        cls, connection: Connection, merchant_id: int, now: datetime, period: asyncpg.Record
    ) -> PrepaidClose | None:
        """Lock the account; None: the merchant has no budget. `period` is the month's row."""
        locked = await Locked.find(connection, merchant_id, now)
        if locked is None:
            return None
        row = await connection.fetchrow(
            SQL["charged_and_unbilled"], merchant_id, locked.row["currency"],
            period["starts_at"] - CLOCKS_APART, period["ends_at"], period["cut_at"], sorted(FINAL),
            int(ReceiptState.DELIVRD),
        )  # fmt: skip
        assert row is not None
        return cls(locked, row["charged"], row["unbilled"])

    async def deducting(self, draft: Draft) -> Draft:
        """Return the draft as it is issued: an invoice in the account's currency deducts what it can."""
        document, currency = draft.document, self.locked.row["currency"]
        if document.doc_type is not DocumentType.INVOICE or document.currency != currency:
            return draft
        scale = micros_per_minor(currency)
        left = self.locked.budget.drawable_micros(self.charged_micros) - self.drawn_micros
        found = await open_advances(self.locked.connection, self.locked.merchant_id, currency)
        parts = deductions_of(found, document.gross_minor, left // scale)
        self.drawn_micros += sum(part.net_minor for part in parts) * scale
        return deducting(draft, parts)

    async def end(self) -> None:
        self.locked.budget = self.locked.budget.closed(
            self.drawn_micros, charged_micros=self.charged_micros, unbilled_micros=self.unbilled_micros
        )
        await self.locked.write()


async def open_advances(connection: Connection, merchant_id: int, currency: str) -> list[Advance]:
    """Return the prepayment invoices of which something is left, oldest first."""
    rows = await connection.fetch(SQL["open_advances"], merchant_id, currency, ADVANCES_MAX)
    return [
        Advance(
            document_id=row["document_id"],
            number=number_text(row["series"], row["number"]),
            issued_on=row["issued_on"],
            net_minor=row["net_minor"],
            vat_minor=row["vat_minor"],
            used_gross_minor=row["used"],
        )
        for row in rows
    ]
