"""Advances and what is deducted of them, held to an independent calculation in fractions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.advances import (
    Advance,
    deducting,
    deductions_of,
    prepayment_draft,
    refund_draft,
)
from smsgate.billing.budgets import Budget
from smsgate.billing.closing import Billed, ItemTerms, UsageRow, close_month
from smsgate.billing.currencies import Ratio
from smsgate.billing.documents import DocumentType
from smsgate.billing.ereporting import SoldAdvance, SoldDocument, report_of
from smsgate.billing.fec import BookedAdvance, BookedDocument, fec_rows
from smsgate.billing.invoices import Invoice, Party, canonical_json, check_invoice, invoice_from_json
from smsgate.billing.issuing import Buyer, Draft, ItemText, Seller, draft_of
from smsgate.billing.periods import Month
from smsgate.billing.postings import Account
from smsgate.billing.vat import NO_RATE, Vat, VatRow
from smsgate.errors import Invalid
from smsgate.money import micros_per_minor

DAY = date(2026, 11, 3)
OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
SELLER = Seller(
    Party(
        "Passerelle SAS", "1 rue de la Paix", "75002", "Paris", "FR", "732829320", vat_number="FR44732829320"
    ),
    iban="FR14",
)
BUYER = Buyer(
    Party("Boxman SARL", "2 rue des Disques", "69001", "Lyon", "FR", "552100554", vat_number="FR96552100554"),
    "en", 30,
)  # fmt: skip
VAT_20 = Vat("S", 20_000_000)
HALF = Fraction(1, 2)

amounts = st.integers(1, 100_000)
vats = st.sampled_from([VAT_20, Vat("S", 5_500_000), Vat("AE", 0), Vat("O", NO_RATE)])


def half_away(exact: Fraction) -> int:
    return int(exact + HALF) if exact >= 0 else -int(HALF - exact)


def an_advance(net: int, vat: Vat, place: int = 0) -> Advance:
    tax = half_away(Fraction(net * max(0, vat.rate_micros), 100_000_000))
    return Advance(place, f"F-{place:06d}", DAY, net, tax)


def a_prepayment(net_minor: int, vat: Vat = VAT_20, currency: str = "EUR") -> Draft:
    micros = net_minor * micros_per_minor(currency)
    return prepayment_draft(
        micros, currency, vat, SELLER, BUYER, reference="transfer 7", paid_on=DAY, month=NOVEMBER
    )


def a_month(segments: int, vat: Vat = VAT_20, currency: str = "EUR") -> Draft:
    """Return October's draft: some segments at 0.045."""
    items = {11: ItemTerms(1, 11, 1, currency, 45_000)}
    (document,) = close_month(OCTOBER, [UsageRow(11, OCTOBER, vat, segments)], items, Billed())
    texts = {11: ItemText("mt", "20801", "List")}
    seller = replace(SELLER, currency="")
    return draft_of(document, seller, BUYER, texts, ledger_micros=document.exact_micros)


@given(amounts, vats, st.lists(st.integers(1, 40_000), max_size=12))
def test_parts_of_an_advance_have_their_share_of_the_vat_and_together_all_of_it(
    net: int, vat: Vat, wanted: list[int]
) -> None:
    advance = an_advance(net, vat)
    used, taxed = 0, 0
    for gross in [*wanted, advance.gross_minor]:
        part = replace(advance, used_gross_minor=used).taking_net(gross, 10**9)
        assert part.gross_minor == min(gross, advance.gross_minor - used)
        used += part.gross_minor
        taxed += part.vat_minor
        assert taxed == half_away(Fraction(advance.vat_minor * used, advance.gross_minor))
        assert part.vat_minor >= 0
        assert part.net_minor >= 0
    assert (used, taxed) == (advance.gross_minor, advance.vat_minor)


