"""The self-billed documents that payouts write are valid by rules that we did not write."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from smsgate.billing.documents import DocumentType
from smsgate.billing.invoices import Party
from smsgate.billing.issuing import Buyer
from smsgate.billing.payout_papers import payout_draft, payout_vat
from smsgate.billing.payouts import PremiumUse, payout_of
from smsgate.billing.periods import Month
from smsgate.billing.vat import Vat, VatHistory
from smsgate.errors import DomainError
from smsgate.invoicing.en16931 import Syntax, invoice_xml
from smsgate.invoicing.pdf import facturx_pdf
from tests.invoicing.papers import BERLIN, BOXMAN, OSLO
from tests.invoicing.schematron import EN16931_UBL, FACTURX, FRANCE_CII, FRANCE_UBL, check
from tests.invoicing.test_documents_of_closes import WHO
from tests.invoicing.test_en16931 import RULES_FIRED_MIN

OCTOBER = Month(2026, 10)
RATES = VatHistory([(date(2014, 1, 1), Vat("S", 20_000_000))])
PERCENT = 1_000_000
USES = (
    PremiumUse("81234", 500_000, 20 * PERCENT, 60 * PERCENT, 70 * PERCENT, 1_003),
    PremiumUse("61234", 4_500_000, 20 * PERCENT, 60 * PERCENT, 33_333_333, 7),
)


@pytest.mark.parametrize(("party", "category"), [(BOXMAN, "S"), (BERLIN, "AE"), (OSLO, "O")])
def test_the_document_of_a_payout_passes_every_rule(party: Party, category: str) -> None:
    vat = payout_vat(party.country, number_valid=True, day=OCTOBER.last_day, seller_rates=RATES)
    assert vat.category == category
    payout = payout_of(USES, "EUR", vat)
    draft = payout_draft(payout, OCTOBER, "EUR", Buyer(party, "fr", 30), WHO)
    paper = draft.numbered("P-boxman-2026", 1, date(2026, 11, 5))
    assert paper.code is DocumentType.SELF_BILLED
    assert (paper.seller.name, paper.buyer.name) == (party.name, WHO.party.name)
    assert sum(amount for _account, amount in draft.entries) == 0
    rules_of = [(Syntax.CII, FACTURX), (Syntax.UBL, EN16931_UBL)]
    if party.country == "FR":  # Flux 2 is for sellers in France: BR-FR-10 wants their SIREN
        rules_of += [(Syntax.CII, FRANCE_CII), (Syntax.UBL, FRANCE_UBL)]
    for syntax, rules in rules_of:
        findings = check(invoice_xml(paper, syntax), rules)
        assert findings.failed == [], (syntax, rules)
        assert findings.rules_fired >= RULES_FIRED_MIN
    assert facturx_pdf(paper).startswith(b"%PDF-")
    assert facturx_pdf(replace(paper, language="en")).startswith(b"%PDF-")


def test_a_payout_in_dollars_tells_its_vat_in_euros_and_the_rate_that_it_is_booked_by() -> None:
    vat = payout_vat("FR", number_valid=True, day=OCTOBER.last_day, seller_rates=RATES)
    draft = payout_draft(payout_of(USES, "USD", vat), OCTOBER, "USD", Buyer(BOXMAN, "fr", 30), WHO)
    paper = draft.numbered("P-boxman-2026", 1, date(2026, 11, 5))
    assert (paper.vat_minor, paper.other_currency, paper.other_vat_minor, paper.other_rate) == (
        3_616, "EUR", 3_320, "0.91825",  # 36.16 x 0.91825 is 33.2039
    )  # fmt: skip
    for syntax, rules in ((Syntax.CII, FRANCE_CII), (Syntax.UBL, FRANCE_UBL)):
        assert check(invoice_xml(paper, syntax), rules).failed == []  # BR-FR-CO-12


@pytest.mark.parametrize("country", ["FR", "MC", "DE"])
def test_without_a_valid_number_nobody_knows_the_vat_and_it_is_not_guessed(country: str) -> None:
    with pytest.raises(DomainError) as caught:
        payout_vat(country, number_valid=False, day=OCTOBER.last_day, seller_rates=RATES)
    assert caught.value.code == "payout_refused"
