"""Rate sheets as carriers send them: read exactly, or refused with the line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.networks import NetworkTable
from smsgate.billing.prefix_sheets import by_network
from smsgate.billing.prices import Basis, Direction
from smsgate.billing.rate_sheets import Claim, RateSheet, SheetTerms, read_rate_sheet
from smsgate.billing.sheet_cells import Dates, instant_from_cell, micros_from_cell
from smsgate.billing.tier_cells import ladder_from_cell, ladder_to_cell
from smsgate.billing.tiers import Ladder, LadderMode, Step
from smsgate.errors import Invalid
from smsgate.money import micros_to_text

TABLE = NetworkTable.from_rows([
    ("33", "208*", "FR"), ("33607", "20801", "FR"), ("3363", "20801", "FR"), ("33650", "20820", "FR"),
    ("32", "206*", "BE"), ("3247", "20601", "BE"),
])  # fmt: skip


def read(text: str, **terms: object) -> RateSheet:
    return read_rate_sheet(text.encode(), "sheet", SheetTerms(**terms))  # type: ignore[arg-type]


def prices(sheet: RateSheet) -> dict[str, int | None]:
    return {row.network: row.unit_micros for row in sheet.rows}


def test_our_own_columns_are_read() -> None:
    sheet = read("direction,network,unit_price\nmt,20801,0.045\nmo,*,0\n")
    assert [(row.direction, row.network, row.unit_micros) for row in sheet.rows] == [
        (Direction.MT, "20801", 45_000),
        (Direction.MO, "*", 0),
    ]


def test_a_sheet_with_two_prices_says_its_basis_by_the_one_that_is_there() -> None:
    sheet = read(
        "MCCMNC,PriceSubmit,PriceDelivered,Currency,Effective\n"
        "20801,0.045,0,EUR,2026-12-01T00:00:00+01:00\n208,0,0.05,EUR,2026-12-01T00:00:00+01:00\n"
    )
    assert [(row.network, row.unit_micros, row.basis) for row in sheet.rows] == [
        ("20801", 45_000, Basis.SUBMIT),
        ("208", 50_000, Basis.DELIVERED),
    ]
    assert sheet.currency == "EUR"
    assert sheet.rows[0].effective_from == datetime(2026, 11, 30, 23, tzinfo=UTC)


def test_a_sheet_in_cents_with_mcc_and_mnc_apart_and_columns_of_no_interest() -> None:
    sheet = read("MCC;MNC;MWX;RATE (cents)\n208;01;x;4,5\n208;;x;5\n")
    assert prices(sheet) == {"20801": 45_000, "208": 50_000}
    assert sheet.ignored == ("MWX",)
    assert prices(read("MCC,MNC,MWX,RATE\n208,01,x,4.5\n", cents=True)) == {"20801": 45_000}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encoding_and_separator_change_nothing(encoding: str, separator: str) -> None:
    text = "\r\n".join(
        [f"Opérateur{separator}MCCMNC{separator}price", f"Réseau{separator}20801{separator}0.045", ""]
    )
    assert prices(read_rate_sheet(text.encode(encoding), "sheet")) == {"20801": 45_000}


def test_a_sheets_own_words_about_changes_are_kept_and_a_closed_network_needs_no_price() -> None:
    sheet = read("mccmnc,rate,change\n20801,0.05,Increase\n20810,0.04,No change\n20820,,closed\n20815,1,?\n")
    assert [row.claim for row in sheet.rows] == [Claim.INCREASE, Claim.UNCHANGED, Claim.CLOSED, None]
    assert sheet.rows[2].unit_micros is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("mccmnc,price\n2081,0.05\n", "line 2: '2081' is no MCC and MNC: was a leading zero lost?"),
        ("mcc,mnc,price\n208,1,0.05\n", "line 2: MNC '1' has not two or three digits"),
        ("mcc,mnc,price\n20,01,0.05\n", "line 2: MCC '20' has not three digits"),
        ("mccmnc,price\n20801,0,045\n", "line 2: it has 3 cells, the header has 2"),
        ("mccmnc,price\n20801,4.5E-2\n", "line 2: '4.5E-2' is not an amount"),
        ("mccmnc,price\n20801,-0.01\n", "line 2: -10000 micros is no price"),
        ("mccmnc;price\n20801;1.234,5\n", "line 2: '1.234,5' has a thousands separator"),
        ("mccmnc,price\n20801,0.0000001\n", "line 2: '0.0000001' is not an amount"),
        ("mccmnc,price\n20801,\n", "line 2: there is no price"),
        ("mccmnc,price,effective\n20801,1,2026-12-01\n", "line 2: '2026-12-01' names no offset"),
        ("mccmnc,price,effective\n20801,1,01/12/2026\n", "line 2: '01/12/2026' is no iso date"),
        ("mccmnc,price,currency\n20801,1,EUR\n20810,1,USD\n", "prices in EUR and USD"),
        ("mccmnc,price\n20801,1\n20810,1\n20801,2\n", "line 4: mt 20801 is priced twice, first in line 2"),
        ("mccmnc,submitprice,deliveredprice\n20801,1,1\n", "charged when submitted and once more"),
        ("mccmnc,price,price\n20801,1,1\n", "two columns for the price"),
        ("country,price\nFrance,1\n", "must name one network column"),
        ("mccmnc,prefix,price\n20801,33,1\n", "must name one network column"),
        ("mccmnc,price\n", "has 0 prices"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=r".") as refused:
        read(text)
    assert sentence in str(refused.value)
    assert refused.value.code == "sheet_invalid"


@given(st.integers(0, 999_999_999), st.booleans())
def test_an_amount_is_read_to_the_last_millionth_whatever_its_mark(micros: int, comma: bool) -> None:
    text = micros_to_text(micros)
    assert micros_from_cell(text.replace(".", ",") if comma else text) == micros


@pytest.mark.parametrize(
    ("text", "dates", "at"),
    [
        ("2026-12-01", Dates.ISO, datetime(2026, 11, 30, 23, tzinfo=UTC)),
        ("01/12/2026", Dates.DAY_FIRST, datetime(2026, 11, 30, 23, tzinfo=UTC)),
        ("12/1/2026 08:00", Dates.MONTH_FIRST, datetime(2026, 12, 1, 7, tzinfo=UTC)),
        ("2026-12-01T00:00:00Z", Dates.ISO, datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_a_plain_day_starts_in_the_files_zone(text: str, dates: Dates, at: datetime) -> None:
    assert instant_from_cell(text, dates, "Europe/Paris") == at


def test_prefixes_become_the_networks_whose_blocks_they_are() -> None:
    sheet = by_network(read("prefix,rate\n33,0.05\n33607,0.04\n+3363,0.04\n3247,0.06\n"), TABLE)
    assert prices(sheet) == {"208": 50_000, "20801": 40_000, "20820": 50_000, "20601": 60_000}
    assert not sheet.by_prefix


def test_one_price_for_all_prefixes_of_a_country_is_the_countrys_too() -> None:
    sheet = by_network(read("prefix,rate\n336,0.05\n337,0.05\n"), TABLE)
    assert prices(sheet) == {"208": 50_000, "20801": 50_000, "20820": 50_000}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prefix,rate\n33607,0.04\n3363,0.05\n", "network 20801 has two prices"),
        ("prefix,rate\n33607,0.04\n", "prices 1 of the 2 blocks of network 20801"),
        ("prefix,rate\n999,0.04\n", "prefix 999 is of no country"),
        ("prefix,rate\n33607,0.04\n3363,0.04\n3360712,0.05\n", "network 20801 has two prices"),
    ],
)
def test_a_sheet_that_splits_a_network_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        by_network(read(text), TABLE)


def test_prices_by_quantity_stand_in_a_column_of_their_own() -> None:
    sheet = read(
        "mccmnc;price;tiers\n20801;0,05;graduated 101=0,04 1001=0,035\n208;0,06;\n*;0,09;Volume 50=0,08\n"
    )
    ladders = [None if row.ladder is None else ladder_to_cell(row.ladder) for row in sheet.rows]
    assert ladders == ["graduated 101=0.04 1001=0.035", None, "volume 50=0.08"]
    assert sheet.rows[0].ladder == Ladder(
        LadderMode.GRADUATED, (Step(1, 50_000), Step(101, 40_000), Step(1_001, 35_000))
    )
    [row] = read("mccmnc,price,tiers\n20801,5,volume 101=4.5\n", cents=True).rows
    assert row.ladder == Ladder(LadderMode.VOLUME, (Step(1, 50_000), Step(101, 45_000)))


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("stairs 101=0.04", "'stairs' is neither graduated nor volume"),
        ("volume", "names no steps such as 101=0.04"),
        ("volume 101", "'101' is no step such as 101=0.04"),
        ("volume x=0.04", "'x=0.04' is no step"),
        ("volume 1=0.04", "begin at unit 1 and rise"),
        ("volume 101=0.04 101=0.03", "begin at unit 1 and rise"),
        ("volume 101=-1", "line 2"),
        ("volume 101=2000", "or one of them is no price"),
    ],
)
def test_steps_that_are_none_are_refused_with_their_line(cell: str, sentence: str) -> None:
    with pytest.raises(Invalid, match="sheet, line 2") as caught:
        read(f"mccmnc,price,tiers\n20801,0.05,{cell}\n")
    assert sentence in str(caught.value)


@given(
    st.sampled_from(LadderMode),
    st.dictionaries(st.integers(2, 10**12), st.integers(0, 10**9), min_size=1, max_size=5),
    st.integers(0, 10**9),
)
def test_a_ladder_in_a_cell_comes_back_as_it_was_written(
    mode: LadderMode, later: dict[int, int], first: int
) -> None:
    ladder = Ladder(mode, tuple(Step(*pair) for pair in sorted({1: first, **later}.items())))
    assert ladder_from_cell(ladder_to_cell(ladder), first) == ladder
