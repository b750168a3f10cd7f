"""A document makes the same file whenever it is asked for, and a proof sees when it does not (I20)."""

from __future__ import annotations

import hashlib

from smsgate.billing.invoices import Invoice
from smsgate.flows.document_files import DocumentFiles, Render
from smsgate.flows.verifying import verify
from smsgate.invoicing.forms import Form, rendered
from smsgate.store.document_files import PgDocumentFiles
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify
from tests.store.books import Books
from tests.store.test_credits import an_invoice

FORMS = {"pdf": Form.PDF, "xml": Form.CII, "ubl": Form.UBL, "peppol": Form.PEPPOL}


def as_written(invoice: Invoice, form: str) -> bytes:
    return rendered(invoice, FORMS[form])


def another_version(invoice: Invoice, form: str) -> bytes:
    """Make what a later version of a library might: the same document, other octets."""
    return as_written(invoice, form) + b"\n"


def files_of(books: Books, render: Render = as_written) -> DocumentFiles:
    return DocumentFiles(PgDocumentFiles(books.database), render, books.clock)


async def test_each_form_is_kept_when_it_is_handed_out_first_and_made_again_by_the_proof(
    database: Database,
) -> None:
    books, _documents, document = await an_invoice(database)
    made = {form: await files_of(books).make(document, form) for form in FORMS}
    assert {form: await files_of(books).make(document, form) for form in FORMS} == made
    assert await books.rows("SELECT form, sha256, octets FROM document_file ORDER BY form") == [
        (form, hashlib.sha256(octets).digest(), len(octets)) for form, octets in sorted(made.items())
    ]
    proof = await verify(PgVerify(database), [await files_of(books).proved()])
    assert "I20" not in proof.unproved
    assert [each for each in proof.broken if each.invariant == "I20"] == []


async def test_a_file_that_would_be_another_one_today_is_named_and_the_first_one_stands(
    database: Database,
) -> None:
    books, _documents, document = await an_invoice(database)
    first = await files_of(books).make(document, "xml")
    assert await files_of(books, another_version).make(document, "xml") == first + b"\n"
    assert await books.value("SELECT sha256 FROM document_file") == hashlib.sha256(first).digest()
    found = await files_of(books, another_version).proved()
    assert found == ("I20", 1, "F-2026-000001 as xml had other octets when it was handed out")
    assert (await files_of(books).proved()).wrong == 0
