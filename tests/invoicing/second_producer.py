"""
The same document made by another library (drafthorse), field by field from the payload: do both say the same?
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from drafthorse.models.accounting import ApplicableTradeTax
from drafthorse.models.document import Document
from drafthorse.models.note import IncludedNote
from drafthorse.models.party import TaxRegistration
from drafthorse.models.payment import PaymentMeans, PaymentTerms
from drafthorse.models.tradelines import LineItem

from smsgate.billing.invoices import Invoice, Party
from smsgate.billing.vat import NO_RATE
from smsgate.billing.written_dates import day_text, month_text
from smsgate.invoicing.wording import wording


def _day(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _minor(minor: int, digits: int = 2) -> Decimal:
    return Decimal(minor).scaleb(-digits)


def _party(target: Any, party: Party) -> None:
    target.name = party.name
    target.address.line_one, target.address.postcode = party.street, party.postcode
    target.address.city_name, target.address.country_id = party.city, party.country
    target.legal_organization.id = (party.legal_scheme, party.legal_id)
    target.electronic_address.uri_ID = (party.einvoicing_scheme, party.einvoicing_id)
    if party.vat_number:
        target.tax_registrations.add(TaxRegistration(id=("VA", party.vat_number)))


def _line(at: int, line: Any, language: str) -> LineItem:
    item = LineItem()
    item.document.line_id = str(at)
    item.product.name = line.name
    item.product.description = " ".join(
        filter(None, (line.note, wording(language).month.format(month=month_text(line.origin, language))))
    )
    item.agreement.net.amount = Decimal(line.unit_micros).scaleb(-6)
    if line.unit_micros % 100:  # more than four decimals: per 1,000
        item.agreement.net.amount = Decimal(line.unit_micros).scaleb(-3)
        item.agreement.net.basis_quantity = (Decimal(1_000), "C62")
    item.delivery.billed_quantity = (Decimal(line.quantity), "C62")
    item.settlement.trade_tax.type_code = "VAT"
    item.settlement.trade_tax.category_code = line.vat_category
    if line.vat_rate_micros != NO_RATE:
        item.settlement.trade_tax.rate_applicable_percent = Decimal(line.vat_rate_micros).scaleb(-6)
    item.settlement.monetary_summation.total_amount = _minor(line.net_minor)
    return item


def second_xml(invoice: Invoice) -> bytes:
    """Return the CII of an ordinary invoice: one currency, nothing paid, no preceding document."""
    words, document = wording(invoice.language), Document()
    document.context.guideline_parameter.id = "urn:cen.eu:en16931:2017"
    document.context.business_parameter.id = "S1"
    document.header.id, document.header.type_code = invoice.number, str(invoice.code)
    document.header.issue_date_time = _day(invoice.issued_on)
    for code, text in (("PMT", words.recovery_fee), ("PMD", words.late_penalty), ("AAB", words.no_discount)):
        note = IncludedNote(subject_code=code)
        note.content = text
        document.header.notes.add(note)
    _party(document.trade.agreement.seller, invoice.seller)
    _party(document.trade.agreement.buyer, invoice.buyer)
    document.trade.delivery.event.occurrence = _day(invoice.last_day)
    settlement = document.trade.settlement
    settlement.currency_code, settlement.payment_reference = invoice.currency, invoice.number
    means = PaymentMeans(type_code="30")
    means.payee_account.iban = invoice.iban
    settlement.payment_means.add(means)
    settlement.period.start, settlement.period.end = _day(invoice.first_day), _day(invoice.last_day)
    terms = PaymentTerms(due=_day(invoice.due_on))
    terms.description = words.payment_terms.format(due=day_text(invoice.due_on, invoice.language))
    settlement.terms.add(terms)
    for vat in invoice.vats:
        tax = ApplicableTradeTax(
            type_code="VAT",
            category_code=vat.category,
            basis_amount=_minor(vat.basis_minor),
            calculated_amount=_minor(vat.amount_minor),
        )
        if vat.rate_micros != NO_RATE:
            tax.rate_applicable_percent = Decimal(vat.rate_micros).scaleb(-6)
        if vat.exemption:
            tax.exemption_reason, tax.exemption_reason_code = vat.reason, vat.exemption
        settlement.trade_tax.add(tax)
    totals = settlement.monetary_summation
    totals.line_total = totals.tax_basis_total = _minor(invoice.net_minor)
    totals.tax_total = (_minor(invoice.vat_minor), invoice.currency)
    totals.grand_total = totals.due_amount = _minor(invoice.gross_minor)
    for at, line in enumerate(invoice.lines, 1):
        document.trade.items.add(_line(at, line, invoice.language))
    return bytes(document.serialize(schema=None))
