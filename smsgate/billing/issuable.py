"""
What no document can say: parties, categories, rates, currencies and references that its forms refuse.

It is looked at before a number is taken, because a number without a document is a gap. The rules are those of
EN 16931 (BR-...) and of the French specification Flux 2 (BR-FR-...).
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from smsgate.billing.documents import CREDITS
from smsgate.billing.invoices import SIREN_SCHEME
from smsgate.billing.periods import Month
from smsgate.billing.vat import FRANCE
from smsgate.errors import DomainError, Invalid
from smsgate.money import MINOR_DIGITS, check_currency, micros_to_text

if TYPE_CHECKING:
    from smsgate.billing.invoices import Invoice, InvoiceLine, Party

AMOUNT_DIGITS_MAX: Final = 2  # decimals of an amount (BR-DEC-01 to BR-DEC-24)
EVER: Final = date.max
# French rates in millionths of a percent, with their first and last days (CGI art. 278 to 281 nonies, 294 to
# 297 and BR-FR-16); those of Corsica and of the overseas departments are among them.
FRENCH_RATES: Final = {
    20_000_000: (date(2014, 1, 1), EVER),
    10_000_000: (date(2014, 1, 1), EVER),
    5_500_000: (date(1982, 7, 1), EVER),
    2_100_000: (date(1989, 1, 1), EVER),
    13_000_000: (date(1999, 1, 1), EVER),
    8_500_000: (date(1995, 8, 1), EVER),
    1_750_000: (date(1995, 8, 1), EVER),
    1_050_000: (date(1995, 8, 1), EVER),
    900_000: (date(1999, 1, 1), EVER),
    7_000_000: (date(2012, 1, 1), date(2013, 12, 31)),
    19_600_000: (date(2000, 4, 1), date(2013, 12, 31)),
    20_600_000: (date(1995, 8, 1), date(2000, 3, 31)),
}
# Who must have a VAT number on a document with this category (BR-S-02, BR-AE-02).
NUMBERED: Final = {"S": ("seller",), "AE": ("seller", "buyer")}


def check_invoiced_currency(currency: str) -> None:
    """
    Hold a currency in which something is to be sold to what documents can say.

    Raises:
        Invalid: code `currency_unknown`, or `currency_not_invoiced`.
    """
    check_currency(currency)
    if MINOR_DIGITS[currency] > AMOUNT_DIGITS_MAX:
        raise Invalid(_too_fine(currency), code="currency_not_invoiced")


def check_issuable(invoice: Invoice, *, business: bool) -> None:
    """
    Hold a document, whose number is to come, to what its forms can say; `business`: the buyer is no consumer.

    Raises:
        DomainError: code `billing_incomplete`: something is to be set first, a SIREN, a VAT number, a rate;
            `document_refused`: no setting helps.
    """
    if MINOR_DIGITS[invoice.currency] > AMOUNT_DIGITS_MAX:
        raise _refused(_too_fine(invoice.currency))
    if invoice.code in CREDITS and not invoice.preceding_number:
        raise _refused("the credit note names no invoice: none is known that charged what it gives back")
    categories = {vat.category for vat in invoice.vats}
    if "O" in categories and len(categories) > 1:  # BR-O-11
        raise _refused(
            "a document has category O beside others: its lines of category O stand in one of their own"
        )
    _check_parties(invoice, categories, business=business)
    if invoice.seller.country in FRANCE:
        for line in invoice.lines:
            _check_rate(invoice.seller.country, line)


def is_listed_rate(country: str, rate_micros: int, first_day: date, last_day: date) -> bool:
    """Return whether a rate of category S held in France or Monaco on one of these days."""
    assert country in FRANCE
    since, until = FRENCH_RATES.get(rate_micros, (EVER, date.min))
    return since <= last_day and first_day <= until


def _too_fine(currency: str) -> str:
    return (
        f"{currency} has {MINOR_DIGITS[currency]} decimals, and an e-invoice at most {AMOUNT_DIGITS_MAX}: "
        "no document can be written in it"
    )


def _check_parties(invoice: Invoice, categories: set[str], *, business: bool) -> None:
    for party, needed in ((invoice.seller, True), (invoice.buyer, business)):
        if needed and party.country == "FR" and not _has_siren(party):  # BR-FR-10, BR-FR-11
            raise _incomplete(f"{party.name} has no SIREN, and French invoices name it")
    for category in sorted(categories & NUMBERED.keys()):
        for role in NUMBERED[category]:
            party = invoice.seller if role == "seller" else invoice.buyer
            if not party.vat_number:
                raise _incomplete(f"{party.name} has no VAT number, and category {category} wants it")


def _has_siren(party: Party) -> bool:
    return bool(party.legal_id) and party.legal_scheme == SIREN_SCHEME


def _check_rate(country: str, line: InvoiceLine) -> None:
    if line.vat_category != "S":
        return
    month = Month.parse(line.origin)
    first_day = date(month.year, month.month, 1)
    if not is_listed_rate(country, line.vat_rate_micros, first_day, month.last_day):
        rate = micros_to_text(line.vat_rate_micros, 0)
        raise _incomplete(f"{rate} % is no VAT rate of France in {month}: set [billing] vat_rates")


def _refused(sentence: str) -> DomainError:
    return DomainError(sentence, code="document_refused", http_status=409)


def _incomplete(sentence: str) -> DomainError:
    return DomainError(sentence, code="billing_incomplete")
