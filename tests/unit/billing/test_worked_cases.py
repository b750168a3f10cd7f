from __future__ import annotations

import re
from typing import Any

import pytest

from smsgate.billing.cases import KINDS, SYNONYMS, simulate
from smsgate.errors import Invalid
from tests.unit.billing.worked_cases import CASES, backwards, changed, comparable, twice

RULES = {f"R{number}" for number in range(1, 21)}


@pytest.mark.parametrize("name", CASES)
def test_a_worked_case_gives_its_answer(name: str) -> None:
    case = CASES[name]
    assert comparable(simulate(case)) == comparable(case["expected"])


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_the_input_changes_nothing(name: str) -> None:
    case = CASES[name]
    turned = {**case, "input": changed(case["input"], backwards)}
    assert comparable(simulate(turned)) == comparable(case["expected"])


@pytest.mark.parametrize("name", CASES)
def test_what_is_delivered_twice_counts_once(name: str) -> None:
    case = CASES[name]
    doubled = {**case, "input": changed(case["input"], twice)}
    assert comparable(simulate(doubled)) == comparable(case["expected"])


@pytest.mark.parametrize("name", CASES)
def test_the_same_case_is_answered_in_the_same_order_each_time(name: str) -> None:
    case = CASES[name]
    if case["kind"] == "invoice":
        assert simulate(case) == simulate({**case, "input": changed(case["input"], backwards)})


def test_every_rule_and_every_kind_has_a_case() -> None:
    assert {rule for case in CASES.values() for rule in case["rules"]} == RULES
    assert {case["kind"] for case in CASES.values()} == set(KINDS)


def test_every_synonym_names_a_kind() -> None:
    assert set(SYNONYMS.values()) <= set(KINDS)
    assert not set(SYNONYMS) & set(KINDS)


def test_books_of_the_time_of_the_franc_can_be_computed() -> None:
    case = a_case(
        periods=[{"period": "1998-12", "close_at": "1999-01-04T08:00:00+00:00"}],
        merchant={"timezone": "Europe/Paris", "currency": "FRF"},
        vat="20.6",
        price_lists=[{"items": [{"network": "*", "unit_price": "1.50"}]}],
        messages=[{"id": "a", "count": 7, "network": "20801", "segments": 1, "accepted_at": "1998-12-24"}],
    )
    (invoice,) = simulate(case)["invoices"]
    assert (invoice["period"], invoice["net"], invoice["vat_total"]) == ("1998-12", "10.50", "2.16")


def test_the_expected_answer_is_not_looked_at() -> None:
    case = CASES["03-price-change"]
    bare = {"kind": case["kind"], "input": case["input"]}
    assert comparable(simulate(bare)) == comparable(case["expected"])


def a_case(**more: Any) -> dict[str, Any]:
    return {"kind": "invoice", "input": {**CASES["s05-rounding"]["input"], **more}}


def with_input(name: str, **more: Any) -> dict[str, Any]:
    return {**CASES[name], "input": {**CASES[name]["input"], **more}}


BOOKED = CASES["s30-fec"]["input"]["documents"][0]
MESSAGE = CASES["s05-rounding"]["input"]["messages"][0]
LISTS = CASES["s05-rounding"]["input"]["price_lists"]


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ([], "case is no object"),
        ({"input": {}}, "case.kind is missing"),
        ({"kind": "invoce", "input": {}}, "kind 'invoce' is none of conversion, credit_notes, "),
        ({"kind": "invoice"}, "case.input is missing"),
        ({"kind": "invoice", "input": []}, "input is no object"),
        (a_case(messages=7), "input.messages is no list"),
        (a_case(messages=[7]), "input.messages[0] is no object"),
        (a_case(messages=[{**MESSAGE, "accepted_at": None}]), "input.messages[0].accepted_at is missing"),
        (a_case(messages=[{**MESSAGE, "accepted_at": "noon"}]), "is no ISO 8601 time: 'noon'"),
        (
            a_case(messages=[{**MESSAGE, "accepted_at": "9999-12-31T23:00:00-05:00"}]),
            "is out of the calendar",
        ),
        (a_case(messages=[{**MESSAGE, "segments": "one"}]), "is no whole number: 'one'"),
        (a_case(messages=[{**MESSAGE, "segments": -1}]), "input.messages[0].segments is below zero"),
        (a_case(messages=[{**MESSAGE, "count": -1}]), "input.messages[0].count is below zero"),
        (a_case(messages=[{**MESSAGE, "count": "9" * 30}]), "is no whole number"),
        (a_case(messages=[{**MESSAGE, "price_list": "Z"}]), "message half names no price list of the case"),
        (a_case(messages=[{**MESSAGE, "direction": "UP"}]), "'up' is neither MT nor MO"),
        (a_case(messages=[{**MESSAGE, "submit": "maybe"}]), "'maybe' is no answer of a carrier"),
        (a_case(messages=[{**MESSAGE, "receipts": [{"state": "LOST"}]}]), "'LOST' is no state of a receipt"),
        (a_case(messages=[{**MESSAGE, "segments": None, "text": "\ud83d"}]), "half a surrogate pair"),
        (a_case(reversals=[{"message": "x", "at": "2026-10-05"}]), "'x' is no message of the case"),
        (a_case(periods=[{"period": "2026-13"}]), "2026-13 is no month"),
        (a_case(merchant={"timezone": "Mars/Base"}), "'Mars/Base' is no IANA time zone"),
        (a_case(merchant={"currency": "EURO"}), "currency 'EURO' is no ISO 4217 code"),
        (
            a_case(vat={"category": "S", "rates": [{"from": "2027-01-01", "rate": "20"}]}),
            "no VAT rate is known",
        ),
        (a_case(price_lists=[*LISTS, *LISTS]), "'A' stands twice"),
        (a_case(commitments=[{"amount": "-1"}]), "input.commitments.amount is below zero"),
        (a_case(commitments=["1.005"]), "is no object"),
        (a_case(commitments="1.005"), "finer than the minor unit of EUR"),
        (
            with_input("s32-francs", rate="0.152449"),
            "input.rate of francs is another than 6.55957 to one euro",
        ),
        (with_input("s21-small-credits", credits=[{"request": "c"}]), "input.credits[0].lines names no line"),
        (
            with_input("s24-payout", lines=[{"short_code": "81234", "retail_price": "4.50", "count": 1}]),
            "carrier_percent is missing",
        ),
        (
            with_input("s30-fec", documents=[{**BOOKED, "gross": "0.01"}]),
            "input.documents[0].gross is not net and VAT together",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(case: object, sentence: str) -> None:
    with pytest.raises(Invalid, match=re.escape(sentence)):
        simulate(case)
