"""
Prepaid accounts in documents: what closes deduct, the 386 of each payment, and what is paid back.

Whoever deducts or pays back holds the row of the merchant's budget, so no advance is deducted twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from smsgate.billing.advances import ADVANCES_MAX, Advance, PrepaidAccount
from smsgate.billing.budgets import Budget
from smsgate.billing.numbering import number_text
from smsgate.flows.billing_records import Period
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store.budgets import SQL, Locked, budget_of
from smsgate.store.connection import Connection

# An entry's `at` and `accepted_at` may be of two nodes' clocks: no index look-up needs to be closer.
CLOCKS_APART: Final = timedelta(days=1)


@dataclass(slots=True)
class PrepaidClose:
    """What the close of one month does with a merchant's prepaid account; its budget is locked."""

    locked: Locked
    account: PrepaidAccount
    charged_micros: int
    unbilled_micros: int

    @classmethod
    async def find(
        cls, connection: Connection, merchant_id: int, now: datetime, period: asyncpg.Record
    ) -> PrepaidClose | None:
        """Lock the account; None: the merchant has no budget. `period` is the month's row."""
        locked = await Locked.find(connection, merchant_id, now)
        if locked is None:
            return None
        currency = locked.row["currency"]
        charged, unbilled = await _charged_and_unbilled(
            connection, merchant_id, currency, period["starts_at"], period["ends_at"], period["cut_at"]
        )
        account = await _account(connection, merchant_id, currency, locked.budget, charged)
        return cls(locked, account, charged, unbilled)

    async def end(self) -> None:
        self.locked.budget = self.locked.budget.closed(
            self.account.drawn_micros,
            charged_micros=self.charged_micros,
            unbilled_micros=self.unbilled_micros,
        )
        await self.locked.write()


async def account_of(connection: Connection, period: Period) -> PrepaidAccount | None:
    """Return the account as a close of the month would find it, of one snapshot; nothing is locked."""
    merchant_id = period.merchant_id
    row = await connection.fetchrow(SQL["read_budget"], merchant_id)
    if row is None:
        return None
    charged, _unbilled = await _charged_and_unbilled(
        connection, merchant_id, row["currency"], period.starts_at, period.ends_at, period.cut_at
    )
    return await _account(connection, merchant_id, row["currency"], budget_of(row), charged)


async def _account(
    connection: Connection, merchant_id: int, currency: str, budget: Budget, charged_micros: int
) -> PrepaidAccount:
    advances = await open_advances(connection, merchant_id, currency)
    return PrepaidAccount(currency, budget.drawable_micros(charged_micros), advances)


async def _charged_and_unbilled(
    connection: Connection,
    merchant_id: int,
    currency: str,
    starts_at: datetime,
    ends_at: datetime,
    cut_at: datetime,
) -> tuple[int, int]:
    row = await connection.fetchrow(
        SQL["charged_and_unbilled"], merchant_id, currency, starts_at - CLOCKS_APART, ends_at, cut_at,
        sorted(FINAL), int(ReceiptState.DELIVRD),
    )  # fmt: skip
    assert row is not None
    return row["charged"], row["unbilled"]


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
