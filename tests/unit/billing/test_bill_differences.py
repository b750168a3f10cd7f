"""What differs between a bill and our costs is told by count and price, and adds up to the last micro."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.bill_differences import (
    BillLine,
    Difference,
    Reason,
    closest,
    compare_lines,
    differences_of,
)
from smsgate.billing.periods import Month
from smsgate.billing.reconciliation import (
    Matching,
    PriceKey,
    RowClass,
    Tolerance,
    TrafficRow,
    reconcile,
    whole_messages,
)

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
lines = st.lists(
    st.builds(
        lambda network, unit, segments, odd: BillLine(network, unit, segments, unit * segments + odd),
        st.sampled_from(["20801", "20810", "208", "26201", "*"]),
        st.sampled_from([30_000, 31_000, 45_000]),
        st.integers(0, 500),
        st.sampled_from([0, 0, 0, 7]),
    ),
    max_size=8,
)


def a_line(network: str, unit: int, segments: int) -> BillLine:
    return BillLine(network, unit, segments, unit * segments)


@given(lines, lines)
def test_the_lines_have_the_sums_of_both_sides_and_each_difference_is_count_and_price(
    ours: list[BillLine], theirs: list[BillLine]
) -> None:
    found = compare_lines(ours, theirs)
    assert sum(line.our_micros for line in found) == sum(line.amount_micros for line in ours)
    assert sum(line.their_micros for line in found) == sum(line.amount_micros for line in theirs)
    assert sum(line.our_segments for line in found) == sum(line.segments for line in ours)
    assert sum(line.their_segments for line in found) == sum(line.segments for line in theirs)
    for line in found:
        assert line.count_micros + line.price_micros == line.difference_micros
        if line.reason is Reason.SAME:
            assert line.difference_micros == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "reason", "count", "price"),
    [
        ([a_line("20801", 30_000, 100)], [a_line("20801", 30_000, 100)], Reason.SAME, 0, 0),
        ([a_line("20801", 30_000, 100)], [a_line("20801", 30_000, 103)], Reason.COUNT, 90_000, 0),
        ([a_line("20801", 30_000, 100)], [a_line("20801", 31_000, 100)], Reason.PRICE, 0, 100_000),
        (
            [a_line("20801", 30_000, 100)], [a_line("20801", 31_000, 110)], Reason.COUNT_AND_PRICE, 300_000,
            110_000,
        ),
        ([a_line("20801", 30_000, 100)], [], Reason.ONLY_OURS, -3_000_000, 0),
        ([], [a_line("20801", 30_000, 100)], Reason.ONLY_CARRIER, 3_000_000, 0),
        # The bill has the country where we know networks.
        (
            [a_line("20801", 30_000, 60), a_line("208*", 30_000, 40)], [a_line("208", 30_000, 100)],
            Reason.SAME, 0, 0,
        ),
    ],
)  # fmt: skip
def test_a_difference_is_told_by_its_reason(
    ours: list[BillLine], theirs: list[BillLine], reason: Reason, count: int, price: int
) -> None:
    (line,) = compare_lines(ours, theirs)
    assert (line.reason, line.count_micros, line.price_micros) == (reason, count, price)


def test_prices_that_are_left_of_a_network_stand_alone_when_there_are_several() -> None:
    ours = [a_line("20801", 30_000, 10), a_line("20801", 40_000, 10)]
    theirs = [a_line("20801", 50_000, 10)]
    assert [line.reason for line in compare_lines(ours, theirs)] == [
        Reason.ONLY_CARRIER, Reason.ONLY_OURS, Reason.ONLY_OURS,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("network", "named", "found"),
    [
        ("20801", {"20801", "208", "*"}, "20801"),
        ("20801", {"208", "*"}, "208"),
        ("20801", {"*", "262"}, "*"),
        ("20801", {"262"}, "20801"),
        ("208*", {"208"}, "208"),
        ("208*", {"20801"}, "208"),
        ("*", {"208"}, "*"),
    ],
)
def test_a_network_goes_to_the_closest_name_that_the_bill_has(
    network: str, named: set[str], found: str
) -> None:
    assert closest(network, named) == found


def a_row(
    segments: int = 1, micros: int | None = 30_000, *, at: datetime = START, owed: bool = True
) -> TrafficRow:
    return TrafficRow("m", at, segments, micros, "20801", owed)


@pytest.mark.parametrize(
    ("mine", "other", "row_class", "our_micros", "billed_micros"),
    [
        (a_row(), a_row(), RowClass.MATCHED, 30_000, 30_000),
        (a_row(owed=False), a_row(), RowClass.NOT_OWED, 0, 30_000),
        (a_row(owed=False), a_row(micros=0), RowClass.MATCHED, 0, 0),
        (a_row(owed=False), None, None, 0, 0),
        (a_row(), None, RowClass.ONLY_OURS, 30_000, 0),
        (None, a_row(), RowClass.ONLY_CARRIER, 0, 30_000),
        (a_row(), a_row(micros=31_000), RowClass.PRICE_DIFFERS, 30_000, 31_000),
        (a_row(), a_row(2, 60_000), RowClass.SEGMENTS_DIFFER, 30_000, 60_000),
        (a_row(), a_row(micros=None), RowClass.MATCHED, 30_000, 0),
        (a_row(), a_row(at=END), RowClass.CUT_OFF, 0, 0),
        (a_row(at=END), a_row(), RowClass.MATCHED, 30_000, 30_000),
    ],
)
def test_each_pair_has_one_reason_and_what_is_not_owed_is_no_cost(
    mine: TrafficRow | None,
    other: TrafficRow | None,
    row_class: RowClass | None,
    our_micros: int,
    billed_micros: int,
) -> None:
    matching = Matching(START, END)
    assert [row.row_class for row in matching.take(mine, other)] == ([] if row_class is None else [row_class])
    assert (matching.our_micros, matching.billed_micros) == (our_micros, billed_micros)


traffic = st.lists(
    st.builds(
        lambda name, hour, segments, unit: TrafficRow(
            name, START + timedelta(hours=hour), segments, segments * unit, "20801"
        ),
        st.sampled_from("abcdefgh"),
        st.integers(-24, 24 * 32),
        st.integers(1, 2),
        st.sampled_from([30_000, 31_000]),
    ),
    max_size=10,
)


@given(traffic, traffic)
def test_lines_by_price_have_the_sums_that_the_verdict_is_about(
    ours: list[TrafficRow], theirs: list[TrafficRow]
) -> None:
    done = reconcile(ours, theirs, month=Month(2026, 10), carrier_zone="UTC", tolerance=Tolerance(0, 0))
    matching = Matching(START, END)
    mine = {row.message_id: row for row in sorted(ours, key=_order, reverse=True)}
    for name in {row.message_id for row in [*ours, *theirs]}:
        listed = sorted((row for row in theirs if row.message_id == name), key=_order)
        others = whole_messages([mine[name]] if name in mine else [], listed)
        matching.take(mine.get(name), others[0] if others else None, others[1:])
    found: list[Difference] = differences_of(matching.prices)
    assert sum(line.our_micros for line in found) == done.our_micros
    assert sum(line.their_micros for line in found) == done.invoiced_micros
    assert matching.counts == done.counts
    assert all(isinstance(key, PriceKey) for key in matching.prices)


def _order(row: TrafficRow) -> tuple[datetime, str, int, int]:
    return row.at, row.message_id, row.segments, row.cost_micros or 0
