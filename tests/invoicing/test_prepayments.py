"""
Prepayment invoices (386), invoices that deduct them (380) and their credits (503), as the core makes them.

They are valid by the rules that nobody in the project wrote, and say what the merchant must know.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final, NamedTuple

import pytest
from lxml import etree

from smsgate.billing.advances import Advance, deducting, deductions_of, prepayment_draft, refund_draft
from smsgate.billing.invoices import Invoice, Party
from smsgate.billing.issuing import Buyer
from smsgate.billing.periods import Month
from smsgate.billing.vat import NO_RATE, Vat
from smsgate.invoicing.en16931 import Syntax, invoice_xml
from smsgate.invoicing.pdf import facturx_pdf
from tests.invoicing.papers import BERLIN, BOXMAN, OSLO
from tests.invoicing.schematron import FRANCE_CII, FRANCE_UBL, check
from tests.invoicing.test_documents_of_closes import OCTOBER, WHO, drafts
from tests.invoicing.test_en16931 import RULES, RULES_FIRED_MIN
from tests.invoicing.test_pdf import text_of

PAID_ON: Final = date(2026, 10, 2)
ISSUED_ON: Final = date(2026, 11, 5)
NAMESPACES: Final = {
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
}


class Trade(NamedTuple):
    vat: Vat
    party: Party
    currency: str


TRADES: Final = {
    "a French business": Trade(Vat("S", 20_000_000), BOXMAN, "EUR"),
    "a German business": Trade(Vat("AE", 0), BERLIN, "EUR"),
    "a Norwegian business": Trade(Vat("O", NO_RATE), OSLO, "EUR"),
    "in dollars": Trade(Vat("S", 20_000_000), BOXMAN, "USD"),
}
FRENCH: Final = TRADES["a French business"]


def a_prepayment(trade: Trade, net_minor: int, number: int) -> Invoice:
    draft = prepayment_draft(
        net_minor * 10_000, trade.currency, trade.vat, WHO, Buyer(trade.party, "en", 30),
        reference=f"transfer {number}", paid_on=PAID_ON, month=OCTOBER,
    )  # fmt: skip
    return draft.numbered("F-2026", number, PAID_ON)


def an_advance(invoice: Invoice, used: int = 0) -> Advance:
    return Advance(1, invoice.number, invoice.issued_on, invoice.net_minor, invoice.vat_minor, used)


def a_final(trade: Trade, *payments: Invoice) -> Invoice:
    """Return October's invoice, 12,345 x 0.04567, which deducts these."""
    usage = ((11, OCTOBER, 12_345),)
    (draft,) = drafts(trade.vat.category, trade.party, usage, currency=trade.currency)
    parts = deductions_of(map(an_advance, payments), draft.document.gross_minor, 10**9)
    return deducting(draft, parts).numbered("F-2026", 123, ISSUED_ON)


def a_refund(trade: Trade, payment: Invoice) -> Invoice:
    part = an_advance(payment, 1_001).taking(payment.gross_minor - 1_001)
    draft = refund_draft(payment, trade.vat, part, reference="the end", paid_on=ISSUED_ON)
    return draft.numbered("F-2026", 124, ISSUED_ON)


def papers(trade: Trade) -> dict[str, Invoice]:
    first, second = a_prepayment(trade, 50_000, 1), a_prepayment(trade, 20_000, 2)
    return {
        "386, paid": first,
        "380, nothing left to pay": a_final(trade, first, second),
        "380, the rest to pay": a_final(trade, second),
        "503": a_refund(trade, second),
    }


@pytest.mark.parametrize("name", TRADES)
def test_each_document_passes_every_rule_of_its_syntax(name: str) -> None:
    for kind, paper in papers(TRADES[name]).items():
        for syntax, rules in RULES:
            findings = check(invoice_xml(paper, syntax), rules)
            assert findings.failed == [], (kind, syntax, rules)
            assert findings.rules_fired >= RULES_FIRED_MIN


def said(paper: Invoice, syntax: Syntax, path: str) -> list[str]:
    root = etree.fromstring(invoice_xml(paper, syntax))
    return [found.text or "" for found in root.iterfind(path, NAMESPACES)]


def test_the_process_says_what_is_paid_when_and_a_final_invoice_is_one_even_if_nothing_is_left() -> None:
    found = {kind: said(paper, Syntax.UBL, "cbc:ProfileID") for kind, paper in papers(FRENCH).items()}
    assert found == {
        "386, paid": ["S2"],
        "380, nothing left to pay": ["S4"],
        "380, the rest to pay": ["S4"],
        "503": ["S1"],
    }


