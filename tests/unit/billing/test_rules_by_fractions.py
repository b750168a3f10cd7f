"""R1 and R12 to R20 on random figures, against fractions and against the slowest way to count."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from smsgate.billing.credit_notes import Creditable, CreditRefused, OriginalLine
from smsgate.billing.csv_text import csv_table
from smsgate.billing.currencies import converted, euros_of_francs, ratio_from_text
from smsgate.billing.documents import DocumentType
from smsgate.billing.fec import BookedDocument, FecRow, fec_name, fec_rows, fec_text
from smsgate.billing.numbering import Series, gaps, number_text
from smsgate.billing.payouts import PremiumUse, payout_of
from smsgate.billing.periods import Month
from smsgate.billing.prepaid import Caps, Outcome, PrepaidAccount
from smsgate.billing.reconciliation import RowClass, Tolerance, TrafficRow, Verdict, judge, reconcile
from smsgate.billing.segments import segments_of
from smsgate.billing.vat import EU, FRANCE, Vat, VatRow, category_of, vat_amount
from smsgate.errors import Invalid
from smsgate.money import MINOR_DIGITS, micros_per_minor, minor_from_text, minor_to_text
from tests.unit.billing.fraction_oracle import half_away

STANDARD: Final = Vat("S", 20_000_000)
REDUCED: Final = Vat("S", 5_500_000)
GSM_ONE: Final = "aé@Ω0 \n"
GSM_TWO: Final = "€[]{}~\\|^\f"
OTHERS: Final = "яçŞ你"
PAIRS: Final = "😀🎵"


def cents(amount: Fraction) -> int:
    return int(half_away(amount, 2) * 100)


def cut_by_hand(text: str) -> int:
    """Put one character after the other into parts, after having asked whether it needs parts at all."""
    if set(text) <= set(GSM_ONE + GSM_TWO):
        widths, whole, part = [2 if c in GSM_TWO else 1 for c in text], 160, 153
    else:
        widths, whole, part = [len(c.encode("utf-16-le")) // 2 for c in text], 70, 67
    if sum(widths) <= whole:
        return 1
    parts = [0]
    for width in widths:
        if parts[-1] + width > part:
            parts.append(0)
        parts[-1] += width
    return len(parts)


@given(
    st.sampled_from((GSM_ONE, GSM_ONE + GSM_TWO, GSM_ONE + OTHERS, OTHERS + PAIRS)).flatmap(
        lambda letters: st.lists(st.text(letters, min_size=1, max_size=40), max_size=10)
    )
)
def test_segments_are_those_that_one_gets_by_filling_parts_letter_by_letter(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert segments_of(text) == cut_by_hand(text)


@pytest.mark.parametrize(
    ("letter", "counts"),
    [
        ("a", {160: 1, 161: 2, 306: 2, 307: 3}),
        ("€", {80: 1, 81: 2, 152: 2, 153: 3}),
        ("я", {70: 1, 71: 2, 134: 2, 135: 3}),
        ("😀", {35: 1, 36: 2, 66: 2, 67: 3}),
    ],
)
def test_segments_change_where_the_standard_says(letter: str, counts: dict[int, int]) -> None:
    assert {length: segments_of(letter * length) for length in counts} == counts


@given(
    st.integers(-(10**9), 10**9),
    st.sampled_from(sorted(MINOR_DIGITS)),
    st.sampled_from(("EUR", "JPY", "TND")),
    st.from_regex(r"[0-9]{1,4}\.[0-9]{1,12}", fullmatch=True),
)
def test_another_currency_is_the_exact_product_rounded_once(
    amount: int, currency: str, other: str, text: str
) -> None:
    rate = Fraction(text)
    assume(rate)
    exact = Fraction(amount, 10 ** MINOR_DIGITS[currency]) * rate
    digits = MINOR_DIGITS[other]
    assert converted(amount, currency, other, ratio_from_text(text)) == half_away(exact, digits) * 10**digits
    back = half_away(Fraction(amount, 10 ** MINOR_DIGITS[currency]) / rate, digits) * 10**digits
    assert converted(amount, currency, other, ratio_from_text(text).inverse) == back


@given(st.integers(-(10**13), 10**13))
def test_francs_are_divided_and_rounded_once(francs_micros: int) -> None:
    assert euros_of_francs(francs_micros) == cents(Fraction(francs_micros, 10**6) / Fraction("6.55957"))


@pytest.mark.parametrize("text", ["0", "0.000", "-1", "1e3", "", "1.", ".5", "1,5", "9" * 19, "inf"])
def test_what_is_no_exchange_rate_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        ratio_from_text(text)


lines = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 2_000_000), st.sampled_from((STANDARD, REDUCED))),
    min_size=1, max_size=4,
)  # fmt: skip
requests = st.lists(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 25)), min_size=1, max_size=4), max_size=12
)


@given(lines, requests, st.sampled_from((1, -1)))
def test_credits_never_pass_the_document_and_equal_it_when_all_is_credited(
    figures: list[tuple[int, int, Vat]], asked: list[list[tuple[int, int]]], sign: int
) -> None:
    originals = [
        OriginalLine(number, sign * quantity, unit, cents(Fraction(sign * quantity * unit, 10**6)), vat)
        for number, (quantity, unit, vat) in enumerate(figures, 1)
    ]
    left = Creditable("EUR", originals)
    rest = {line.line: line.quantity for line in originals}
    nets, vats = Counter[int](), Counter[Vat]()
    whole = [[(number, abs(quantity))] for number, quantity in rest.items()]
    for request in [*asked, *whole, *([(number, 1)] for number in rest)]:
        signed = [(number, sign * quantity) for number, quantity in request]
        wanted = Counter[int]()
        for number, quantity in request:
            wanted[number] += quantity
        fits = all(number in rest and wanted[number] <= abs(rest[number]) for number in wanted)
        if not fits:
            with pytest.raises(CreditRefused):
                left.credit(signed)
            continue
        made = left.credit(signed)
        for line in made.lines:
            rest[line.line] -= line.quantity
            nets[line.line] += line.net_minor
            assert sign * line.net_minor >= 0
        for row in made.vat_rows:
            vats[row.vat] += row.amount_minor
        assert made.gross_minor == made.net_minor + sum(row.amount_minor for row in made.vat_rows)
    totals: Counter[Vat] = Counter()
    for original in originals:
        assert abs(nets[original.line]) <= abs(original.net_minor)
        if not rest[original.line]:
            assert nets[original.line] == original.net_minor
        totals[original.vat] += original.net_minor
    for vat, basis in totals.items():
        billed = cents(Fraction(basis, 100) * Fraction(vat.rate_micros, 10**8))
        assert abs(vats[vat]) <= abs(billed)
        if not any(rest[line.line] for line in originals if line.vat == vat):
            assert vats[vat] == billed


events = st.lists(
    st.tuples(
        st.sampled_from(("topup", "submit", "submit", "submit", "capture", "release")),
        st.sampled_from("abcdefgh"),
        st.integers(0, 7),
        st.integers(0, 1),
    ),
    max_size=40,
)


@given(events, st.integers(0, 12), st.booleans())
def test_an_account_is_what_its_messages_say_and_no_cap_is_passed(
    happened: list[tuple[str, str, int, int]], cap: int, capped: bool
) -> None:
    """The model keeps a list of messages and adds up anew each time."""
    account = PrepaidAccount(Caps(day_micros=cap) if capped else Caps())
    messages: dict[str, tuple[str, int, date]] = {}
    paid = 0
    for kind, name, amount, day_number in happened:
        day = date(2026, 10, 5) + timedelta(days=day_number)
        state = messages[name][0] if name in messages else ""
        used = sum(price for how, price, _ in messages.values() if how != "released")
        today = sum(price for how, price, on in messages.values() if how != "released" and on == day)
        if kind == "topup":
            if amount:
                assert account.topup(amount) is Outcome.OK
                paid += amount
        elif kind == "submit":
            expected = Outcome.ACCEPTED
            if state:
                expected = Outcome.DUPLICATE
            elif capped and today + amount > cap:
                expected = Outcome.REJECTED_CAP
            elif amount > paid - used:
                expected = Outcome.REJECTED_BALANCE
            else:
                messages[name] = ("held", amount, day)
            assert account.submit(name, amount, day) is expected
        else:
            made = account.capture(name) if kind == "capture" else account.release(name)
            done = {"capture": Outcome.CAPTURED, "release": Outcome.RELEASED}[kind]
            assert made is (done if state == "held" else Outcome.IGNORED)
            if state == "held":
                messages[name] = ("spent" if kind == "capture" else "released", *messages[name][1:])
        sums = Counter[str]()
        for how, price, _ in messages.values():
            sums[how] += price
        assert (account.held_micros, account.spent_micros) == (sums["held"], sums["spent"])
        assert account.available_micros == paid - sums["held"] - sums["spent"] >= 0
        assert not capped or all(total <= cap for total in account.days.values())


def test_a_months_cap_holds_over_its_days_and_a_topup_with_an_id_counts_once() -> None:
    account = PrepaidAccount(Caps(month_micros=10))
    assert [account.topup(50, "t"), account.topup(50, "t")] == [Outcome.OK, Outcome.DUPLICATE]
    first, last, after = date(2026, 10, 1), date(2026, 10, 31), date(2026, 11, 1)
    assert account.submit("a", 6, first) is Outcome.ACCEPTED
    assert account.submit("b", 5, last) is Outcome.REJECTED_CAP
    assert account.submit("c", 4, last) is Outcome.ACCEPTED
    assert account.submit("d", 10, after) is Outcome.ACCEPTED
    assert account.release("a") is Outcome.RELEASED
    assert account.submit("e", 6, last) is Outcome.ACCEPTED
    assert account.available_micros == 30
    with pytest.raises(Invalid):
        account.topup(0)


shares = st.integers(0, 100_000_000)


@given(
    st.lists(
        st.builds(PremiumUse, st.sampled_from(("4", "5", "6")), st.integers(0, 5_000_000),
                  st.sampled_from((0, 20_000_000, 5_500_000)), shares, shares, st.integers(0, 10**6)),
        max_size=6,
    ),
)  # fmt: skip
def test_a_payout_is_the_exact_share_rounded_once_a_line(uses: list[PremiumUse]) -> None:
    paid = payout_of(uses, "EUR", STANDARD)
    whole = Fraction(100_000_000)
    exact = [
        Fraction(use.retail_micros, 10**6) / (1 + use.vat_rate_micros / whole)
        * (use.carrier_share_micros / whole) * (use.merchant_share_micros / whole) * use.billed
        for use in uses
    ]  # fmt: skip
    assert sorted(line.net_minor for line in paid.lines) == sorted(map(cents, exact))
    assert paid.net_minor == sum(map(cents, exact))
    assert paid.vat_minor == cents(Fraction(paid.net_minor, 100) / 5)
    assert paid.gross_minor == paid.net_minor + paid.vat_minor


def test_a_share_of_more_than_everything_is_refused() -> None:
    with pytest.raises(Invalid):
        payout_of([PremiumUse("6", 1, 0, 100_000_001, 1, 1)], "EUR", STANDARD)


@given(st.integers(-(10**12), 10**12), st.integers(0, 30_000_000))
def test_vat_is_rounded_once_half_away_from_zero(basis: int, rate: int) -> None:
    assert vat_amount(basis, Vat("S", rate)) == cents(Fraction(basis, 100) * rate / 10**8)
    assert vat_amount(-basis, Vat("S", rate)) == -vat_amount(basis, Vat("S", rate))


@pytest.mark.parametrize("country", sorted({*EU, *FRANCE, "GB", "CH", "US", "NO"}))
@pytest.mark.parametrize("business", [True, False])
@pytest.mark.parametrize("valid", [True, False])
def test_the_vat_category_follows_the_table_of_the_rule(country: str, business: bool, valid: bool) -> None:
    if country in {"FR", "MC"}:
        expected = ("S", "")
    elif not business:
        with pytest.raises(Invalid, match="consumers outside France and Monaco are not served"):
            category_of(country, business=business, number_valid=valid)
        return
    elif country in {"GB", "CH", "US", "NO"}:
        expected = ("O", "VATEX-EU-O")
    else:
        expected = ("AE", "VATEX-EU-AE") if valid else ("S", "")
    assert category_of(country, business=business, number_valid=valid)[:2] == expected


@given(st.integers(0, 1000), st.integers(-400, 400), st.integers(0, 20), st.integers(0, 300))
def test_a_difference_is_disputed_only_beyond_the_larger_tolerance(
    ours: int, difference: int, percent: int, amount: int
) -> None:
    allowed = max(Fraction(ours * percent, 100), Fraction(amount))
    expected = Verdict.ACCEPTED
    if difference > allowed:
        expected = Verdict.DISPUTE
    if -difference > allowed:
        expected = Verdict.UNDERBILLED
    verdict, _ = judge(ours, ours + difference, Tolerance(percent * 1_000_000, amount))
    assert verdict is expected


traffic = st.lists(
    st.builds(
        lambda name, hour, segments: TrafficRow(
            name, datetime(2026, 9, 30, tzinfo=UTC) + timedelta(hours=hour), segments, segments * 30_000
        ),
        st.sampled_from("abcdefgh"),
        st.integers(0, 24 * 33),
        st.integers(1, 2),
    ),
    max_size=10,
)


@given(traffic, traffic)
def test_every_row_of_both_sides_is_found_once_and_inside_the_carriers_month(
    ours: list[TrafficRow], theirs: list[TrafficRow]
) -> None:
    done = reconcile(
        ours, theirs, month=Month(2026, 10), carrier_zone="Europe/London", tolerance=Tolerance(0, 0)
    )
    again = reconcile(
        ours[::-1] * 2, theirs[::-1], month=Month(2026, 10), carrier_zone="Europe/London",
        tolerance=Tolerance(0, 0),
    )  # fmt: skip
    assert done == again
    named = Counter(row.message_id for row in done.rows if row.row_class is not RowClass.DUPLICATE)
    assert named == Counter({row.message_id for row in [*ours, *theirs]})
    of_both = {
        row.message_id for row in ours if row.segments > 1
    }  # two lines of one segment may be its parts
    for name in {row.message_id for row in theirs}:
        repeats = sum(row.message_id == name for row in theirs) - 1
        listed = sum(row.message_id == name and row.row_class is RowClass.DUPLICATE for row in done.rows)
        assert listed == repeats or (name in of_both and listed == repeats - 1)
    start, end = datetime(2026, 9, 30, 23, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    asked = sum(row.cost_micros or 0 for row in theirs if start <= row.at < end)
    assert done.invoiced_micros == asked
    first = {row.message_id: row for row in sorted(ours, key=lambda row: row.at, reverse=True)}
    seen = {row.message_id: row for row in sorted(theirs, key=lambda row: row.at, reverse=True)}
    for row in done.rows:
        mine, other = first.get(row.message_id), seen.get(row.message_id)
        if row.row_class is RowClass.MATCHED:
            assert mine is not None
            assert other is not None
            assert start <= other.at < end
        if row.row_class is RowClass.ONLY_OURS:
            assert other is None


@given(st.lists(st.tuples(st.sampled_from(("F-2026", "A-2026")), st.booleans()), max_size=60))
def test_numbers_have_no_gaps_whatever_is_rolled_back(tries: list[tuple[str, bool]]) -> None:
    series, given_numbers = Series(), []
    for name, commits in tries:
        if commits:
            given_numbers.append((name, series.commit(name)))
    for name in ("F-2026", "A-2026"):
        texts = [text for each, text in given_numbers if each == name]
        mine = [int(text.removeprefix(f"{name}-")) for text in texts]
        assert texts == [f"{name}-{number:06d}" for number in mine]
        assert mine == list(range(1, len(mine) + 1))
        assert gaps(mine) == []
    assert gaps([1, 2, 5]) == [3, 4]


@pytest.mark.parametrize(
    ("series", "number"), [("F 2026", 1), ("", 1), ("F", 0), ("F", 1_000_000), ("F" * 30, 1), ("F#", 1)]
)
def test_a_number_that_an_invoice_cannot_bear_is_refused(series: str, number: int) -> None:
    with pytest.raises(Invalid):
        number_text(series, number)


booked = st.builds(
    lambda number, doc_type, day, net, vats: BookedDocument(
        number, doc_type, date(2026, 1, 1) + timedelta(days=day), "EUR", "C1", "Boxman\tSE", net,
        tuple(VatRow(STANDARD, 0, amount) for amount in vats), net + sum(vats),
    ),
    st.text("FA-0123", min_size=1, max_size=8),
    st.sampled_from(DocumentType),
    st.integers(0, 300),
    st.integers(0, 10**7),
    st.lists(st.integers(0, 10**5), max_size=3),
)  # fmt: skip


@given(st.lists(booked, max_size=6))
def test_every_entry_of_the_fec_balances_and_is_numbered_without_gaps(
    documents: list[BookedDocument],
) -> None:
    rows = fec_rows(documents)
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        debit, credit = (minor_from_text(cell.replace(",", "."), "EUR") for cell in (row.Debit, row.Credit))
        assert min(debit, credit) == 0
        sums[row.JournalCode, row.EcritureNum] += debit - credit
        partner = row.CompteNum in {"411000", "401000"}
        if debit + credit:
            assert (debit > 0) == (partner != row.EcritureLib.startswith(("Avoir", "Autofacture")))
        if row.CompteNum in {"445710", "445660"}:
            assert debit + credit > 0
    assert not any(sums.values())
    for journal, bought in (("VE", False), ("AC", True)):
        count = sum((document.doc_type is DocumentType.SELF_BILLED) == bought for document in documents)
        numbers = dict.fromkeys(row.EcritureNum for row in rows if row.JournalCode == journal)
        assert [*numbers] == [str(n + 1) for n in range(count)]
    for line in fec_text(rows).split("\r\n")[:-1]:
        assert len(line.split("\t")) == len(FecRow._fields) == 18


def test_the_fec_file_has_its_legal_name() -> None:
    assert fec_name("552100554", date(2026, 12, 31)) == "552100554FEC20261231"
    with pytest.raises(Invalid):
        fec_name("5521", date(2026, 12, 31))


def quoted_where_needed(cell: str) -> str:
    doubled = cell.replace('"', '""')
    return f'"{doubled}"' if set(cell) & set(',"\r\n') else cell


cells = st.text(st.sampled_from("ab\"',=+-@\t\r\n é1."), max_size=8)


@given(st.lists(st.tuples(cells, cells), max_size=6))
def test_a_csv_reads_back_as_it_was_and_runs_nothing(rows: list[tuple[str, str]]) -> None:
    text = csv_table(["text", "number"], ["text"], rows)
    assert text.startswith("text,number\r\n")
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    quoted = [[quoted_where_needed(cell) for cell in row] for row in read]
    assert text == "".join(",".join(row) + "\r\n" for row in [["text", "number"], *quoted])  # nowhere else
    assert [row[1] for row in read] == [number for _, number in rows]
    for (written, _), (found, _) in zip(rows, read, strict=True):
        assert found in {written, f"'{written}"}
        assert not found.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert (found == written) or written.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize(
    ("columns", "text_columns", "rows"),
    [(["a"], ["b"], []), (["a", "b"], [], [["1"]])],
)
def test_a_table_that_does_not_fit_its_header_is_refused(
    columns: list[str], text_columns: list[str], rows: list[list[Any]]
) -> None:
    with pytest.raises(Invalid):
        csv_table(columns, text_columns, rows)


@given(st.integers(1 - 10**12, 10**12 - 1), st.sampled_from(sorted(MINOR_DIGITS)))
def test_minor_units_survive_their_text(minor: int, currency: str) -> None:
    assert minor_from_text(minor_to_text(minor, currency), currency) == minor
    assert micros_per_minor(currency) * 10 ** MINOR_DIGITS[currency] == 1_000_000
