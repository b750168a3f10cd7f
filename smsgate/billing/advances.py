"""
Advances: what was paid before it was served, and how later documents deduct it (decision 0041).

Each payment has a document of its own, with VAT (UNTDID 1001 type 386). The invoice of a month deducts what
is left of them from its gross, oldest first, and the VAT that stands in it with it, so no VAT is owed twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.currencies import converted_after, ratio_from_text
from smsgate.billing.documents import Document, DocumentType, Line, LineKind, LineTerms
from smsgate.billing.invoices import InvoiceAdvance, check_invoice
from smsgate.billing.issuable import check_issuable
from smsgate.billing.issuing import NUMBER_TO_COME, Draft, paper_of
from smsgate.billing.periods import Month
from smsgate.billing.postings import Account
from smsgate.billing.vat import VatRow, vat_rows
from smsgate.billing.written_dates import day_text
from smsgate.errors import Invalid
from smsgate.money import micros_per_minor, round_half_away

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from smsgate.billing.invoices import Invoice
    from smsgate.billing.issuing import Buyer, Seller
    from smsgate.billing.vat import Vat

ADVANCES_MAX: Final = 1_000  # that one document deducts from: the others are left to the next one


class PrepaymentWords(NamedTuple):
    """What the one line of a 386, or of its credit, is called; {} are the payment's reference and day."""

    name: str
    payment: str
    refund: str
    paid_back: str


PREPAYMENT_WORDS: Final = {
    "en": PrepaymentWords(
        "Prepayment for SMS", "Payment {} of {}.", "Rest of a prepayment for SMS", "Paid back: {}, {}."
    ),
    "fr": PrepaymentWords(
        "Acompte sur envois de SMS",
        "Paiement {} du {}.",
        "Reste d'un acompte sur envois de SMS",
        "Remboursé : {}, {}.",
    ),
}


@dataclass(frozen=True, slots=True)
class Advance:
    """
    A 386 document as it was issued; `used_gross_minor` is what documents have deducted of it so far.

    One that is still to be written has no number, and an id below zero.
    """

    document_id: int
    number: str
    issued_on: date
    net_minor: int
    vat_minor: int
    used_gross_minor: int = 0

    @property
    def gross_minor(self) -> int:
        return self.net_minor + self.vat_minor

    @property
    def left_minor(self) -> int:
        return self.gross_minor - self.used_gross_minor

    @property
    def used_vat_minor(self) -> int:
        return self._vat_of(self.used_gross_minor)

    def taking(self, gross_minor: int) -> Deduction:
        """
        Deduct the next part of the gross; VAT is its share, so that all parts have all of the VAT.

        The share of what is deducted up to now is rounded, and what it has more than before is this part's.
        """
        assert 0 <= gross_minor <= self.left_minor
        vat = self._vat_of(self.used_gross_minor + gross_minor) - self.used_vat_minor
        return Deduction(self, gross_minor, vat)

    def taking_net(self, gross_max_minor: int, net_max_minor: int) -> Deduction:
        """Deduct as much as is left, up to both limits."""
        low, high = 0, min(gross_max_minor, self.left_minor)
        while low < high:  # a minor unit more of gross is one more of net, or of VAT
            middle = (low + high + 1) // 2
            if self.taking(middle).net_minor <= net_max_minor:
                low = middle
            else:
                high = middle - 1
        return self.taking(low)

    def _vat_of(self, gross_minor: int) -> int:
        return round_half_away(self.vat_minor * gross_minor, self.gross_minor)


class Deduction(NamedTuple):
    """A part of an advance that a document deducts; `vat_minor` stands in `gross_minor`."""

    advance: Advance
    gross_minor: int
    vat_minor: int

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.vat_minor


def deductions_of(
    advances: Iterable[Advance], gross_max_minor: int, net_max_minor: int
) -> tuple[Deduction, ...]:
    """Deduct from the first advances on, up to a gross, and to a net in all."""
    taken: list[Deduction] = []
    gross, net = max(0, gross_max_minor), max(0, net_max_minor)
    for advance in advances:
        if not net:
            break
        part = advance.taking_net(gross, net)
        if part.gross_minor:
            taken.append(part)
            gross -= part.gross_minor
            net -= part.net_minor
    return tuple(taken)