@given(
    st.lists(st.tuples(amounts, vats, st.integers(0, 100)), max_size=6),
    st.integers(0, 300_000),
    st.integers(0, 300_000),
)
def test_deductions_are_the_most_that_both_limits_allow_and_take_the_oldest_first(
    made: list[tuple[int, Vat, int]], gross_max: int, net_max: int
) -> None:
    advances = []
    for place, (net, vat, percent) in enumerate(made):
        advance = an_advance(net, vat, place)
        advances.append(replace(advance, used_gross_minor=advance.gross_minor * percent // 100))
    parts = deductions_of(advances, gross_max, net_max)
    gross = sum(part.gross_minor for part in parts)
    net = sum(part.net_minor for part in parts)
    assert gross <= gross_max
    assert net <= net_max
    assert all(0 < part.gross_minor <= part.advance.left_minor for part in parts)
    open_ = [advance for advance in advances if advance.left_minor]
    assert [part.advance for part in parts] == open_[: len(parts)]
    for part in parts[:-1]:
        assert part.gross_minor == part.advance.left_minor
    if gross < gross_max and len(parts) == len(open_) and parts:
        last = parts[-1]
        more = last.gross_minor < last.advance.left_minor
        assert (
            not more or last.advance.taking(last.gross_minor + 1).net_minor + net - last.net_minor > net_max
        )


@given(amounts, vats)
def test_a_prepayment_invoice_is_paid_and_its_posting_brings_its_vat_alone(net: int, vat: Vat) -> None:
    draft = a_prepayment(net, vat)
    invoice = draft.numbered("F-2026", 7, date(2026, 11, 5))
    check_invoice(invoice)
    exact = Fraction(net * max(0, vat.rate_micros), 100_000_000)
    assert (invoice.code, invoice.net_minor, invoice.vat_minor) == ("386", net, half_away(exact))
    assert (invoice.due_minor, invoice.due_on, invoice.iban) == (0, DAY, "")
    tax = invoice.vat_minor * 10_000
    assert draft.entries == (((Account.CASH, tax), (Account.VAT, -tax)) if tax else ())


def test_a_payment_finer_than_a_cent_has_no_document() -> None:
    with pytest.raises(Invalid) as refused:
        prepayment_draft(10_001, "EUR", VAT_20, SELLER, BUYER, reference="x", paid_on=DAY, month=NOVEMBER)
    assert refused.value.code == "amount_invalid"
    assert prepayment_draft(
        5_000_000, "JPY", Vat("O", NO_RATE), replace(SELLER, currency=""), BUYER, reference="x",
        paid_on=DAY, month=NOVEMBER,
    ).invoice.gross_minor == 5  # fmt: skip


@given(st.integers(0, 3_000), vats, st.lists(st.tuples(amounts, vats), max_size=4))
def test_an_invoice_deducts_advances_and_owes_no_vat_twice(
    segments: int, vat: Vat, paid: list[tuple[int, Vat]]
) -> None:
    if not segments:
        return
    draft = a_month(segments, vat)
    gross = draft.document.gross_minor
    advances = [an_advance(net, each, place) for place, (net, each) in enumerate(paid)]
    parts = deductions_of(advances, gross, 10**9)
    deducted = deducting(draft, parts)
    invoice = deducted.numbered("F-2026", 9, date(2026, 11, 5))
    check_invoice(invoice)
    assert invoice.paid_minor == min(gross, sum(each.gross_minor for each in advances))
    assert invoice_from_json(canonical_json(invoice)) == invoice
    entries, before = dict(deducted.entries), dict(draft.entries)
    assert sum(entries.values()) == 0
    scale = 10_000
    tax = sum(part.vat_minor for part in parts)
    assert entries.get(Account.RECEIVABLE, 0) == invoice.due_minor * scale
    assert entries.get(Account.VAT, 0) == -(invoice.vat_minor - tax) * scale
    assert entries.get(Account.PREPAID, 0) == (invoice.paid_minor - tax) * scale
    for account in (Account.UNBILLED, Account.REVENUE, Account.ROUNDING):
        assert entries.get(account, 0) == before.get(account, 0)
    if not invoice.due_minor:
        assert (invoice.iban, invoice.due_on) == ("", invoice.issued_on)


def test_a_paper_whose_paid_amount_is_not_that_of_its_advances_is_refused() -> None:
    parts = deductions_of([an_advance(100, VAT_20)], 50, 1_000)
    invoice = deducting(a_month(100), parts).numbered("F-2026", 1, DAY)
    with pytest.raises(Invalid, match="the advances make 50"):
        check_invoice(replace(invoice, paid_minor=49))
    for paid in (-1, invoice.gross_minor + 1):
        with pytest.raises(Invalid, match="are asked for"):
            check_invoice(replace(invoice, paid_minor=paid, advances=()))


def test_payloads_of_before_there_were_advances_are_read_and_written_as_they_are() -> None:
    payload = canonical_json(a_month(7).numbered("F-2026", 1, DAY))
    assert b"advances" not in payload
    assert canonical_json(invoice_from_json(payload)) == payload


@given(amounts, vats, st.data())
def test_what_is_paid_back_has_the_rest_of_net_and_vat(net: int, vat: Vat, data: st.DataObject) -> None:
    draft = a_prepayment(net, vat)
    invoice = draft.numbered("F-2026", 7, DAY)
    whole = an_advance(net, vat, 7)
    used = data.draw(st.integers(0, whole.gross_minor - 1))
    before = whole.taking(used)
    rest = replace(whole, used_gross_minor=used).taking(whole.gross_minor - used)
    credit = refund_draft(invoice, vat, rest, reference="back", paid_on=date(2026, 12, 1))
    paper = credit.numbered("F-2026", 8, date(2026, 12, 1))
    check_invoice(paper, rests=True)
    assert paper.code is DocumentType.PREPAYMENT_CREDIT
    assert (before.net_minor + paper.net_minor, before.vat_minor + paper.vat_minor) == (net, whole.vat_minor)
    entries = dict(credit.entries)
    assert sum(entries.values()) == 0
    assert entries.get(Account.CASH, 0) == -paper.gross_minor * 10_000
    assert entries.get(Account.PREPAID, 0) == paper.net_minor * 10_000


DOLLARS = replace(SELLER, currency="EUR", exchange_rates={"USD": Ratio(91_825, 100_000)})


@given(amounts, vats, st.lists(amounts, max_size=6))
def test_parts_of_an_advance_in_dollars_are_its_euros_in_all(net: int, vat: Vat, wanted: list[int]) -> None:
    """The last part is paid back, and its own paper says the euros of VAT that the others left."""
    micros = net * micros_per_minor("USD")
    draft = prepayment_draft(
        micros, "USD", vat, DOLLARS, BUYER, reference="transfer 7", paid_on=DAY, month=NOVEMBER
    )
    paid = draft.numbered("F-2026", 7, DAY)
    left = an_advance(net, vat, 7)
    rate = DOLLARS.exchange_rates["USD"]
    booked = [_booked(paid, vat, rate, ())]
    sold = [_sold(paid, vat, rate, ())]
    gross, tax = 0, 0
    for asked in [*wanted, left.gross_minor]:
        last = asked >= left.left_minor
        part = left.taking(min(asked, left.left_minor))
        paper = refund_draft(paid, vat, part, reference="back", paid_on=DAY).numbered("F-2026", 8, DAY)
        before = BookedAdvance(part.gross_minor, part.vat_minor, rate, gross, tax)
        reported = SoldAdvance(vat, part.net_minor, part.vat_minor, rate, gross - tax, tax)
        booked.append(_booked(paper, vat, rate, (before,)))
        sold.append(_sold(paper, vat, rate, (reported,)))
        gross, tax = gross + part.gross_minor, tax + part.vat_minor
        left = replace(left, used_gross_minor=gross)
        if last:
            break
    balances: Counter[str] = Counter()
    for row in fec_rows(booked):
        balances[row.CompteNum] += int(row.Debit.replace(",", "")) - int(row.Credit.replace(",", ""))
    assert set(balances.values()) == {0}
    (total,) = report_of(sold).totals.values()
    assert (total.net_minor, total.vat_minor, total.net_eur_minor, total.vat_eur_minor) == (0, 0, 0, 0)


def _booked(paper: Invoice, vat: Vat, rate: Ratio, advances: tuple[BookedAdvance, ...]) -> BookedDocument:
    return BookedDocument(
        paper.number, DocumentType(paper.code), DAY, "USD", "7", "Boxman", paper.net_minor,
        (VatRow(vat, paper.net_minor, paper.vat_minor),), paper.gross_minor, rate, paper.other_vat_minor,
        advances,
    )  # fmt: skip


def _sold(paper: Invoice, vat: Vat, rate: Ratio, advances: tuple[SoldAdvance, ...]) -> SoldDocument:
    rows = (VatRow(vat, paper.net_minor, paper.vat_minor),)
    return SoldDocument(DocumentType(paper.code), DAY, "USD", rows, rate, paper.other_vat_minor, advances)


@given(
    st.integers(0, 10**6),
    st.lists(
        st.tuples(st.integers(0, 90_000), st.integers(0, 90_000), st.integers(-20_000, 90_000)), max_size=8
    ),
)
def test_after_each_close_what_can_be_sent_for_is_what_the_account_owes_less_what_is_used(
    paid_in: int, months: list[tuple[int, int, int]]
) -> None:
    """Each month some is leased and charged; its document asks for that, and `other` more or less."""
    budget = Budget(prepaid=True, month_cap_micros=None, month=DAY, paid_in_micros=paid_in)
    for in_hand, charged, other in months:
        left = budget.left_micros
        assert left is not None
        leased = min(left, in_hand + charged)
        open_, settled = min(in_hand, leased), max(0, leased - in_hand)
        budget = budget.leasing(leased).settling(settled, settled, month=DAY, day=DAY, prepaid=True)
        in_lease = open_ // 2  # of the open lease, half of the messages are charged
        asked = max(0, settled + other)
        drawn = min(asked, budget.drawable_micros(in_lease))
        budget = budget.closed(drawn, charged_micros=in_lease, unbilled_micros=in_lease)
        assert budget.balance_micros >= 0
        assert budget.account_micros >= budget.balance_micros + budget.leased_micros - in_lease
        assert budget.drawn_micros <= budget.spent_micros + budget.leased_micros
        exact = budget.account_micros - budget.leased_micros
        assert budget.balance_micros == max(0, exact)
        budget = budget.settling(open_, in_lease, month=DAY, day=DAY, prepaid=True)


def test_the_books_owe_an_advance_until_an_invoice_deducts_it_and_the_customer_owes_the_rest() -> None:
    def booked(doc_type: DocumentType, number: str, net: int, vat: int, *paid: int) -> BookedDocument:
        rows = (VatRow(VAT_20, net, vat),)
        advances = (BookedAdvance(paid[0], paid[1]),) if paid else ()
        return BookedDocument(
            number, doc_type, DAY, "EUR", "7", "Boxman", net, rows, net + vat,
            advances=advances,
        )  # fmt: skip

    rows = fec_rows([
        booked(DocumentType.PREPAYMENT, "F-1", 1_000, 200),
        booked(DocumentType.INVOICE, "F-2", 1_500, 300, 1_103, 184),
        booked(DocumentType.PREPAYMENT_CREDIT, "F-3", 81, 16),
    ])  # fmt: skip
    told = [f"{row.PieceRef} {row.CompteNum} {row.Debit} {row.Credit}" for row in rows]
    assert told == [
        "F-1 411000 12,00 0,00", "F-1 419100 0,00 10,00", "F-1 445710 0,00 2,00",
        "F-2 411000 18,00 0,00", "F-2 706000 0,00 15,00", "F-2 445710 0,00 3,00",
        "F-2 419100 9,19 0,00", "F-2 445710 1,84 0,00", "F-2 411000 0,00 11,03",
        "F-3 411000 0,00 0,97", "F-3 419100 0,81 0,00", "F-3 445710 0,16 0,00",
    ]  # fmt: skip
    for piece in ("F-1", "F-2", "F-3"):
        cents = [
            int(row.Debit.replace(",", "")) - int(row.Credit.replace(",", ""))
            for row in rows
            if row.PieceRef == piece
        ]
        assert sum(cents) == 0
    assert [rows[0].EcritureLib, rows[-1].EcritureLib] == ["Acompte F-1", "Avoir sur acompte F-3"]
