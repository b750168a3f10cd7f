"""What publishing would change, and where a message would earn less than it costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgate.billing.price_changes import BelowCost, ChangeKind, below_cost, compare, planned_versions
from smsgate.billing.prices import Basis, Direction, PriceBook, PriceItem, PriceVersion
from smsgate.billing.rate_sheets import RateSheet, read_rate_sheet
from smsgate.billing.tiers import Ladder, LadderMode, Step
from smsgate.errors import Invalid

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 26, tzinfo=UTC)
LATER = "2026-12-01T00:00:00+00:00"


def items(**units: int) -> list[PriceItem]:
    return [
        PriceItem(place, Direction.MT, network.removeprefix("n").replace("any", "*"), micros)
        for place, (network, micros) in enumerate(units.items(), 1)
    ]


def book(*versions: PriceVersion) -> PriceBook:
    return PriceBook(1, "EUR", versions)


def sheet(text: str) -> RateSheet:
    return read_rate_sheet(text.encode(), "sheet")


BOOK = book(PriceVersion(1, START, items(n208=50_000, n20801=45_000, any=90_000)))


def kinds(changes: object) -> dict[str, str]:
    return {change.network: change.kind.value for change in changes}  # type: ignore[attr-defined]


def test_a_whole_sheet_takes_the_place_of_all_prices() -> None:
    [version] = planned_versions(sheet("mccmnc,price\n208,0.06\n20810,0.05\n"), BOOK, effective_from=NOW)
    assert {(item.network, item.unit_micros) for item in version.items} == {
        ("208", 60_000),
        ("20810", 50_000),
    }
    assert kinds(version.changes) == {
        "*": "removed", "208": "increase", "20801": "removed", "20810": "new",
    }  # fmt: skip


def test_a_partial_sheet_leaves_what_it_does_not_name() -> None:
    [version] = planned_versions(
        sheet("mccmnc,price,change\n20801,0.04,decrease\n*,,closed\n"), BOOK, effective_from=NOW, partial=True
    )
    assert {(item.network, item.unit_micros) for item in version.items} == {
        ("208", 50_000),
        ("20801", 40_000),
    }
    assert kinds(version.changes) == {"*": "removed", "208": "unchanged", "20801": "decrease"}
    assert version.contradictions == ()


def test_each_instant_of_a_sheet_is_a_version_and_a_price_holds_until_its_own() -> None:
    first, second = planned_versions(
        sheet(f"mccmnc,price,effective\n20801,0.04,\n208,0.06,{LATER}\n"), BOOK, effective_from=NOW
    )
    assert first.effective_from == NOW
    assert kinds(first.changes) == {"*": "removed", "208": "unchanged", "20801": "decrease"}
    assert second.effective_from == datetime(2026, 12, 1, tzinfo=UTC)
    assert kinds(second.changes) == {"208": "increase", "20801": "unchanged"}


def test_what_a_row_says_of_itself_is_held_against_what_it_changes() -> None:
    text = "mccmnc,price,change\n20801,0.06,decrease\n208,0.05,unchanged\n20810,1,new\n999,,closed\n"
    [version] = planned_versions(sheet(text), BOOK, effective_from=NOW)
    assert version.contradictions == (
        "line 2 says decrease, and mt 20801 is increase",
        "line 5 says closed, and mt 999 had no price",
    )


def test_a_version_without_any_price_is_refused() -> None:
    with pytest.raises(Invalid, match="no price would be left"):
        planned_versions(sheet("mccmnc,price,change\n208,,closed\n"), BOOK, effective_from=NOW)


def test_two_rows_for_one_instant_are_refused_however_it_is_written() -> None:
    text = f"mccmnc,price,effective\n208,0.05,\n208,0.06,{NOW.isoformat()}\n"
    with pytest.raises(Invalid, match="lines 2 and 3"):
        planned_versions(sheet(text), BOOK, effective_from=NOW)


def test_another_basis_at_the_same_price_is_a_change() -> None:
    [change] = compare(
        PriceVersion(1, START, [PriceItem(1, Direction.MT, "208", 5)]),
        [PriceItem(1, Direction.MT, "208", 5, Basis.DELIVERED)],
    )
    assert change.kind is ChangeKind.TERMS


def test_every_network_that_either_side_names_is_held_against_cost() -> None:
    sell = ("sell", PriceVersion(1, START, items(n208=50_000, any=10_000)))
    cost = ("cost", PriceVersion(1, START, items(n208=40_000, n20801=60_000, n206=10_000, n262=11_000)))
    assert below_cost(sell, [cost]) == [
        BelowCost("20801", 50_000, 60_000, "sell", "cost"),
        BelowCost("262", 10_000, 11_000, "sell", "cost"),
    ]


def test_of_a_price_by_quantity_the_lowest_step_is_held_against_cost() -> None:
    ladder = Ladder(LadderMode.VOLUME, (Step(1, 50_000), Step(101, 39_999)))
    sell = ("sell", PriceVersion(1, START, [PriceItem(1, Direction.MT, "208", 50_000, ladder=ladder)]))
    cost = ("cost", PriceVersion(1, START, items(n208=40_000)))
    assert below_cost(sell, [cost]) == [BelowCost("208", 39_999, 40_000, "sell", "cost")]


def test_the_running_version_is_the_one_at_the_instant_of_the_new_one() -> None:
    two = book(
        PriceVersion(1, START, items(n208=50_000)),
        PriceVersion(2, NOW + timedelta(days=1), items(n208=70_000)),
    )
    [version] = planned_versions(
        sheet("mccmnc,price\n208,0.06\n"), two, effective_from=NOW + timedelta(days=2)
    )
    assert kinds(version.changes) == {"208": "decrease"}
