"""Documents that were issued, read again; credits by hand; billing profiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from smsgate.billing.charged_units import ChargedUnits
from smsgate.billing.documents import Line, LineKind
from smsgate.billing.invoices import invoice_from_json
from smsgate.billing.issuing import Draft
from smsgate.errors import DomainError, NotFound
from smsgate.flows.billing_records import BillingProfile, DocumentRow, Issue, VatEntry
from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.documents import StoredDocument
from smsgate.store.catalogue import load
from smsgate.store.charged_units import charged_units, line_terms, lock_given_back, minimums_left
from smsgate.store.closing import first_day
from smsgate.store.connection import Connection
from smsgate.store.documents import document_row, write_documents
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database
from smsgate.store.profiles import party_of

_SQL: Final = load("billing")
_LOCKS: Final = load("commitments")


class PgDocuments:
    """Implements `flows.documents.DocumentStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, merchant_id: int, ask: PageAsk, doc_types: Sequence[str] | None
    ) -> Page[DocumentRow]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["documents_page"], merchant_id, ask, doc_types)
        return Page([document_row(row) for row in rows], more)

    async def get(self, merchant_id: int, document_id: int) -> StoredDocument:
        async with self._database.transaction(merchant_id) as connection:
            return await stored_document(connection, merchant_id, document_id)

    async def find(self, series: str, number: int) -> tuple[int, int] | None:
        async with self._database.report() as connection:
            row = await connection.fetchrow(_SQL["document_by_number"], series, number)
        return None if row is None else (row["merchant_id"], row["document_id"])

    async def owner(self, document_id: int) -> int | None:
        async with self._database.report() as connection:
            owner: int | None = await connection.fetchval(_SQL["owner_of_document"], document_id)
        return owner

    async def credit(
        self, issue: Issue, document_id: int, make: Callable[[StoredDocument, ChargedUnits], Draft]
    ) -> DocumentRow:
        async with self._database.bulk_transaction() as connection:
            await lock_given_back(connection, issue.merchant_id)
            await connection.execute(_LOCKS["lock_against_cuts"])
            await connection.execute(_SQL["lock_period"], issue.merchant_id, first_day(issue.month))
            stored = await stored_document(connection, issue.merchant_id, document_id)
            draft = make(stored, await _charged_units(connection, issue.merchant_id, stored))
            await _refuse_what_a_close_may_give_back(connection, issue.merchant_id, draft)
            (credit_id,) = await write_documents(connection, replace(issue, drafts=[draft]))
            return (await stored_document(connection, issue.merchant_id, credit_id)).row

    async def profile(self, merchant_id: int) -> BillingProfile | None:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["profile"], merchant_id)
        return None if row is None else BillingProfile(party_of(row), row["business"], row["payment_days"])

    async def vat_of(self, merchant_id: int) -> tuple[str, Sequence[VatEntry]]:
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(_SQL["billing_merchant"], merchant_id)
            rows = await connection.fetch(_SQL["vat_entries"], merchant_id)
        if row is None:
            raise NotFound
        return row["timezone"], [VatEntry(*entry) for entry in rows]

    async def set_profile(self, merchant_id: int, profile: BillingProfile, vat: VatEntry) -> None:
        party = profile.party
        async with self._database.bulk_transaction() as connection:
            await connection.execute(
                _SQL["set_profile"], merchant_id, party.name, party.street, party.postcode, party.city,
                party.country, party.legal_id, party.legal_scheme, party.vat_number, profile.business,
                party.einvoicing_id, party.einvoicing_scheme, profile.payment_days,
            )  # fmt: skip
            await connection.execute(_SQL["set_vat"], merchant_id, *vat)


async def _charged_units(connection: Connection, merchant_id: int, stored: StoredDocument) -> ChargedUnits:
    terms = [line.terms for line in stored.lines]
    usage = {(each.item_id, each.origin) for each in terms if each.kind is LineKind.USAGE}
    months = {each.origin for each in terms if each.kind is LineKind.COMMITMENT}
    units = await charged_units(connection, merchant_id, usage)
    if months:
        units.minimums = await minimums_left(connection, merchant_id, stored.row.currency, months)
    return units


async def _refuse_what_a_close_may_give_back(connection: Connection, merchant_id: int, draft: Draft) -> None:
    """A close reads what was credited of minimums, then writes; no cut comes until the caller's commit."""
    if all(line.terms.kind is not LineKind.COMMITMENT for line in draft.document.lines):
        return
    if await connection.fetchval(_SQL["close_under_way"], merchant_id):
        raise DomainError(
            "a month of this merchant is being closed and may give back of the minimum: credit it afterwards",
            code="credit_refused",
            http_status=409,
        )


async def stored_document(connection: Connection, merchant_id: int, document_id: int) -> StoredDocument:
    row = await connection.fetchrow(_SQL["document"], merchant_id, document_id)
    if row is None:
        raise NotFound
    lines = await connection.fetch(_SQL["lines_of_document"], merchant_id, document_id)
    credits_: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for credit in await connection.fetch(_SQL["credited_lines"], merchant_id, document_id):
        credits_[credit["document_id"]].append((credit["credits_line"], credit["quantity"]))
    return StoredDocument(
        document_row(row),
        invoice_from_json(bytes(row["payload"])),
        [Line(line_terms(line), line["quantity"], line["net_minor"]) for line in lines],
        list(credits_.values()),
    )
