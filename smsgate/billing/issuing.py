"""
From the lines of a close or a credit to the paper: names, parties, dates, and what the ledger moves by it.

A draft is complete but for its number and its dates, so whatever can be wrong with it is found before a
number is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.currencies import Ratio, converted, ratio_to_text
from smsgate.billing.documents import Document, DocumentType, Line, LineKind
from smsgate.billing.invoices import (
    EDITION,
    CampaignResult,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    Party,
    check_invoice,
)
from smsgate.billing.issuable import check_issuable
from smsgate.billing.network_names import DEFAULT_LANGUAGE, country_name, network_name
from smsgate.billing.numbering import NUMBER_CHARACTERS_MAX, number_text
from smsgate.billing.postings import Account
from smsgate.billing.vat import EXEMPTION_OUT_OF_SCOPE, EXEMPTION_REVERSE_CHARGE, Vat, VatRow
from smsgate.errors import Invalid
from smsgate.money import micros_per_minor

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from smsgate.billing.advances import Deduction

PAYMENT_DAYS_MAX: Final = 60  # C. com. L441-10
SERIES_YEAR: Final = "{year}"
NUMBER_TO_COME: Final = "0" * NUMBER_CHARACTERS_MAX
# What the law wants in words beside a category without VAT (CGI ann. II art. 242 nonies A), and who reads
# English is told what that is.
EXEMPTIONS: Final = {
    "AE": (EXEMPTION_REVERSE_CHARGE, {"fr": "Autoliquidation", "en": "Autoliquidation (reverse charge)"}),
    "O": (
        EXEMPTION_OUT_OF_SCOPE,
        {
            "fr": "TVA non applicable, art. 259-1 du CGI",
            "en": "TVA non applicable, art. 259-1 du CGI (outside the scope of French VAT)",
        },
    ),
}


class LineWords(NamedTuple):
    """What lines are called; {} is the network."""

    sent: str
    received: str
    minimum: str
    source: str


LINE_WORDS: Final = {
    "en": LineWords("SMS, {}", "Replies, {}", "Shortfall of the monthly minimum", "{}, version {}."),
    "fr": LineWords("SMS, {}", "Réponses, {}", "Complément du minimum mensuel", "{}, version {}."),
}


class ItemText(NamedTuple):
    """What a line says of its price item; `direction` is "mt" or "mo"."""

    direction: str
    network: str
    list_name: str


@dataclass(frozen=True, slots=True)
class Seller:
    """
    Who writes the documents.

    `series` may hold {year}, of the day of issue in `timezone`. `vat_rates` are the rates of category S by
    the day from which they hold, in millionths of a percent. `exchange_rates`: units of `currency` for one;
    without a `currency` VAT is told in each document's own alone. Without `e_invoices` documents are figures
    only, as worked cases have them: no form is written, and none can refuse them.
    """

    party: Party
    iban: str = ""
    series: str = f"F-{SERIES_YEAR}"
    timezone: str = "Europe/Paris"
    currency: str = "EUR"
    vat_rates: tuple[tuple[date, int], ...] = ()
    exchange_rates: Mapping[str, Ratio] = field(default_factory=dict)
    e_invoices: bool = True

    def series_on(self, day: date) -> str:
        return self.series.replace(SERIES_YEAR, f"{day.year:04d}")


@dataclass(frozen=True, slots=True)
class Buyer:
    """
    `business`: no consumer. `reverse_numbers`: the VAT numbers that category AE stood on, by the day from
    which each holds; the profile may have another one since, or none.
    """

    party: Party
    language: str
    payment_days: int
    business: bool = True
    reverse_numbers: tuple[tuple[date, str], ...] = ()

    def party_for(self, categories: Collection[str], tax_point: date) -> Party:
        """
        Return who stands on a document of these VAT categories.

        `tax_point`: the last day of the month of use. What is billed by the month is supplied at its end
        (Directive 2006/112 art. 64), under the number that the customer had then (art. 226 (4)); an invoice
        names one (EN 16931 BT-48).
        """
        if "O" in categories:  # BR-O-02: no VAT numbers then
            return replace(self.party, vat_number="")
        if "AE" in categories and self.reverse_numbers:  # BR-AE-02
            held = [number for since, number in self.reverse_numbers if since <= tax_point]
            return replace(self.party, vat_number=held[-1] if held else self.reverse_numbers[0][1])
        return self.party


@dataclass(frozen=True, slots=True)
class Draft:
    """
    A document without number and dates. `entries` are what the ledger moves, in micros; they sum to zero.

    `credited_lines`: of a credit note, the line of the invoice that each of its lines credits. `deductions`:
    what was paid in advance of it. `paid_on`: the day on which the whole of it was paid.
    """

    document: Document
    invoice: Invoice
    payment_days: int
    entries: tuple[tuple[Account, int], ...]
    credited_lines: tuple[int, ...] = ()
    deductions: tuple[Deduction, ...] = ()
    paid_on: date | None = None

    def numbered(self, series: str, number: int, issued_on: date) -> Invoice:
        """
        Return the document as it is issued.

        Raises:
            Invalid: code `series_invalid`; the series is used up, or none that a document can bear.
        """
        due_on = self.paid_on or issued_on + timedelta(days=self.payment_days)
        return replace(self.invoice, number=number_text(series, number), issued_on=issued_on, due_on=due_on)


def draft_of(
    document: Document,
    seller: Seller,
    buyer: Buyer,
    items: Mapping[int, ItemText],
    *,
    ledger_micros: int,
    billed_from: Account = Account.UNBILLED,
    preceding: tuple[str, date] | None = None,
    results: Sequence[CampaignResult] = (),
    credited_lines: Sequence[int] = (),
) -> Draft:
    """
    Return the draft of a document; `ledger_micros` is what the ledger has for it already.

    Raises:
        Invalid: code `document_wrong`: an amount that does not follow from the others; `rate_unknown`: it
            is booked in the seller's currency, and there is no rate.
        DomainError: as `check_issuable`.
    """
    invoice = paper_of(document, seller, buyer, items, preceding, results)
    if seller.e_invoices:
        check_issuable(invoice, business=buyer.business)
    check_invoice(replace(invoice, number=NUMBER_TO_COME))
    entries = document_entries(document, ledger_micros, billed_from)
    return Draft(document, invoice, buyer.payment_days, entries, tuple(credited_lines))


def document_entries(
    document: Document, ledger_micros: int, billed_from: Account = Account.UNBILLED
) -> tuple[tuple[Account, int], ...]:
    """
    Return what a document moves, by account: first what tiers and minimums add, then the document itself.

    `billed_from` is where the net comes from: what was used and not billed, or the revenue that a credit
    undoes.
    """
    sign = 1 if document.doc_type is DocumentType.INVOICE else -1
    scale = micros_per_minor(document.currency)
    exact = sign * document.exact_micros
    more = exact - ledger_micros
    entries = [
        (Account.UNBILLED, more),
        (Account.REVENUE, -more),
        (Account.RECEIVABLE, sign * document.gross_minor * scale),
        (Account.VAT, -sign * document.vat_minor * scale),
        (billed_from, -exact),
        (Account.ROUNDING, sign * document.rounding_micros),
    ]
    assert sum(amount for _account, amount in entries) == 0
    return tuple((account, amount) for account, amount in entries if amount)


def paper_of(
    document: Document,
    seller: Seller,
    buyer: Buyer,
    items: Mapping[int, ItemText],
    preceding: tuple[str, date] | None = None,
    results: Sequence[CampaignResult] = (),
) -> Invoice:
    """Return the document in words, with its parties; number and dates are to come."""
    language = buyer.language if buyer.language in LINE_WORDS else DEFAULT_LANGUAGE
    outside = document.is_outside  # BR-O-02: no VAT numbers then
    first_day = document.period.last_day.replace(day=1)
    number, on = preceding or ("", None)
    other_currency, other_vat, other_rate = vat_elsewhere(document, seller)
    return Invoice(
        number="",
        code=document.doc_type,
        issued_on=first_day,
        due_on=first_day,
        period=str(document.period),
        first_day=first_day,
        last_day=document.period.last_day,
        currency=document.currency,
        language=buyer.language,
        seller=named(replace(seller.party, vat_number="") if outside else seller.party, language),
        buyer=named(
            buyer.party_for({row.vat.category for row in document.vat_rows}, _tax_point(document)), language
        ),
        lines=tuple(_line(line, items, language) for line in document.lines),
        vats=tuple(paper_vat(row, language) for row in document.vat_rows),
        net_minor=document.net_minor,
        vat_minor=document.vat_minor,
        gross_minor=document.gross_minor,
        exact_micros=document.exact_micros,
        rounding_micros=document.rounding_micros,
        iban=seller.iban if document.doc_type is DocumentType.INVOICE else "",
        preceding_number=number,
        preceding_on=on,
        other_currency=other_currency,
        other_vat_minor=other_vat,
        other_rate=other_rate,
        results=tuple(results),
        days_in=buyer.language,
        edition=EDITION,
    )


def _tax_point(document: Document) -> date:
    """Return the last day of the month that the lines without VAT (AE) are of, the latest one of several."""
    days = [line.terms.origin.last_day for line in document.lines if line.terms.vat.category == "AE"]
    return max(days, default=document.period.last_day)


def _line(line: Line, items: Mapping[int, ItemText], language: str) -> InvoiceLine:
    terms, words = line.terms, LINE_WORDS[language]
    name, note = words.minimum, ""
    if terms.kind is LineKind.USAGE:
        item = items[terms.item_id]
        network = network_name(item.network, language)
        name = (words.sent if item.direction == "mt" else words.received).format(network)
        note = words.source.format(item.list_name, terms.version)
    return InvoiceLine(
        name=name,
        note=note,
        origin=str(terms.origin),
        quantity=line.quantity,
        unit_micros=terms.unit_micros,
        net_minor=line.net_minor,
        vat_category=terms.vat.category,
        vat_rate_micros=terms.vat.rate_micros,
    )


def named(party: Party, language: str) -> Party:
    """Return the party with the name of its country, as a paper in this language has it."""
    return replace(party, country_name=country_name(party.country, language))


def paper_vat(row: VatRow, language: str) -> InvoiceVat:
    """Return a row of VAT as a paper has it, with the words of the law."""
    exemption, reasons = EXEMPTIONS.get(row.vat.category, ("", {}))
    return InvoiceVat(
        row.vat.category,
        row.vat.rate_micros,
        row.basis_minor,
        row.amount_minor,
        exemption,
        reasons.get(language, ""),
    )


def vat_elsewhere(document: Document, seller: Seller) -> tuple[str, int, str]:
    """
    Return (currency, VAT, rate) in the seller's own currency where the document has another one (R12).

    Raises:
        Invalid: code `rate_unknown`: nobody could book it.
    """
    if seller.currency in {"", document.currency}:
        return "", 0, ""
    rate = seller.exchange_rates.get(document.currency)
    if rate is None:
        raise Invalid(
            f"a document in {document.currency} is booked in {seller.currency}: no exchange rate is set",
            code="rate_unknown",
        )
    vat_minor = converted(document.vat_minor, document.currency, seller.currency, rate)
    return seller.currency, vat_minor, ratio_to_text(rate)


def vat_with_rates(
    entries: Sequence[tuple[date, str, int | None]], seller_rates: Sequence[tuple[date, int]]
) -> list[tuple[date, Vat]]:
    """
    Return a merchant's history of VAT; an entry without a rate takes the seller's that is in force.

    Before the first of the seller's rates such an entry has none, and is left out: a rate is never guessed.
    """
    ordered = sorted(entries)
    rates = sorted(seller_rates)
    history: list[tuple[date, Vat]] = []
    for place, (day, category, rate) in enumerate(ordered):
        if rate is not None:
            history.append((day, Vat(category, rate)))
            continue
        end = ordered[place + 1][0] if place + 1 < len(ordered) else None
        before = [each for each in rates if each[0] <= day][-1:]
        later = [each for each in rates if each[0] > day and (end is None or each[0] < end)]
        history += [(max(day, start), Vat(category, value)) for start, value in (*before, *later)]
    return history