def test_a_final_invoice_names_each_prepayment_and_what_is_deducted() -> None:
    paper = papers(FRENCH)["380, nothing left to pay"]
    # 563.80 and 20 % of it: 676.56 of 600.00 and 240.00.
    totals = "cac:LegalMonetaryTotal/cbc:"
    assert said(paper, Syntax.UBL, totals + "PrepaidAmount") == ["676.56"]
    assert said(paper, Syntax.UBL, totals + "PayableAmount") == ["0.00"]
    reference = "cac:BillingReference/cac:InvoiceDocumentReference/cbc:"
    assert said(paper, Syntax.UBL, reference + "ID") == ["F-2026-000001", "F-2026-000002"]
    assert said(paper, Syntax.UBL, reference + "IssueDate") == ["2026-10-02", "2026-10-02"]
    assert said(paper, Syntax.CII, ".//ram:InvoiceReferencedDocument/ram:IssuerAssignedID") == [
        "F-2026-000001", "F-2026-000002",
    ]  # fmt: skip
    assert said(paper, Syntax.CII, ".//ram:TotalPrepaidAmount") == ["676.56"]
    (terms,) = said(paper, Syntax.CII, ".//ram:SpecifiedTradePaymentTerms/ram:Description")
    assert terms == (
        "Deducted: prepayment F-2026-000001 of 2 October 2026, 600.00 EUR, VAT in it 100.00 EUR. "
        "Deducted: prepayment F-2026-000002 of 2 October 2026, 76.56 EUR, VAT in it 12.76 EUR. "
        "Paid; nothing is due."
    )


def test_peppol_has_no_503_and_gets_a_credit_note() -> None:
    paper = papers(FRENCH)["503"]
    assert said(paper, Syntax.UBL, "cbc:CreditNoteTypeCode") == ["503"]
    assert said(paper, Syntax.PEPPOL, "cbc:CreditNoteTypeCode") == ["381"]


WRONG: Final = (
    ("386, paid", Syntax.UBL, FRANCE_UBL, b">S2</cbc:ProfileID>", b">S4</cbc:ProfileID>", "BR-FR-CO-08"),
    ("386, paid", Syntax.CII, FRANCE_CII, b">600.00</ram:TotalP", b">599.00</ram:TotalP", "BR-FR-CO-09"),
    ("503", Syntax.UBL, FRANCE_UBL, b"cbc:IssueDate>2026-10-02", b"cbc:IssueDate>1026-10-02", "BR-FR-03"),
    ("380, the rest to pay", Syntax.UBL, FRANCE_UBL, b">S4</cbc:Prof", b">S2</cbc:Prof", "BR-FR-CO-09"),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "syntax", "rules", "right", "wrong", "rule"), WRONG)
def test_a_spoiled_document_is_refused_so_the_rules_really_ran(
    kind: str, syntax: Syntax, rules: str, right: bytes, wrong: bytes, rule: str
) -> None:
    xml = invoice_xml(papers(FRENCH)[kind], syntax)
    assert right in xml
    failed = check(xml.replace(right, wrong), rules).failed
    assert any(rule in found for found in failed), failed


def test_the_pages_tell_what_was_paid_and_what_of_it_is_vat() -> None:
    made = papers(FRENCH)
    prepayment = text_of(facturx_pdf(made["386, paid"]))
    for shown in (
        "Prepayment invoice F-2026-000001",
        "Payment transfer 1 of 2 October 2026.",
        "-600.00",
        "Quantity",
    ):
        assert shown in prepayment
    assert "Segments" not in prepayment
    assert "Exact sum" not in prepayment
    whole, part = (
        " ".join(text_of(facturx_pdf(made[kind])).split())
        for kind in ("380, nothing left to pay", "380, the rest to pay")
    )
    assert "Prepayment F-2026-000002 of 2 October 2026 (VAT in it: 12.76)" in whole
    assert "Paid; nothing is due." in whole
    assert "Pay by transfer" not in whole
    assert "Pay by transfer" in part
    assert "To pay EUR 436.56" in part
    refund = text_of(facturx_pdf(made["503"]))
    assert "Credit note of a prepayment F-2026-000124" in refund
    french = replace(made["380, nothing left to pay"], language="fr")
    assert "dont TVA : 100,00" in text_of(facturx_pdf(french))
    assert Month.parse(french.period) == OCTOBER
