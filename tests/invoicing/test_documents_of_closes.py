"""What closes and credits really write is valid by the same rules, whoever buys and in whatever currency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import pytest

from smsgate.billing.closing import Billed, ItemTerms, UsageRow, close_month
from smsgate.billing.crediting import credit_draft
from smsgate.billing.currencies import Ratio
from smsgate.billing.documents import Line
from smsgate.billing.invoices import EDITION, Invoice, Party
from smsgate.billing.issuable import check_issuable
from smsgate.billing.issuing import Buyer, Draft, ItemText, Seller, draft_of, named, vat_with_rates
from smsgate.billing.periods import Month
from smsgate.billing.vat import Vat, VatHistory
from smsgate.invoicing.en16931 import invoice_xml
from smsgate.invoicing.pdf import facturx_pdf
from smsgate.invoicing.wording import wording
from tests.invoicing.papers import BERLIN, BOXMAN, IBAN, OSLO, SELLER, before_editions
from tests.invoicing.schematron import check
from tests.invoicing.test_en16931 import RULES, RULES_FIRED_MIN
from tests.invoicing.test_pdf import text_of

OCTOBER: Final = Month(2026, 10)
SEPTEMBER: Final = Month(2026, 9)
RATES: Final = ((date(2014, 1, 1), 20_000_000),)
WHO: Final = Seller(SELLER, IBAN, vat_rates=RATES, exchange_rates={"USD": Ratio(91_825, 100_000)})
TEXTS: Final = {11: ItemText("mt", "20801", "List A"), 12: ItemText("mo", "*", "List A")}
PRECEDING: Final = ("F-2026-000122", date(2026, 10, 5))


def drafts(
    category: str, party: Party, usage: Sequence[tuple[int, Month, int]], *, currency: str = "EUR"
) -> list[Draft]:
    """Close October for a buyer of this VAT category; usage is (item, month of origin, segments)."""
    rates = {"S": None, "AE": 0, "O": -1}
    vat = VatHistory(vat_with_rates([(date(2020, 1, 1), category, rates[category])], RATES))
    items = {
        11: ItemTerms(1, 11, 3, currency, 45_670),
        12: ItemTerms(1, 12, 3, currency, 12_300),
    }
    rows = [UsageRow(item, origin, vat.on(origin.last_day), count) for item, origin, count in usage]
    buyer = Buyer(party, "en", 30)
    return [
        draft_of(document, WHO, buyer, TEXTS, ledger_micros=document.exact_micros, preceding=PRECEDING)
        if document.doc_type == "381"
        else draft_of(document, WHO, buyer, TEXTS, ledger_micros=document.exact_micros)
        for document in close_month(OCTOBER, rows, items, Billed())
    ]


def issued(draft: Draft) -> Invoice:
    return draft.numbered("F-2026", 123, date(2026, 11, 5))


def a_credit(invoice: Invoice, lines: Sequence[Line]) -> Invoice:
    """Return the last of three credits, whose net and VAT are what the first two left."""
    before = [[(1, 1)], [(1, 1)]]
    return issued(credit_draft(invoice, lines, before, None))


USAGE: Final = ((11, OCTOBER, 12_345), (12, OCTOBER, 3), (11, SEPTEMBER, 7))
CASES: Final = {
    "a French business": ("S", BOXMAN, USAGE, "EUR"),
    "a German business": ("AE", BERLIN, USAGE, "EUR"),
    "a Norwegian business": ("O", OSLO, USAGE, "EUR"),
    "in dollars": ("S", BOXMAN, USAGE, "USD"),
    "more given back than used": ("S", BOXMAN, ((11, SEPTEMBER, -30), (11, OCTOBER, 10)), "EUR"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_documents_of_a_close_pass_every_rule_and_so_does_a_credit_of_them(name: str) -> None:
    category, party, usage, currency = CASES[name]
    (draft,) = drafts(category, party, usage, currency=currency)
    papers = [issued(draft)]
    if draft.document.doc_type == "380":
        papers.append(a_credit(papers[0], draft.document.lines))
    for paper in papers:
        for syntax, rules in RULES:
            findings = check(invoice_xml(paper, syntax), rules)
            assert findings.failed == [], (paper.code, syntax, rules)
            assert findings.rules_fired >= RULES_FIRED_MIN


@pytest.mark.parametrize("given_back", [False, True], ids=["used", "more given back than used"])
def test_credits_in_dollars_give_back_the_vat_in_euros_to_the_cent(given_back: bool) -> None:
    sign = -1 if given_back else 1
    rows = [
        UsageRow(11, SEPTEMBER, Vat("S", 20_000_000), sign * 7),
        UsageRow(11, OCTOBER, Vat("AE", 0), 100),
    ]
    (document,) = close_month(OCTOBER, rows, {11: ItemTerms(1, 11, 3, "USD", 47_000)}, Billed())
    buyer = Buyer(BERLIN, "en", 30)
    invoice = issued(draft_of(document, WHO, buyer, TEXTS, ledger_micros=document.exact_micros))
    # 20 % of 33 cents, 0.91825 euros a dollar
    assert (invoice.code, invoice.vat_minor, invoice.other_vat_minor) == ("380", sign * 7, sign * 6)
    taxed = 1 + [line.vat_category for line in invoice.lines].index("S")
    before: list[list[tuple[int, int]]] = []
    euros = []
    for _ in range(7):
        asked = [(taxed, sign)]
        euros.append(issued(credit_draft(invoice, document.lines, before, asked)).other_vat_minor)
        before.append(asked)
    assert sum(euros) == invoice.other_vat_minor
    whole = issued(credit_draft(invoice, document.lines, [], None))
    assert whole.other_vat_minor == invoice.other_vat_minor


@pytest.mark.parametrize("edition", range(EDITION))
def test_a_credit_of_an_invoice_with_older_words_has_those_of_today(edition: int) -> None:
    (draft,) = drafts("S", BOXMAN, USAGE)
    invoice = replace(issued(draft), language="fr", edition=edition)
    old = before_editions(invoice) if not edition else invoice
    credit = a_credit(old, draft.document.lines)
    assert credit.edition == EDITION
    text = text_of(facturx_pdf(credit))
    assert wording("fr").to_receive in text
    assert IBAN not in text
    for syntax, rules in RULES:
        assert check(invoice_xml(credit, syntax), rules).failed == [], (syntax, rules)


def test_a_rate_of_the_seller_that_changes_splits_the_history_and_others_stay() -> None:
    entries = [(date(2020, 1, 1), "S", None), (date(2026, 5, 1), "AE", 0), (date(2026, 9, 1), "S", None)]
    rates = [(date(2014, 1, 1), 20_000_000), (date(2026, 3, 1), 21_000_000), (date(2026, 6, 1), 22_000_000)]
    assert vat_with_rates(entries, rates) == [
        (date(2020, 1, 1), Vat("S", 20_000_000)),
        (date(2026, 3, 1), Vat("S", 21_000_000)),
        (date(2026, 5, 1), Vat("AE", 0)),
        (date(2026, 9, 1), Vat("S", 22_000_000)),
    ]
    assert vat_with_rates(entries[:1], [(date(2021, 1, 1), 5)]) == [(date(2021, 1, 1), Vat("S", 5))]


def test_the_numbers_of_the_invoice_are_those_of_its_seller() -> None:
    (draft,) = drafts("O", OSLO, USAGE)
    paper = issued(draft)
    assert (paper.seller.vat_number, paper.number, paper.iban) == ("", "F-2026-000123", IBAN)
    assert paper.due_on == date(2026, 12, 5)
    assert replace(paper.seller, vat_number=SELLER.vat_number) == named(SELLER, paper.language)


@pytest.mark.parametrize(
    ("origin", "changed_on", "named"),
    [
        (OCTOBER, date(2026, 10, 31), "DE811569869"),  # valid at the end of the month of use
        (OCTOBER, date(2026, 11, 1), BERLIN.vat_number),  # changed between the month and its close
        (OCTOBER.previous(), date(2026, 10, 1), BERLIN.vat_number),  # late lines alone, of before the change
    ],
)
def test_of_two_vat_numbers_the_one_at_the_tax_point_is_named(
    origin: Month, changed_on: date, named: str
) -> None:
    rows = [UsageRow(11, origin, Vat("AE", 0), 7)]
    (document,) = close_month(OCTOBER, rows, {11: ItemTerms(1, 11, 3, "EUR", 45_670)}, Billed())
    numbers = ((date(2000, 1, 1), BERLIN.vat_number), (changed_on, "DE811569869"))
    buyer = Buyer(replace(BERLIN, vat_number="DE811569869"), "en", 30, reverse_numbers=numbers)
    draft = draft_of(document, WHO, buyer, TEXTS, ledger_micros=document.exact_micros)
    assert draft.invoice.buyer.vat_number == named


@pytest.mark.parametrize("number_now", ["", "DE136695977"])
def test_a_month_in_which_the_vat_number_was_lost_names_it_beside_both_reasons(number_now: str) -> None:
    taxed = [Vat("AE", 0), Vat("S", 20_000_000)]
    rows = [UsageRow(11, OCTOBER, vat, count) for vat, count in zip(taxed, (7, 5), strict=True)]
    (document,) = close_month(OCTOBER, rows, {11: ItemTerms(1, 11, 3, "EUR", 45_670)}, Billed())
    buyer = Buyer(
        replace(BERLIN, vat_number=number_now),
        "en",
        30,
        reverse_numbers=((date(2000, 1, 1), BERLIN.vat_number),),
    )
    draft = draft_of(document, WHO, buyer, TEXTS, ledger_micros=document.exact_micros)
    check_issuable(draft.invoice, business=True)
    paper = issued(draft)
    assert paper.buyer == named(BERLIN, "en")
    assert paper.buyer.country_name == "Germany"
    assert [(row.category, row.basis_minor, row.amount_minor, row.reason) for row in paper.vats] == [
        ("AE", 32, 0, "Autoliquidation (reverse charge)"),
        ("S", 23, 5, ""),
    ]
    for syntax, rules in RULES:
        findings = check(invoice_xml(paper, syntax), rules)
        assert findings.failed == [], (syntax, rules)
        assert findings.rules_fired >= RULES_FIRED_MIN
