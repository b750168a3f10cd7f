"""What is reported of sales outside of French e-invoicing, in totals by day."""

from __future__ import annotations

from datetime import date

from smsgate.billing.currencies import Ratio
from smsgate.billing.documents import DocumentType
from smsgate.billing.ereporting import SoldAdvance, SoldDocument, outside_e_invoicing, report_of
from smsgate.billing.vat import NO_RATE, Vat, VatRow

DAY = date(2026, 11, 5)
STANDARD, REDUCED, OUTSIDE = Vat("S", 20_000_000), Vat("S", 10_000_000), Vat("O", NO_RATE)
HEAD = "date,currency,vat_category,vat_rate,documents,net,vat,net_eur,vat_eur\r\n"


def test_who_is_abroad_or_has_no_siren_is_reported() -> None:
    customers = (("FR", "552100554"), ("FR", ""), ("MC", "1"), ("DE", ""))
    assert [outside_e_invoicing(*each) for each in customers] == [False, True, True, True]


def test_documents_of_a_day_are_added_up_and_credits_taken_off() -> None:
    report = report_of([
        SoldDocument(DocumentType.INVOICE, DAY, "EUR", (VatRow(STANDARD, 10_000, 2_000),)),
        SoldDocument(DocumentType.INVOICE, DAY, "EUR", (VatRow(STANDARD, 500, 100), VatRow(OUTSIDE, 70, 0))),
        SoldDocument(DocumentType.CREDIT_NOTE, DAY, "EUR", (VatRow(STANDARD, 1_000, 200),)),
    ])  # fmt: skip
    assert report.csv().decode() == (
        f"{HEAD}2026-11-05,EUR,O,,1,0.70,0.00,0.70,0.00\r\n2026-11-05,EUR,S,20,3,95.00,19.00,95.00,19.00\r\n"
    )


def test_euros_of_vat_are_those_that_the_document_prints() -> None:
    """11.11 and 0.05 USD at 0.91825 are 10.20 and 0.05 EUR; together 10.25, and the paper says 10.25."""
    rows = (VatRow(REDUCED, 11_110, 1_111), VatRow(STANDARD, 25, 5))
    report = report_of([SoldDocument(DocumentType.INVOICE, DAY, "USD", rows, Ratio(91_825, 100_000), 1_025)])
    first, second = (report.totals[key] for key in sorted(report.totals))
    assert (first.vat_eur_minor, second.vat_eur_minor) == (1_020, 5)
    assert (first.net_eur_minor, second.net_eur_minor) == (10_202, 23)


def test_what_was_paid_in_advance_is_reported_once_with_its_prepayment_invoice() -> None:
    """10.00 net were paid in advance with 2.00 VAT; the month is 15.00 and 3.00."""
    report = report_of([
        SoldDocument(DocumentType.PREPAYMENT, DAY, "EUR", (VatRow(STANDARD, 1_000, 200),)),
        SoldDocument(
            DocumentType.INVOICE, DAY, "EUR", (VatRow(STANDARD, 1_500, 300),),
            advances=(SoldAdvance(STANDARD, 1_000, 200),),
        ),
    ])  # fmt: skip
    (total,) = report.totals.values()
    assert (total.documents, total.net_minor, total.vat_minor) == (2, 1_500, 300)


def test_an_advance_is_taken_off_at_its_own_rate_not_at_that_of_the_invoice() -> None:
    """100.00 were paid in advance at 10 % and used at 20 %: taken back at 10 %, sold at 20 %."""
    later = date(2026, 12, 5)
    report = report_of([
        SoldDocument(DocumentType.PREPAYMENT, DAY, "EUR", (VatRow(REDUCED, 10_000, 1_000),)),
        SoldDocument(
            DocumentType.INVOICE, later, "EUR", (VatRow(STANDARD, 10_000, 2_000),),
            advances=(SoldAdvance(REDUCED, 10_000, 1_000),),
        ),
    ])  # fmt: skip
    assert report.csv().decode() == (
        f"{HEAD}2026-11-05,EUR,S,10,1,100.00,10.00,100.00,10.00\r\n"
        "2026-12-05,EUR,S,10,1,-100.00,-10.00,-100.00,-10.00\r\n"
        "2026-12-05,EUR,S,20,1,100.00,20.00,100.00,20.00\r\n"
    )


def test_an_advance_is_taken_off_at_its_own_exchange_rate() -> None:
    """12.00 USD were paid at 0.9, 12.00 more are used at 0.8: what was reported in euros is taken off."""
    rows = (VatRow(STANDARD, 1_000, 200),)
    report = report_of([
        SoldDocument(DocumentType.PREPAYMENT, DAY, "USD", rows, Ratio(9, 10), 180),
        SoldDocument(
            DocumentType.INVOICE, DAY, "USD", rows, Ratio(8, 10), 160,
            advances=(SoldAdvance(STANDARD, 1_000, 200, Ratio(9, 10)),),
        ),
    ])  # fmt: skip
    (total,) = report.totals.values()
    assert (total.net_minor, total.vat_minor, total.net_eur_minor, total.vat_eur_minor) == (
        1_000, 200, 800, 160,
    )  # fmt: skip