@dataclass(slots=True)
class PrepaidAccount:
    """
    What documents deduct of a merchant's account, one after the other.

    `drawable_micros` is the net that may be deducted in all, `advances` those of which something is left.
    """

    currency: str
    drawable_micros: int
    advances: Sequence[Advance]
    drawn_micros: int = 0

    def deduct(self, draft: Draft) -> Draft:
        """Return the draft as it is issued: an invoice in the account's currency deducts what it can."""
        document = draft.document
        if document.doc_type is not DocumentType.INVOICE or document.currency != self.currency:
            return draft
        scale = micros_per_minor(self.currency)
        left = self.drawable_micros - self.drawn_micros
        parts = deductions_of(self.advances, document.gross_minor, left // scale)
        taken = {part.advance.document_id: part.gross_minor for part in parts}
        self.advances = [
            replace(each, used_gross_minor=each.used_gross_minor + taken.get(each.document_id, 0))
            for each in self.advances
        ]
        self.drawn_micros += sum(part.net_minor for part in parts) * scale
        return deducting(draft, parts)


def deducting(draft: Draft, deductions: Sequence[Deduction]) -> Draft:
    """Return the draft of an invoice that deducts advances; what they pay is not receivable any more."""
    assert draft.document.doc_type is DocumentType.INVOICE
    paid = sum(part.gross_minor for part in deductions)
    assert paid <= max(0, draft.document.gross_minor), "no more is deducted than is asked for"
    if not paid:
        return draft
    vat = sum(part.vat_minor for part in deductions)
    scale = micros_per_minor(draft.document.currency)
    moved = {
        Account.RECEIVABLE: -paid * scale,
        Account.VAT: vat * scale,
        Account.PREPAID: (paid - vat) * scale,
    }
    owed = draft.document.gross_minor > paid
    return replace(
        draft,
        invoice=replace(
            draft.invoice,
            paid_minor=paid,
            advances=tuple(
                InvoiceAdvance(part.advance.number, part.advance.issued_on, part.gross_minor, part.vat_minor)
                for part in deductions
            ),
            iban=draft.invoice.iban if owed else "",
        ),
        payment_days=draft.payment_days if owed else 0,
        entries=_added(draft.entries, moved),
        deductions=tuple(deductions),
    )


def _added(
    entries: Sequence[tuple[Account, int]], moved: dict[Account, int]
) -> tuple[tuple[Account, int], ...]:
    """Add amounts to entries, each account's to the last of its own, and leave out what comes to nothing."""
    rest, made = dict(moved), list[tuple[Account, int]]()
    for account, amount in reversed(entries):
        made.append((account, amount + rest.pop(account, 0)))
    made.reverse()
    made += rest.items()
    assert sum(amount for _account, amount in made) == 0
    return tuple((account, amount) for account, amount in made if amount)


def prepayment_draft(
    net_micros: int,
    currency: str,
    vat: Vat,
    seller: Seller,
    buyer: Buyer,
    *,
    reference: str,
    paid_on: date,
    month: Month,
) -> Draft:
    """
    Return the 386 of one payment, which is paid; `paid_on` is the day on which its VAT fell due.

    The payment itself is booked without VAT, which comes with this.

    Raises:
        Invalid: code `amount_invalid`: finer than the currency's minor unit; else as `draft_of`.
    """
    scale = micros_per_minor(currency)
    if net_micros % scale:
        raise Invalid(f"a payment is in whole minor units of {currency}", code="amount_invalid")
    line = Line(LineTerms(month, LineKind.PREPAYMENT, 0, 0, 0, net_micros, vat), 1, net_micros // scale)
    document = _document(DocumentType.PREPAYMENT, month, currency, line, vat_rows([(vat, line.net_minor)]))
    paper = paper_of(document, seller, buyer, {})
    words = PREPAYMENT_WORDS.get(buyer.language, PREPAYMENT_WORDS["en"])
    note = words.payment.format(reference, day_text(paid_on, buyer.language))
    (paper_line,) = paper.lines
    paper = replace(
        paper,
        first_day=paid_on,
        last_day=paid_on,
        lines=(replace(paper_line, name=words.name, note=note),),
        paid_minor=document.gross_minor,
    )
    if seller.e_invoices:
        check_issuable(paper, business=buyer.business)
    check_invoice(replace(paper, number=NUMBER_TO_COME))
    vat_micros = document.vat_minor * scale
    entries = ((Account.CASH, vat_micros), (Account.VAT, -vat_micros)) if vat_micros else ()
    return Draft(document, paper, 0, entries, paid_on=paid_on)


def refund_draft(invoice: Invoice, vat: Vat, part: Deduction, *, reference: str, paid_on: date) -> Draft:
    """
    Return the credit note (503) of what is paid back of a prepayment invoice (386), as its paper has it.

    Raises:
        Invalid: code `document_wrong`.
    """
    currency, month = invoice.currency, Month(paid_on.year, paid_on.month)
    scale = micros_per_minor(currency)
    net_micros = part.net_minor * scale
    line = Line(LineTerms(month, LineKind.PREPAYMENT, 0, 0, 0, net_micros, vat), 1, part.net_minor)
    rows = (VatRow(vat, part.net_minor, part.vat_minor),)
    document = _document(DocumentType.PREPAYMENT_CREDIT, month, currency, line, rows)
    words = PREPAYMENT_WORDS.get(invoice.language, PREPAYMENT_WORDS["en"])
    (paper_line,), (paper_vat,) = invoice.lines, invoice.vats
    paper = replace(
        invoice,
        number="",
        code=document.doc_type,
        period=str(month),
        first_day=paid_on,
        last_day=paid_on,
        lines=(
            replace(
                paper_line,
                name=words.refund,
                note=words.paid_back.format(reference, day_text(paid_on, invoice.language)),
                origin=str(month),
                unit_micros=net_micros,
                net_minor=part.net_minor,
            ),
        ),
        vats=(replace(paper_vat, basis_minor=part.net_minor, amount_minor=part.vat_minor),),
        net_minor=part.net_minor,
        vat_minor=part.vat_minor,
        gross_minor=part.gross_minor,
        exact_micros=net_micros,
        paid_minor=0,
        preceding_number=part.advance.number,
        preceding_on=part.advance.issued_on,
        other_vat_minor=_other_vat(invoice, part),
    )
    check_invoice(replace(paper, number=NUMBER_TO_COME), rests=True)
    moved = (
        (Account.PREPAID, net_micros),
        (Account.VAT, part.vat_minor * scale),
        (Account.CASH, -part.gross_minor * scale),
    )
    entries = tuple((account, amount) for account, amount in moved if amount)
    return Draft(document, paper, 0, entries, deductions=(part,), paid_on=paid_on)


def _document(
    doc_type: DocumentType, month: Month, currency: str, line: Line, rows: tuple[VatRow, ...]
) -> Document:
    vat_minor = sum(row.amount_minor for row in rows)
    return Document(
        period=month,
        currency=currency,
        doc_type=doc_type,
        lines=(line,),
        net_minor=line.net_minor,
        vat_rows=rows,
        vat_minor=vat_minor,
        gross_minor=line.net_minor + vat_minor,
        exact_micros=line.exact_micros,
        rounding_micros=0,
    )


def _other_vat(invoice: Invoice, part: Deduction) -> int:
    """Return the part's VAT in the other currency, at the rate of the prepayment invoice itself."""
    used = part.advance.used_vat_minor
    if invoice.other_rate:
        rate = ratio_from_text(invoice.other_rate)
        return converted_after(used, part.vat_minor, invoice.currency, invoice.other_currency, rate)
    if not invoice.vat_minor:
        return 0
    other, vat = invoice.other_vat_minor, invoice.vat_minor  # of before rates were kept
    return round_half_away(other * (used + part.vat_minor), vat) - round_half_away(other * used, vat)
