"""What is told of one message's money follows from its rows, by the rules of the close."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.charge_facts import BilledLine, Cut, ExplainFacts, PartFacts, Posted, Priced, Receipt
from smsgate.billing.explaining import explain, period_of
from smsgate.billing.periods import Closes, Month, month_bounds
from smsgate.billing.prices import Basis, Direction, PriceItem
from smsgate.billing.tiers import Ladder, LadderMode, Step
from smsgate.billing.vat import Vat, VatHistory

ZONE = "Europe/Paris"
OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
ACCEPTED_AT = datetime(2026, 10, 5, 8, tzinfo=UTC)
TAKEN_AT = ACCEPTED_AT + timedelta(seconds=1)
CUT_AT = datetime(2026, 11, 4, 23, tzinfo=UTC)
S20 = Vat("S", 20_000_000)
VAT = VatHistory([(date(2020, 1, 1), S20)])


def a_price(micros: int, *, item_id: int = 1, basis: Basis = Basis.SUBMIT, name: str = "fr") -> Priced:
    item = PriceItem(item_id, Direction.MT, "20801", micros, basis)
    return Priced(item, name, 3, "EUR", datetime(2026, 9, 1, tzinfo=UTC), None)


def a_posting(at: datetime = TAKEN_AT, name: str = "pst_1") -> Posted:
    return Posted(name, at, 100, 200, 9_000_000)


def a_part(**changes: object) -> PartFacts:
    part = PartFacts(
        1, 2, TAKEN_AT, "", "sim", a_price(45_000), 90_000, a_price(30_000, item_id=2, name="sim-cost"),
        60_000, postings=(a_posting(),),
    )  # fmt: skip
    return replace(part, **changes)  # type: ignore[arg-type]


def a_line(month: Month = OCTOBER, vat: Vat = S20) -> BilledLine:
    return BilledLine(
        1, "F-2026-000001", "380", month, date(2026, 11, 5), 1, 200, 45_000, "9.00", "EUR", vat,
        (("F-2026-000002", 3),),
    )  # fmt: skip


def facts(part: PartFacts, **changes: object) -> ExplainFacts:
    return replace(ExplainFacts(Direction.MT, ACCEPTED_AT, ZONE, [part], vat=VAT), **changes)  # type: ignore[arg-type]


def test_a_billed_message_is_told_from_its_price_to_the_line_and_what_is_left_of_it() -> None:
    cuts = [Cut(OCTOBER, CUT_AT, closed=True)]
    found = explain(facts(a_part(), cuts=cuts, lines=[a_line(), a_line(NOVEMBER), a_line(vat=Vat("AE", 0))]))
    (part,) = found.parts
    assert (part.charged, part.amount_micros, part.cost_micros, part.margin_micros) == (
        True, 90_000, 60_000, 30_000,
    )  # fmt: skip
    assert (found.origin, part.period, part.late, part.lines) == (OCTOBER, OCTOBER, False, (a_line(),))
    assert found.wrong == ()
    assert [fact.sentence for fact in part.told] == [
        (
            "Price list fr, version 3, valid from 2026-09-01T00:00:00+00:00: mt to network 20801 at "
            "0.045 EUR a segment."
        ),
        "2 x 0.045 = 0.09 EUR, not rounded.",
        "The carrier took it at 2026-10-05T08:00:01+00:00: on the submit basis that charges it.",
        "VAT S 20 %, as on 2026-10-05; it is rounded once per invoice and rate.",
        "Accepted at 2026-10-05T10:00:00+02:00 in Europe/Paris: its month is 2026-10.",
        "Posting pst_1 of 2026-10-05T08:00:01+00:00 (100 messages, 200 segments, 9.00 EUR) holds it.",
        "It falls into 2026-10: it was recorded before the cut at 2026-11-04T23:00:00+00:00.",
        "F-2026-000001 of 2026-11-05, line 1: 200 x 0.045 is 9.00 EUR net; it is among them.",
        "F-2026-000002 credits 3 of that line.",
        (
            "Carrier sim: list sim-cost, version 3, network 20801: 2 x 0.03 = 0.06 EUR. "
            "The carrier took it at 2026-10-05T08:00:01+00:00: on the submit basis that costs it."
        ),
        "Margin: 0.03 EUR.",
        "Computed once more: amount, version and ledger agree.",
    ]


def test_cost_and_margin_are_marked_as_the_operators() -> None:
    (part,) = explain(facts(a_part())).parts
    assert [fact.name for fact in part.told if fact.operator] == ["cost", "margin"]


def test_what_was_recorded_after_the_cut_is_late_and_says_why() -> None:
    part = a_part(postings=(a_posting(CUT_AT),))
    (found,) = explain(facts(part, cuts=[Cut(OCTOBER, CUT_AT, closed=True)], lines=[a_line(NOVEMBER)])).parts
    assert (found.period, found.late, found.lines) == (NOVEMBER, True, (a_line(NOVEMBER),))
    assert any("2026-10 was cut at" in fact.sentence for fact in found.told)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"refusal": "the carrier refused it (ESME_RINVDSTADR)"}, "the carrier refused it"),
        ({"sell": None}, "had no price"),
        ({"sell": a_price(45_000, basis=Basis.DELIVERED)}, "no final receipt came"),
        (
            {
                "sell": a_price(45_000, basis=Basis.DELIVERED),
                "receipt": Receipt("expired", TAKEN_AT),
            },
            "says expired",
        ),
    ],
)
def test_what_is_not_charged_falls_into_no_period_and_says_why(
    changes: dict[str, object], sentence: str
) -> None:
    found = explain(facts(a_part(**changes), lines=[a_line()]))
    (part,) = found.parts
    assert (part.charged, part.amount_micros, part.period, part.lines) == (False, 0, None, ())
    assert any(sentence in fact.sentence for fact in part.told)
    assert found.wrong == ()


def test_a_receipt_that_says_delivered_charges_on_that_basis() -> None:
    part = a_part(sell=a_price(45_000, basis=Basis.DELIVERED), receipt=Receipt("delivrd", TAKEN_AT))
    (found,) = explain(facts(part)).parts
    assert (found.charged, found.amount_micros) == (True, 90_000)


@pytest.mark.parametrize(
    "part",
    [
        a_part(sell_micros=90_001),
        a_part(sell=replace(a_price(45_000), effective_from=ACCEPTED_AT + timedelta(microseconds=1))),
        a_part(sell=replace(a_price(45_000), effective_until=ACCEPTED_AT)),
        a_part(postings=()),
    ],
)
def test_what_does_not_agree_when_it_is_computed_again_is_said(part: PartFacts) -> None:
    assert len(explain(facts(part)).wrong) == 1


def test_a_lists_first_version_prices_what_is_older_than_the_list() -> None:
    price = replace(a_price(45_000), effective_from=ACCEPTED_AT + timedelta(days=1), is_first=True)
    assert explain(facts(a_part(sell=price))).wrong == ()


def test_steps_are_told_with_the_months_count() -> None:
    ladder = Ladder(LadderMode.GRADUATED, (Step(1, 45_000), Step(101, 40_000)))
    price = a_price(45_000)
    part = a_part(sell=replace(price, item=replace(price.item, ladder=ladder)))
    (found,) = explain(facts(part, month_segments={1: 250})).parts
    (tier,) = [fact.sentence for fact in found.told if fact.name == "tier"]
    assert "graduated (from 1 at 0.045, from 101 at 0.04); 250 segments" in tier
    assert "the step of 0.04." in tier


def test_without_a_rate_none_is_guessed() -> None:
    found = explain(facts(a_part(), vat=VatHistory([(date(2026, 12, 1), S20)])))
    assert found.vat is None
    assert any("is not said yet" in fact.sentence for fact in found.parts[0].told)


def test_a_margin_in_two_currencies_is_none() -> None:
    dollars = replace(a_price(30_000, item_id=2), currency="USD")
    (part,) = explain(facts(a_part(cost=dollars))).parts
    assert part.margin_micros is None


@given(
    st.lists(st.integers(0, 5_000), min_size=1, max_size=6).map(sorted),
    st.integers(0, 5),
    st.integers(-100, 6_000),
)
def test_a_charge_falls_into_the_month_that_the_close_gives_it(
    delays_h: list[int], origin: int, recorded_h: int
) -> None:
    months = [Month(2026, number) for number in range(3, 3 + len(delays_h))]
    base = month_bounds(months[-1], ZONE)[1]
    cuts = [
        Cut(month, base + timedelta(hours=hours), closed=True)
        for month, hours in zip(months, delays_h, strict=True)
    ]
    month = months[min(origin, len(months) - 1)]
    recorded_at = base + timedelta(hours=recorded_h)
    last = months[-1].next()
    expected = Closes(
        ZONE, {cut.month: cut.cut_at for cut in cuts} | {last: datetime.max.replace(tzinfo=UTC)}
    )
    assert period_of(month, recorded_at, cuts) == expected.period_of(month, recorded_at)
