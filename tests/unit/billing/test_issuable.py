"""What a document cannot say is seen before it has a number."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from smsgate.billing.closing import Billed, ItemTerms, UsageRow, close_month
from smsgate.billing.documents import DocumentType, document_of
from smsgate.billing.invoices import Party
from smsgate.billing.issuable import is_listed_rate
from smsgate.billing.issuing import Buyer, Draft, ItemText, Seller, draft_of
from smsgate.billing.payout_papers import payout_draft
from smsgate.billing.payouts import PremiumUse, payout_of
from smsgate.billing.periods import Month
from smsgate.billing.vat import NO_RATE, Vat
from smsgate.errors import DomainError

OCTOBER, SEPTEMBER = Month(2026, 10), Month(2026, 9)
PARTY = Party(
    "Passerelle SAS", "1 rue de la Paix", "75002", "Paris", "FR", "732829320", vat_number="FR44732829320"
)
SELLER = Seller(PARTY, currency="")
FRENCH = Party("Boxman SARL", "2 rue des Disques", "69001", "Lyon", "FR", "552100554")
GERMAN = Party("Plattenladen GmbH", "Torstraße 1", "10119", "Berlin", "DE", vat_number="DE136695976")
S20, OUTSIDE, REVERSE = Vat("S", 20_000_000), Vat("O", NO_RATE), Vat("AE", 0)


def a_draft(
    *used: tuple[Month, Vat, int],
    buyer: Party = FRENCH,
    currency: str = "EUR",
    seller: Seller = SELLER,
    business: bool = True,
) -> Draft:
    """Draft October: segments at 0.045 by month of origin and VAT."""
    items = {11: ItemTerms(1, 11, 1, currency, 45_000)}
    rows = [UsageRow(11, origin, vat, segments) for origin, vat, segments in used]
    (document,) = close_month(OCTOBER, rows, items, Billed())
    return draft_of(
        document, seller, Buyer(buyer, "en", 30, business), {11: ItemText("mt", "20801", "List")},
        ledger_micros=document.exact_micros,
    )  # fmt: skip


USED = (OCTOBER, S20, 100)


def test_category_o_stands_in_a_document_of_its_own_and_beside_others_in_none() -> None:
    items = {11: ItemTerms(1, 11, 1, "EUR", 45_000)}
    rows = [
        UsageRow(11, OCTOBER, OUTSIDE, 5),
        UsageRow(11, OCTOBER, S20, 100),
        UsageRow(11, OCTOBER, REVERSE, 3),
    ]
    documents = close_month(OCTOBER, rows, items, Billed())
    categories = [{line.terms.vat.category for line in each.lines} for each in documents]
    assert categories == [{"S", "AE"}, {"O"}]
    mixed = document_of(OCTOBER, "EUR", [line for each in documents for line in each.lines])
    with pytest.raises(DomainError, match="category O beside others"):
        draft_of(
            mixed, SELLER, Buyer(FRENCH, "en", 30), {11: ItemText("mt", "20801", "List")},
            ledger_micros=mixed.exact_micros,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("used", "terms", "code", "sentence"),
    [
        ([(SEPTEMBER, S20, -100)], {}, "document_refused", "names no invoice"),
        ([USED], {"currency": "TND"}, "document_refused", "3 decimals"),
        ([USED], {"currency": "CLF"}, "document_refused", "4 decimals"),
        ([(OCTOBER, Vat("S", 21_000_000), 5)], {}, "billing_incomplete",
         "21 % is no VAT rate of France in 2026-10"),
        ([USED, (SEPTEMBER, Vat("S", 19_600_000), 5)], {}, "billing_incomplete", "19.6 % .* in 2026-09"),
        ([USED], {"buyer": replace(FRENCH, legal_id="")}, "billing_incomplete", "Boxman SARL has no SIREN"),
        ([USED], {"buyer": replace(FRENCH, legal_scheme="0009")}, "billing_incomplete", "has no SIREN"),
        ([USED], {"seller": replace(SELLER, party=replace(PARTY, legal_id=""))}, "billing_incomplete",
         "Passerelle SAS has no SIREN"),
        ([USED], {"seller": replace(SELLER, party=replace(PARTY, vat_number=""))}, "billing_incomplete",
         "Passerelle SAS has no VAT number"),
        ([(OCTOBER, REVERSE, 9)], {"buyer": replace(GERMAN, vat_number="")}, "billing_incomplete",
         "Plattenladen GmbH has no VAT number"),
    ],
)  # fmt: skip
def test_what_no_document_can_say_is_refused_with_its_reason(
    used: list[tuple[Month, Vat, int]], terms: dict[str, Any], code: str, sentence: str
) -> None:
    with pytest.raises(DomainError, match=sentence) as caught:
        a_draft(*used, **terms)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("used", "terms"),
    [
        ([USED, (SEPTEMBER, S20, 5)], {}),
        ([(OCTOBER, Vat("S", 5_500_000), 9)], {}),
        ([USED], {"currency": "JPY"}),
        ([USED], {"buyer": replace(FRENCH, legal_id=""), "business": False}),
        ([USED], {"buyer": replace(FRENCH, country="MC", legal_id="")}),
        ([(OCTOBER, REVERSE, 9), USED], {"buyer": GERMAN}),
        ([(OCTOBER, OUTSIDE, 9)], {"buyer": replace(GERMAN, country="NO", vat_number="")}),
    ],
)
def test_what_a_document_can_say_has_a_draft(
    used: list[tuple[Month, Vat, int]], terms: dict[str, Any]
) -> None:
    assert a_draft(*used, **terms).document.doc_type is DocumentType.INVOICE


def test_figures_alone_as_of_a_worked_case_have_no_form_to_fit_in() -> None:
    figures = replace(SELLER, e_invoices=False, party=replace(PARTY, legal_id="", vat_number=""))
    assert (
        a_draft((OCTOBER, Vat("S", 21_000_000), 5), currency="TND", seller=figures).document.net_minor == 225
    )


def test_a_payout_is_held_to_the_same() -> None:
    payout = payout_of([PremiumUse("81234", 500_000, 20_000_000, 60_000_000, 70_000_000, 3)], "EUR", S20)
    publisher = replace(FRENCH, vat_number="FR96552100554", legal_id="")
    with pytest.raises(DomainError, match="Boxman SARL has no SIREN"):
        payout_draft(payout, OCTOBER, "EUR", Buyer(publisher, "fr", 30), SELLER)


@pytest.mark.parametrize(
    ("rate", "month", "listed"),
    [
        (20_000_000, Month(2026, 10), True),
        (20_000_000, Month(2013, 12), False),
        (19_600_000, Month(2013, 12), True),
        (19_600_000, Month(2000, 4), True),
        (20_600_000, Month(2000, 3), True),
        (20_600_000, Month(2000, 4), False),
        (0, Month(2026, 10), False),
        (8_500_000, Month(2026, 10), True),
    ],
)
def test_a_rate_is_listed_for_the_months_in_which_it_held(rate: int, month: Month, listed: bool) -> None:
    first_day = date(month.year, month.month, 1)
    assert is_listed_rate("FR", rate, first_day, month.last_day) is listed
    assert is_listed_rate("MC", rate, first_day, month.last_day) is listed
