"""Documents to try: the sample of October 2026, and one of each kind that the close makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any, Final

from smsgate.billing.documents import DocumentType
from smsgate.billing.invoices import (
    EDITION,
    CampaignResult,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    Party,
)
from smsgate.billing.issuing import named
from smsgate.billing.vat import NO_RATE
from smsgate.money import micros_per_minor, round_half_away

PERCENT: Final = 1_000_000
SELLER: Final = Party(
    "Passerelle SAS",
    "1 rue de la Paix",
    "75002",
    "Paris",
    "FR",
    "732829320",
    "0002",
    "FR44732829320",
    "732829320",
)
BOXMAN: Final = Party(
    "Boxman SARL",
    "2 rue des Disques",
    "69001",
    "Lyon",
    "FR",
    "552100554",
    "0002",
    "FR96552100554",
    "552100554",
)
BERLIN: Final = Party(
    "Plattenladen GmbH",
    "Torstraße 1",
    "10119",
    "Berlin",
    "DE",
    "HRB12345",
    "",
    "DE136695976",
    "DE136695976",
    "9930",
)
OSLO: Final = Party(
    "Plate AS", "Storgata 1", "0155", "Oslo", "NO", "974760673", "0192", "", "974760673", "0192"
)
IBAN: Final = "FR1420041010050500013M02606"


def a_line(quantity: int, unit_micros: int, *, currency: str = "EUR", **changes: Any) -> InvoiceLine:
    net = round_half_away(quantity * unit_micros, micros_per_minor(currency))
    line = InvoiceLine(
        "SMS, France, 20801", "List A, version 11.", "2026-10", quantity, unit_micros, net, "S", 20 * PERCENT
    )
    return replace(line, **changes)


def an_invoice(
    lines: Iterable[InvoiceLine], *, exemptions: dict[str, tuple[str, str]] | None = None, **changes: Any
) -> Invoice:
    lines = tuple(lines)
    currency = changes.get("currency", "EUR")
    bases: dict[tuple[str, int], int] = {}
    for line in lines:
        key = (line.vat_category, line.vat_rate_micros)
        bases[key] = bases.get(key, 0) + line.net_minor
    vats = tuple(
        InvoiceVat(
            category,
            rate,
            basis,
            round_half_away(basis * max(rate, 0), 100 * PERCENT),
            *(exemptions or {}).get(category, ()),
        )
        for (category, rate), basis in sorted(bases.items())
    )
    net, vat = sum(line.net_minor for line in lines), sum(row.amount_minor for row in vats)
    exact = sum(line.quantity * line.unit_micros for line in lines)
    invoice = Invoice(
        number="F-000123",
        code=DocumentType.INVOICE,
        issued_on=date(2026, 11, 5),
        due_on=date(2026, 12, 5),
        period="2026-10",
        first_day=date(2026, 10, 1),
        last_day=date(2026, 10, 31),
        currency=currency,
        language="fr",
        seller=SELLER,
        buyer=BOXMAN,
        lines=lines,
        vats=vats,
        net_minor=net,
        vat_minor=vat,
        gross_minor=net + vat,
        exact_micros=exact,
        rounding_micros=exact - net * micros_per_minor(currency),
        iban=IBAN,
        days_in=changes.get("language", "fr"),
        edition=EDITION,
    )
    invoice = replace(invoice, **changes)
    seller, buyer = (named(party, invoice.language) for party in (invoice.seller, invoice.buyer))
    return replace(invoice, seller=seller, buyer=buyer)


def before_editions(invoice: Invoice) -> Invoice:
    """Return the document as it was issued when papers had no edition, and countries were codes."""
    seller, buyer = (replace(party, country_name="") for party in (invoice.seller, invoice.buyer))
    return replace(invoice, seller=seller, buyer=buyer, edition=0)


def october(**changes: Any) -> Invoice:
    """Four lines with six-digit prices: 12,980.39 net, 2,596.08 VAT, 15,576.47 gross."""
    lines = (
        a_line(123_457, 45_670),
        a_line(98_761, 47_100, name="SMS, France, 20810"),
        a_line(54_321, 44_925, name="SMS, France, 20815"),
        a_line(20_333, 12_300, name="Replies to 36111"),
    )
    results = (CampaignResult("Madonna €", 123_457, 120_001, 3_210, 6_387_900, 563_828),)
    return an_invoice(lines, results=results, **changes)


def every_kind() -> dict[str, Invoice]:
    """One of each kind that a close, a credit or a top-up can make."""
    reverse = {"AE": ("VATEX-EU-AE", "Autoliquidation")}
    outside = {"O": ("VATEX-EU-O", "Outside the scope of VAT")}
    month = october()
    return {
        "invoice": month,
        "invoice with late lines of an earlier month and a reversal": an_invoice((
            a_line(1_000, 45_000), a_line(12, 45_670, origin="2026-09"), a_line(-3, 45_670, origin="2026-09"),
        )),
        "two VAT rates": an_invoice((a_line(10, 450_000), a_line(7, 45_000, vat_rate_micros=5_500_000))),
        "credit note": an_invoice(
            (a_line(7, 45_670),),
            code=DocumentType.CREDIT_NOTE, number="A-000001", preceding_number="F-000123",
            preceding_on=date(2026, 11, 5), iban="",
        ),
        "prepayment": an_invoice(
            (a_line(1, 100_000_000, name="Top-up"),),
            code=DocumentType.PREPAYMENT, paid_minor=12_000, number="P-000001",
        ),
        "paid in advance": replace(month, paid_minor=month.gross_minor),
        "self-billed payout": an_invoice(
            (a_line(321, 415_000, name="Payout of 81234"),), code=DocumentType.SELF_BILLED, number="S-000001",
            seller=BOXMAN, buyer=SELLER,
        ),
        "reverse charge": an_invoice(
            (a_line(2_000, 61_000, vat_category="AE", vat_rate_micros=0),),
            exemptions=reverse, buyer=BERLIN, language="en",
        ),
        "outside the EU": an_invoice(
            (a_line(2_000, 61_000, vat_category="O", vat_rate_micros=NO_RATE),),
            exemptions=outside, language="en",
            buyer=OSLO, seller=replace(SELLER, vat_number=""),
        ),
        "dollars, VAT told in euros": an_invoice(
            (a_line(5_000, 51_000, currency="USD"),),
            currency="USD", other_currency="EUR", other_vat_minor=4_700,
        ),
        "nothing but the rest of a minimum": an_invoice(
            (a_line(1, 250_000_000, name="Shortfall of the minimum", note=""),),
        ),
    }  # fmt: skip
