"""
Documents in the database: numbered, chained, written with their lines and postings in one transaction.

The row of the series is locked from the number to the commit, so numbers have no gaps and stand in the order
of commits. Nobody may change or delete a document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import asyncpg

from smsgate.billing.documents import DocumentType, Line
from smsgate.billing.invoices import canonical_json, check_invoice
from smsgate.billing.issuing import Draft
from smsgate.billing.numbering import number_text
from smsgate.billing.periods import Month
from smsgate.errors import NotFound
from smsgate.flows.billing_records import DocumentRow, Issue
from smsgate.flows.ledger import PostingLine
from smsgate.store.advances import PrepaidClose
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.flushing import insert_postings

_SQL: Final = load("billing")
DIRECTION: Final = "document"  # of the ledger's entries that a document makes
PAYOUT: Final = "payout"  # the same, of a self-billed one


async def issue(connection: Connection, issue: Issue) -> list[DocumentRow]:
    """
    Close a month with its documents, in the caller's transaction, or return those of the close before.

    Raises:
        NotFound: the month was not cut.
        Invalid: code `series_invalid` or `document_wrong`; the transaction must not be committed.
    """
    day = _first_day(issue.month)
    row = await connection.fetchrow(_SQL["lock_period"], issue.merchant_id, day)
    if row is None:
        raise NotFound(f"{issue.month} is not closed")
    if row["closed_at"] is None:
        prepaid = await PrepaidClose.find(connection, issue.merchant_id, issue.at, row)
        if prepaid is not None:
            issue = replace(issue, drafts=[prepaid.account.deduct(draft) for draft in issue.drafts])
        await write_documents(connection, issue)
        if prepaid is not None:
            await prepaid.end()
        await connection.execute(_SQL["close_period"], issue.merchant_id, day, issue.at)
    return await documents_of(connection, issue.merchant_id, issue.month)


async def write_documents(connection: Connection, issue: Issue) -> list[int]:
    """Number and write drafts in their order; return the ids of the documents."""
    count = len(issue.drafts)
    document_ids, posting_ids = list(issue.ids[:count]), issue.ids[count:]
    if count:
        await connection.execute(_SQL["begin_series"], issue.series)
    for draft, document_id, posting_id in zip(issue.drafts, document_ids, posting_ids, strict=True):
        await _write(connection, issue, draft, document_id, posting_id)
        await insert_postings(connection, _posting(issue, draft, posting_id))
    return document_ids


async def _write(
    connection: Connection, issue: Issue, draft: Draft, document_id: int, posting_id: int
) -> None:
    taken = await connection.fetchrow(_SQL["next_number"], issue.series, issue.issued_on)
    assert taken is not None
    invoice = draft.numbered(issue.series, taken["last"], taken["last_on"])
    check_invoice(invoice, rests=issue.credits_id is not None)
    payload, previous = canonical_json(invoice), bytes(taken["last_sha256"])
    chain = hashlib.sha256(previous + payload).digest()
    document = draft.document
    await connection.execute(_SQL["chain_series"], issue.series, chain)
    await connection.execute(
        _SQL["insert_document"], issue.merchant_id, document_id, issue.series, taken["last"],
        document.doc_type.value, _first_day(document.period), document.currency, taken["last_on"],
        issue.credits_id, document.net_minor, document.vat_minor, document.gross_minor,
        document.exact_micros, document.rounding_micros, payload, previous, chain, invoice.paid_minor,
        posting_id,
    )  # fmt: skip
    if draft.deductions:
        ids, gross, vat = zip(
            *((part.advance.document_id, part.gross_minor, part.vat_minor) for part in draft.deductions),
            strict=True,
        )
        await connection.execute(
            _SQL["insert_document_advances"], issue.merchant_id, document_id, ids, gross, vat
        )
    await _write_lines(connection, issue.merchant_id, document_id, document.lines, draft.credited_lines)


async def _write_lines(
    connection: Connection,
    merchant_id: int,
    document_id: int,
    lines: Sequence[Line],
    credited_lines: Sequence[int],
) -> None:
    terms = [line.terms for line in lines]
    await connection.execute(
        _SQL["insert_document_lines"], merchant_id, document_id, list(range(1, len(lines) + 1)),
        [each.kind.value for each in terms], [each.list_id for each in terms],
        [each.item_id for each in terms], [each.version for each in terms],
        [_first_day(each.origin) for each in terms], [each.unit_micros for each in terms],
        [each.vat.category for each in terms], [each.vat.rate_micros for each in terms],
        [line.quantity for line in lines], [line.net_minor for line in lines],
        list(credited_lines) or [None] * len(lines),
    )  # fmt: skip


def _posting(issue: Issue, draft: Draft, posting_id: int) -> list[PostingLine]:
    return [
        PostingLine(
            merchant_id=issue.merchant_id,
            posting_id=posting_id,
            line=number,
            account=account.value,
            currency=draft.document.currency,
            amount_micros=amount,
            direction=PAYOUT if draft.document.doc_type is DocumentType.SELF_BILLED else DIRECTION,
            item_id=0,
            campaign_id=None,
            carrier_id=0,
            messages=0,
            segments=0,
            at=issue.at,
            accepted_at=issue.accepted_at,
        )
        for number, (account, amount) in enumerate(draft.entries, 1)
    ]


async def documents_of(connection: Connection, merchant_id: int, month: Month) -> list[DocumentRow]:
    """Return what the close of a month wrote, in the order of the numbers."""
    rows = await connection.fetch(_SQL["documents_of_month"], merchant_id, _first_day(month))
    return [document_row(row) for row in rows]


async def stored_row(connection: Connection, merchant_id: int, document_id: int) -> DocumentRow:
    """Return a document that stands in the database."""
    row = await connection.fetchrow(_SQL["document"], merchant_id, document_id)
    assert row is not None
    return document_row(row)


def document_row(row: asyncpg.Record) -> DocumentRow:
    return DocumentRow(
        merchant_id=row["merchant_id"],
        document_id=row["document_id"],
        number=number_text(row["series"], row["number"]),
        doc_type=row["doc_type"],
        month=Month(row["month"].year, row["month"].month),
        currency=row["currency"],
        issued_on=row["issued_on"],
        credits_id=row["credits_id"],
        net_minor=row["net_minor"],
        vat_minor=row["vat_minor"],
        gross_minor=row["gross_minor"],
        paid_minor=row["paid_minor"],
        created_at=row["created_at"],
    )


def _first_day(month: Month) -> date:
    return date(month.year, month.month, 1)
