"""A credit note by hand: some lines of an invoice, at its own prices, VAT and words (R13)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from smsgate.billing.credit_notes import Credit, Creditable, CreditRefused, OriginalLine
from smsgate.billing.documents import Document, DocumentType, Line, LineKind
from smsgate.billing.invoices import EDITION, Invoice, InvoiceVat, check_invoice
from smsgate.billing.issuing import Draft, document_entries
from smsgate.billing.periods import Month
from smsgate.billing.postings import Account
from smsgate.errors import DomainError
from smsgate.money import micros_per_minor, round_half_away

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.billing.charged_units import ChargedUnits
    from smsgate.billing.vat import VatRow


def credit_draft(
    invoice: Invoice,
    lines: Sequence[Line],
    before: Sequence[Sequence[tuple[int, int]]],
    asked: Sequence[tuple[int, int]] | None,
    units: ChargedUnits | None = None,
) -> Draft:
    """
    Return the credit note; `before` are the credits of this invoice so far, each as (line, quantity).

    `asked` is None for all that is left. Revenue and VAT are given back, not what was used. `units` bounds
    what is credited by what was not given back message by message; None bounds nothing.

    Raises:
        DomainError: code `credit_refused`: no invoice, a line that is not there, or more than is left.
    """
    if invoice.code is not DocumentType.INVOICE:
        raise DomainError(f"{invoice.number} is no invoice", code="credit_refused", http_status=409)
    originals = [
        OriginalLine(number, line.quantity, line.terms.unit_micros, line.net_minor, line.terms.vat)
        for number, line in enumerate(lines, 1)
    ]
    creditable = Creditable(invoice.currency, originals)
    vat_before = 0
    for earlier in before:
        given = creditable.credit(earlier)
        vat_before += given.gross_minor - given.net_minor
    wanted = _left(lines, creditable, units) if asked is None else list(asked)
    if not wanted:
        raise DomainError(
            f"nothing of {invoice.number} is left to credit", code="credit_refused", http_status=409
        )
    credit = creditable.credit(wanted)
    if asked is not None and units is not None:
        _refuse_what_was_given_back(lines, credit, units)
    document = _document(invoice, lines, credit)
    paper = _paper(invoice, document, credit, vat_before)
    check_invoice(replace(paper, number=invoice.number), rests=True)
    exact = -document.exact_micros
    return Draft(
        document=document,
        invoice=paper,
        payment_days=(invoice.due_on - invoice.issued_on).days,
        entries=document_entries(document, exact, Account.REVENUE),
        credited_lines=tuple(line.line for line in credit.lines),
    )


def _left(lines: Sequence[Line], creditable: Creditable, units: ChargedUnits | None) -> list[tuple[int, int]]:
    if units is None:
        return creditable.left
    taken = ((number, units.take(lines[number - 1].terms, left)) for number, left in creditable.left)
    return [(number, quantity) for number, quantity in taken if quantity]


def _refuse_what_was_given_back(lines: Sequence[Line], credit: Credit, units: ChargedUnits) -> None:
    for asked in credit.lines:
        terms = lines[asked.line - 1].terms
        taken = units.take(terms, asked.quantity)
        if taken == asked.quantity:
            continue
        if terms.kind is LineKind.COMMITMENT:
            raise CreditRefused(
                f"line {asked.line} is a minimum of which a later document gave a part back: "
                "it can only be credited as a whole"
            )
        raise CreditRefused(
            f"of line {asked.line} only {taken} segments are left: others were given back already, "
            "message by message or by a later document"
        )


def _document(invoice: Invoice, lines: Sequence[Line], credit: Credit) -> Document:
    credited = tuple(Line(lines[line.line - 1].terms, line.quantity, line.net_minor) for line in credit.lines)
    exact = sum(line.exact_micros for line in credited)
    return Document(
        period=Month.parse(invoice.period),
        currency=invoice.currency,
        doc_type=DocumentType.CREDIT_NOTE,
        lines=credited,
        net_minor=credit.net_minor,
        vat_rows=credit.vat_rows,
        vat_minor=credit.gross_minor - credit.net_minor,
        gross_minor=credit.gross_minor,
        exact_micros=exact,
        rounding_micros=exact - credit.net_minor * micros_per_minor(invoice.currency),
    )


def _paper(invoice: Invoice, document: Document, credit: Credit, vat_before: int) -> Invoice:
    vat_now = vat_before + document.vat_minor
    other_vat = _other_vat(invoice, vat_now) - _other_vat(invoice, vat_before)
    return replace(
        invoice,
        number="",
        code=DocumentType.CREDIT_NOTE,
        edition=EDITION,
        lines=tuple(
            replace(invoice.lines[line.line - 1], quantity=line.quantity, net_minor=line.net_minor)
            for line in credit.lines
        ),
        vats=tuple(_vat(row, invoice) for row in document.vat_rows),
        net_minor=document.net_minor,
        vat_minor=document.vat_minor,
        gross_minor=document.gross_minor,
        exact_micros=document.exact_micros,
        rounding_micros=document.rounding_micros,
        paid_minor=0,
        advances=(),
        iban="",
        preceding_number=invoice.number,
        preceding_on=invoice.issued_on,
        other_vat_minor=other_vat,
        results=(),
    )


def _other_vat(invoice: Invoice, vat_minor: int) -> int:
    """
    Return what so much of an invoice's VAT is in its other currency, at the rate of the invoice itself.

    Each credit takes the difference of two of these, so that all of them together give all of it back.
    """
    if not invoice.vat_minor:
        return 0
    sign = 1 if invoice.vat_minor > 0 else -1
    return round_half_away(sign * invoice.other_vat_minor * vat_minor, abs(invoice.vat_minor))


def _vat(row: VatRow, invoice: Invoice) -> InvoiceVat:
    (original,) = (vat for vat in invoice.vats if (vat.category, vat.rate_micros) == tuple(row.vat))
    return replace(original, basis_minor=row.basis_minor, amount_minor=row.amount_minor)
