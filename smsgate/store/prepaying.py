"""Payments in advance and their documents (implements `flows.prepaying`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from smsgate.billing.advances import deductions_of
from smsgate.billing.invoices import invoice_from_json
from smsgate.billing.vat import Vat
from smsgate.errors import Conflict, NotFound
from smsgate.flows.billing_records import DocumentRow, Issue
from smsgate.flows.prepaying import Payment, RefundDraft, Unwritten
from smsgate.money import micros_per_minor, micros_to_text
from smsgate.store.advances import open_advances
from smsgate.store.budget_terms import NO_BUDGET
from smsgate.store.budgets import SQL, Locked
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.documents import document_row, write_documents
from smsgate.store.pool import Database
from smsgate.store.profiles import billing_merchant

_BILLING: Final = load("billing")


class PgPrepayments:
    """Implements `flows.prepaying.PrepaymentStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unwritten(self, merchant_id: int, limit: int) -> Unwritten | None:
        async with self._database.bulk_transaction() as connection:
            rows = await connection.fetch(SQL["payments_without_document"], merchant_id, limit)
            if not rows:
                return None
            merchant = await billing_merchant(connection, merchant_id)
            entries = await connection.fetch(_BILLING["merchant_vat"], merchant_id)
        return Unwritten(
            merchant=merchant,
            vat_entries=[(row["valid_from"], row["category"], row["rate_micros"]) for row in entries],
            currency=rows[0]["currency"],
            payments=[Payment(row["reference"], row["amount_micros"], row["at"]) for row in rows],
        )

    async def write_prepayment(self, issue: Issue, reference: str) -> DocumentRow:
        async with self._database.bulk_transaction() as connection:
            written = await connection.fetchval(SQL["lock_payment"], issue.merchant_id, reference)
            if written is None:
                (written,) = await write_documents(connection, issue)
                await connection.execute(SQL["payment_documented"], issue.merchant_id, reference, written)
            return await _row(connection, issue.merchant_id, written)


class PgPrepaid(PgPrepayments):
    """Implements `flows.prepaying.PrepaidStore`."""

    def __init__(self, database: Database, next_id: Callable[[], int]) -> None:
        super().__init__(database)
        self._next_id = next_id

    async def prepayment_of(self, merchant_id: int, reference: str) -> DocumentRow | None:
        async with self._database.bulk() as connection:
            found = await connection.fetchval(SQL["payment_document"], merchant_id, reference)
            return None if found is None else await _row(connection, merchant_id, found)

    async def refund_of(self, merchant_id: int, reference: str) -> list[DocumentRow]:
        async with self._database.bulk() as connection:
            return await _refunded(connection, merchant_id, reference)

    async def refund(self, issue: Issue, reference: str, make: RefundDraft) -> list[DocumentRow]:
        merchant_id = issue.merchant_id
        async with self._database.bulk_transaction() as connection:
            locked = await Locked.find(connection, merchant_id, issue.at)
            if locked is None:
                raise NotFound(NO_BUDGET)
            if written := await _refunded(connection, merchant_id, reference):
                return written  # by who held the budget before
            currency = locked.row["currency"]
            unbilled = await connection.fetchval(SQL["unbilled"], merchant_id, currency)
            if unbilled > 0:
                raise Conflict(
                    f"{micros_to_text(unbilled)} {currency} are used and on no document yet: close the month "
                    "first"
                )
            scale = micros_per_minor(currency)
            advances = await open_advances(connection, merchant_id, currency)
            left = max(0, locked.budget.balance_micros) // scale
            rows: list[DocumentRow] = []
            for part in deductions_of(advances, sum(each.left_minor for each in advances), left):
                advance_id = part.advance.document_id
                payload = await connection.fetchval(_BILLING["payload"], merchant_id, advance_id)
                invoice = invoice_from_json(bytes(payload))
                (vat,) = invoice.vats
                draft = make(invoice, Vat(vat.category, vat.rate_micros), part)
                ids = [self._next_id(), self._next_id()]
                one = replace(issue, drafts=[draft], ids=ids, credits_id=advance_id)
                (document_id,) = await write_documents(connection, one)
                rows.append(await _row(connection, merchant_id, document_id))
                if part.net_minor:
                    locked.budget = locked.budget.refunded(part.net_minor * scale)
            if rows:
                written_ids = [row.document_id for row in rows]
                await connection.execute(SQL["insert_refund"], merchant_id, reference, written_ids, issue.at)
            await locked.write()
        return rows


async def _refunded(connection: Connection, merchant_id: int, reference: str) -> list[DocumentRow]:
    written = await connection.fetchval(SQL["refund_documents"], merchant_id, reference)
    return [await _row(connection, merchant_id, document_id) for document_id in written or ()]


async def _row(connection: Connection, merchant_id: int, document_id: int) -> DocumentRow:
    row = await connection.fetchrow(_BILLING["document"], merchant_id, document_id)
    assert row is not None
    return document_row(row)
