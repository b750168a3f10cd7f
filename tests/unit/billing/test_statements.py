from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.csv_text import safe_cell, write_csv
from smsgate.billing.periods import Month, month_bounds, month_of
from smsgate.billing.statements import (
    CSV_HEADER,
    Statement,
    StatementLine,
    build_statement,
    statement_csv,
)
from smsgate.errors import Invalid
from smsgate.money import micros_from_text, round_half_away


def a_line(
    unit: int = 44_925, segments: int = 3, campaign: str = "Madonna", price_item: str = "1"
) -> StatementLine:
    return StatementLine(campaign, "mt", "20801", price_item, unit, segments, segments, unit * segments)


def a_statement(*lines: StatementLine, currency: str = "EUR") -> Statement:
    return build_statement(
        merchant_id=7,
        merchant="Boxman",
        month=Month(2026, 11),
        zone_name="Europe/Paris",
        currency=currency,
        lines=lines,
    )


@pytest.mark.parametrize(
    ("month", "zone", "hours"),
    [
        ("2026-03", "Europe/Paris", 743),
        ("2026-10", "Europe/Paris", 745),
        ("2026-11", "Europe/Paris", 720),
        ("2026-03", "America/New_York", 743),
        ("2026-11", "America/New_York", 721),
        ("2026-10", "UTC", 744),
        ("2026-02", "Asia/Kolkata", 672),
        ("2028-02", "Europe/Paris", 696),
        ("2026-04", "Australia/Lord_Howe", 720.5),
    ],
)
def test_a_month_is_as_long_as_in_the_merchants_own_zone(month: str, zone: str, hours: float) -> None:
    start, end = month_bounds(Month.parse(month), zone)
    assert (end - start) == timedelta(hours=hours)
    assert (start.tzinfo, end.tzinfo) == (UTC, UTC)


@pytest.mark.parametrize(
    "zone", ["Europe/Paris", "America/New_York", "Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo"]
)
def test_months_follow_each_other_without_gap_and_own_their_start_but_not_their_end(zone: str) -> None:
    months = [Month(2026, 1)]
    while months[-1] < Month(2028, 1):
        months.append(months[-1].next())
    for month, following in pairwise(months):
        start, end = month_bounds(month, zone)
        assert end == month_bounds(following, zone)[0]
        assert month_of(start, zone) == month
        assert month_of(end - timedelta(microseconds=1), zone) == month
        assert month_of(end, zone) == following


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-0", "26-01", "2026/01", "2026-1", "", "1991-12", "٢٠٢٦-01"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Month.parse(text)


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../etc/passwd", "Europe/Paris\0", "x" * 5000])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(Invalid) as caught:
        month_bounds(Month(2026, 1), zone)
    assert caught.value.code == "zone_unknown"


@pytest.mark.parametrize(
    ("micros", "minor"),
    [(4_999, 0), (5_000, 1), (14_999, 1), (15_000, 2), (-5_000, -1), (-4_999, 0), (-15_000, -2), (0, 0)],
)
def test_halves_go_away_from_zero(micros: int, minor: int) -> None:
    assert round_half_away(micros, 10_000) == minor


def test_the_total_is_exact_and_rounded_once_with_the_difference_shown() -> None:
    statement = a_statement(a_line(44_925, 3), a_line(1, 1, price_item="2"), a_line(4_999, 1, price_item="3"))
    assert statement.exact_micros == 139_775
    assert (statement.total_minor, statement.rounding_micros) == (14, 225)
    assert (statement.messages, statement.segments) == (5, 5)
    assert statement.starts_at == datetime(2026, 10, 31, 23, tzinfo=UTC)


def test_currencies_have_their_own_decimals() -> None:
    assert a_statement(a_line(1_500_000, 1), currency="JPY").total_minor == 2
    assert a_statement(a_line(1_234_500, 1), currency="TND").total_minor == 1_235


def test_a_ledger_that_disagrees_with_its_prices_gives_no_statement() -> None:
    with pytest.raises(Invalid) as caught:
        a_statement(StatementLine("c", "mt", "*", "1", 100, 1, 2, 199))
    assert caught.value.code == "ledger_mismatch"


amounts = st.lists(
    st.tuples(st.integers(0, 10**9), st.integers(-1000, 10**6), st.text(max_size=12)), max_size=20
)


@given(amounts)
def test_the_sums_of_the_csv_are_those_of_the_statement(rows: list[tuple[int, int, str]]) -> None:
    statement = a_statement(
        *(a_line(unit, segments, name, str(i)) for i, (unit, segments, name) in enumerate(rows))
    )
    text = statement_csv(statement)
    header, *lines = list(csv.reader(io.StringIO(text, newline="")))
    assert tuple(header) == CSV_HEADER
    records = [dict(zip(CSV_HEADER, line, strict=True)) for line in lines]
    assert sum(micros_from_text(record["amount"]) for record in records) == statement.exact_micros
    assert sum(int(record["segments"]) for record in records) == statement.segments
    assert sum(int(record["messages"]) for record in records) == statement.messages
    assert abs(statement.rounding_micros) <= 5_000


def test_csv_lines_end_with_crlf_and_quotes_stand_only_where_needed() -> None:
    assert write_csv(("a", "b"), [("x", 1), ('say "hi", you', -2), ("two\nlines", 3)]) == (
        'a,b\r\nx,1\r\n"say ""hi"", you",-2\r\n"two\nlines",3\r\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        " =1",
        '=cmd|"/c calc"!A1',
    ],
)
def test_no_text_cell_is_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    [line] = list(csv.reader(io.StringIO(statement_csv(a_statement(a_line(campaign=text))), newline="")))[1:]
    assert line[CSV_HEADER.index("campaign")].startswith("'")


def test_plain_text_and_negative_amounts_stay_as_they_are() -> None:
    assert safe_cell("Boxman - CD, 1+1") == "Boxman - CD, 1+1"
    assert safe_cell("a\0b") == "ab"
    assert statement_csv(a_statement(a_line(44_925, -1))).endswith(",-1,-1,0.044925,-0.044925\r\n")
