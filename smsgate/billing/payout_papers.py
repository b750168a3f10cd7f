"""
A payout as a self-billed document (389), in the name of the merchant, who sells us its premium service.

A share is no price with six decimals, so a line is one unit of its rounded amount; its note has the sum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from smsgate.billing.documents import Document, DocumentType, Line, LineKind, LineTerms
from smsgate.billing.invoices import EDITION, Invoice, InvoiceLine, check_invoice
from smsgate.billing.issuable import check_issuable
from smsgate.billing.issuing import NUMBER_TO_COME, Draft, named, paper_vat, vat_elsewhere
from smsgate.billing.postings import Account
from smsgate.billing.vat import EU, FRANCE, NO_RATE, Vat, VatHistory, vat_rows
from smsgate.errors import DomainError
from smsgate.money import micros_per_minor, micros_to_text

if TYPE_CHECKING:
    from datetime import date

    from smsgate.billing.issuing import Buyer, Seller
    from smsgate.billing.payouts import Payout, PremiumUse
    from smsgate.billing.periods import Month

SELF_BILLED: Final = {"en": "Self-billing.", "fr": "Autofacturation."}  # CGI ann. II art. 242 nonies A, I 14°
LINE_NAMES: Final = {"en": "Premium SMS to {}", "fr": "SMS surtaxés vers le {}"}
NOTES: Final = {
    "en": "{} x {} {} with {} % VAT, {} % from the carrier, {} % of it. {}",
    "fr": "{} x {} {} avec {}\u00a0% de TVA, {}\u00a0% de l'opérateur, dont {}\u00a0%. {}",
}
POINTS: Final = {"en": ".", "fr": ","}  # in amounts


def payout_vat(country: str, *, number_valid: bool, day: date, seller_rates: VatHistory) -> Vat:
    """
    Return what the merchant's service to us, a business in France, is taxed with.

    Raises:
        DomainError: code `payout_refused`: no valid VAT number, so nobody knows; a category is never guessed.
    """
    if country not in FRANCE and country not in EU:
        return Vat("O", NO_RATE)
    if not number_valid:
        raise DomainError(
            "the merchant has no valid VAT number: what its service is taxed with is not known",
            code="payout_refused",
            http_status=409,
        )
    return seller_rates.on(day) if country in FRANCE else Vat("AE", 0)


def payout_draft(payout: Payout, month: Month, currency: str, merchant: Buyer, seller: Seller) -> Draft:
    """
    Return the draft; of its parties the merchant sells and `seller`, who writes it, buys.

    Raises:
        Invalid: code `document_wrong`: an amount that does not follow from the others; `rate_unknown`.
        DomainError: as `check_issuable`.
    """
    document = _document(payout, month, currency)
    language = merchant.language if merchant.language in SELF_BILLED else "en"
    outside = payout.vat.category == "O"  # BR-O-02: no VAT numbers then
    party, us = merchant.party, seller.party
    other_currency, other_vat, other_rate = vat_elsewhere(document, seller)
    first_day = month.last_day.replace(day=1)
    invoice = Invoice(
        number="",
        code=document.doc_type,
        issued_on=first_day,
        due_on=first_day,
        period=str(month),
        first_day=first_day,
        last_day=month.last_day,
        currency=currency,
        language=language,
        seller=named(replace(party, vat_number="") if outside else party, language),
        buyer=named(replace(us, vat_number="") if outside else us, language),
        lines=tuple(
            _line(line.use, shown, language, currency)
            for line, shown in zip(payout.lines, document.lines, strict=True)
        ),
        vats=tuple(paper_vat(row, language) for row in document.vat_rows),
        net_minor=document.net_minor,
        vat_minor=document.vat_minor,
        gross_minor=document.gross_minor,
        exact_micros=document.exact_micros,
        rounding_micros=document.rounding_micros,
        other_currency=other_currency,
        other_vat_minor=other_vat,
        other_rate=other_rate,
        days_in=language,
        edition=EDITION,
    )
    check_issuable(invoice, business=True)
    check_invoice(replace(invoice, number=NUMBER_TO_COME))
    scale = micros_per_minor(currency)
    entries = (
        (Account.PAYOUT_COST, document.net_minor * scale),
        (Account.VAT, document.vat_minor * scale),
        (Account.PAYOUT, -document.gross_minor * scale),
    )
    return Draft(document, invoice, merchant.payment_days, tuple(pair for pair in entries if pair[1]))


def _document(payout: Payout, month: Month, currency: str) -> Document:
    scale = micros_per_minor(currency)
    lines = tuple(
        Line(
            LineTerms(month, LineKind.PAYOUT, 0, 0, 0, line.net_minor * scale, payout.vat), 1, line.net_minor
        )
        for line in payout.lines
    )
    return Document(
        period=month,
        currency=currency,
        doc_type=DocumentType.SELF_BILLED,
        lines=lines,
        net_minor=payout.net_minor,
        vat_rows=vat_rows((payout.vat, line.net_minor) for line in lines),
        vat_minor=payout.vat_minor,
        gross_minor=payout.gross_minor,
        exact_micros=payout.net_minor * scale,
        rounding_micros=0,
    )


def _line(use: PremiumUse, line: Line, language: str, currency: str) -> InvoiceLine:
    rates = use.vat_rate_micros, use.carrier_share_micros, use.merchant_share_micros
    retail, *shares = (
        text.replace(".", POINTS[language])
        for text in (micros_to_text(use.retail_micros), *(micros_to_text(rate, 0) for rate in rates))
    )
    note = NOTES[language].format(use.billed, retail, currency, *shares, SELF_BILLED[language])
    return InvoiceLine(
        name=LINE_NAMES[language].format(use.short_code),
        note=note,
        origin=str(line.terms.origin),
        quantity=1,
        unit_micros=line.terms.unit_micros,
        net_minor=line.net_minor,
        vat_category=line.terms.vat.category,
        vat_rate_micros=line.terms.vat.rate_micros,
    )
