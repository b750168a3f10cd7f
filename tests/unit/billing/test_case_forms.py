"""One case said in many ways has one answer: fields have several names, and short forms for long ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smsgate.billing.cases import simulate
from tests.unit.billing.worked_cases import CASES, comparable

Case = dict[str, Any]


def answered(kind: str, values: Case) -> Any:
    return comparable(simulate({"kind": kind, "input": values}))


def with_item(values: Case, **terms: Any) -> Case:
    """Return the input with other terms on the items of its one version."""
    price_list = values["price_lists"][0]
    version = price_list["versions"][0]
    items = [{**item, **terms} for item in version["items"]]
    return {**values, "price_lists": [{**price_list, "versions": [{**version, "items": items}]}]}


GRADUATED = CASES["s11-graduated"]["input"]
STEPS = GRADUATED["price_lists"][0]["versions"][0]["items"][0]["tiers"]["steps"]
NUMBERED = [
    {"from": step["from"] - (step["from"] == 1), "price_micro": int(step["unit_price"].replace("0.", ""))}
    for step in STEPS
]


@pytest.mark.parametrize(
    "terms",
    [
        {"tiers": STEPS},
        {"tiers": STEPS, "tier_mode": "graduated"},
        {"tiers": None, "ladder": {"type": "GRADUATED", "steps": STEPS[::-1]}},
        {"tiers": {"mode": "graduated", "tiers": NUMBERED}},
    ],
)
def test_tiers_are_an_object_or_a_list_of_steps(terms: Case) -> None:
    assert answered("invoice", with_item(GRADUATED, **terms)) == comparable(
        CASES["s11-graduated"]["expected"]
    )


COMMITTED = CASES["s15-commitment"]["input"]


@pytest.mark.parametrize(
    "more",
    [
        {"commitments": {"EUR": "10.00"}},
        {"commitments": "10"},
        {"commitments": None, "minimum_commitment": {"amount_micro": None, "amount": "10.00"}},
        {"commitments": None, "merchant": {**COMMITTED["merchant"], "commitment": "10.00"}},
        {
            "commitments": [
                {"period": month, "minimum": "10.00"} for month in ("2026-10", "2026-11", "2026-12")
            ]
        },
        {"commitments": [{"amount": "10.00", "from": "2026-10", "until": "2026-12"}]},
    ],
)
def test_a_minimum_is_an_amount_an_object_or_a_list(more: Case) -> None:
    expected = comparable(CASES["s15-commitment"]["expected"])
    assert answered("invoice", {**COMMITTED, **more}) == expected


REVERSED = CASES["s09-reversals"]["input"]
PLAIN = [{**message, "reversed_at": None} for message in REVERSED["messages"]]
BACK = {message["id"]: message["reversed_at"] for message in REVERSED["messages"] if "reversed_at" in message}


@pytest.mark.parametrize(
    "more",
    [
        {"messages": PLAIN, "reversals": [{"message": name, "at": at} for name, at in BACK.items()]},
        {"messages": PLAIN, "corrections": [{"id": name, "recorded_at": at} for name, at in BACK.items()]},
        {
            "messages": [
                *PLAIN,
                *({"id": f"r-{n}", "reverses": n, "recorded_at": at} for n, at in BACK.items()),
            ]
        },
        {"messages": [{**message, "reversal": BACK.get(message["id"])} for message in PLAIN]},
        {
            "messages": [
                {
                    **message,
                    "reversals": [{"recorded_at": BACK[message["id"]]}] if message["id"] in BACK else [],
                }
                for message in PLAIN
            ]
        },
    ],
)
def test_a_reversal_stands_in_its_message_or_apart(more: Case) -> None:
    assert answered("invoice", {**REVERSED, **more}) == comparable(CASES["s09-reversals"]["expected"])


CHANGE = CASES["07-charge-basis"]["input"]


def test_receipts_stand_in_their_message_or_apart_and_in_many_words() -> None:
    receipts = [
        {"message_id": message["id"], "stat": receipt["state"].lower(), "at": receipt["received_at"]}
        for message in CHANGE["messages"]
        for receipt in message.get("receipts", [])
    ]
    messages = [{**message, "receipts": None} for message in CHANGE["messages"]]
    for words in (
        {"submit": 8},
        {"submit": {"result": "refused"}},
        {"submit_result": "failed", "submit": None},
    ):
        said = [{**each, **words} if "submit" in each else each for each in messages]
        values = {**CHANGE, "messages": said, "receipts": receipts}
        assert answered("invoice", values) == comparable(CASES["07-charge-basis"]["expected"])


@pytest.mark.parametrize(
    "more",
    [
        {"vat": "20"},
        {"vat": [{"from": "2014-01-01", "category": "S", "rate": "20"}]},
        {"vat": {"category": "S", "rate": "20"}},
        {"merchant": {"tz": "Europe/Paris"}, "currency": "EUR"},
        {"periods": ["2026-10", "2026-11", "2026-12"]},
        {"price_lists": {"A": CHANGE["price_lists"][0]}},
    ],
)
def test_what_frames_the_messages_has_short_forms(more: Case) -> None:
    assert answered("invoice", {**CHANGE, **more}) == comparable(CASES["07-charge-basis"]["expected"])


def test_one_price_list_need_not_be_named_and_networks_may_be_two_codes() -> None:
    messages = [
        {**message, "price_list": None, "network": None, "mcc": "208", "mnc": message["network"][3:]}
        for message in CHANGE["messages"]
    ]
    expected = comparable(CASES["07-charge-basis"]["expected"])
    assert answered("invoice", {**CHANGE, "messages": messages}) == expected


CAPPED = CASES["s23-caps"]["input"]


@pytest.mark.parametrize(
    "more",
    [
        {"caps": None, "daily_cap": "1.000000"},
        {"caps": None, "day_cap_micro": 1_000_000},
        {"caps": None, "cap": "1"},
        {"caps": None, "cap": {"daily_micro": 1_000_000}},
        {"caps": None, "account": {"cap_per_day": "1.00"}},
        {"caps": None, "merchant": {"caps": {"day": "1.00"}}},
        {"caps": [{"per": "day", "amount": "1.00"}, {"per": "month", "amount": "9"}]},
        {"timezone": None, "merchant": {"timezone": "Europe/Paris"}},
    ],
)
def test_a_cap_is_an_amount_an_object_or_a_list(more: Case) -> None:
    assert answered("prepaid", {**CAPPED, **more}) == comparable(CASES["s23-caps"]["expected"])


def test_numbers_follow_the_instants_of_commits_where_they_are_told() -> None:
    tries = [
        {"id": "late", "committed_at": "2026-11-03T08:00:02+00:00"},
        {"id": "early", "committed_at": "2026-11-03T08:00:01+00:00"},
        {"id": "none", "committed_at": "2026-11-03T08:00:00+00:00", "outcome": "rollback"},
    ]
    assert answered("numbers", {"series": "F", "attempts": tries})["numbers"] == {
        "early": "F-000001",
        "late": "F-000002",
        "none": None,
    }


def test_numbers_go_on_after_the_last_one_of_each_series() -> None:
    steps = [
        {"tx": "t", "op": "begin"},
        {"tx": "u", "op": "commit", "series": "A"},
        {"tx": "t", "op": "commit"},
    ]
    found = answered("gapless-numbers", {"series": {"F": 41, "A": 6}, "events": steps})
    assert found == {"numbers": {"t": "F-000042", "u": "A-000007"}, "last": {"F": 42, "A": 7}}
    found = answered("Numbering", {"series": ["F", "A"], "events": steps})
    assert found["numbers"] == {"t": "F-000001", "u": "A-000001"}


PAID = CASES["s24-payout"]["input"]


@pytest.mark.parametrize(
    "shares",
    [
        lambda line: {"carrier_percent": f"{line['carrier_percent']} %"},
        lambda line: {"carrier_percent": None, "carrier_share": f"0.{line['carrier_percent']}"},
        lambda line: {"carrier_percent": None, "carrier_share": f"{line['carrier_percent']}%"},
        lambda line: {"merchant_percent": None, "merchant_payout_percent": line["merchant_percent"]},
    ],
)
def test_a_share_of_a_payout_is_a_percentage_or_a_fraction(shares: Callable[[Case], Case]) -> None:
    lines = [{**line, **shares(line)} for line in PAID["lines"]]
    expected = comparable(CASES["s24-payout"]["expected"])
    for vat in ({}, {"vat_rate": None, "vat": {"category": "S", "rates": [{"rate": PAID["vat_rate"]}]}}):
        assert answered("payout", {**PAID, "lines": lines, **vat}) == expected


@pytest.mark.parametrize(
    "told", [{"rate": "6.55957"}, {"rate": "6.559570"}, {"divide_by": "6.55957"}, {"from": None, "to": None}]
)
def test_francs_become_euros_by_division_however_the_rate_is_told(told: Case) -> None:
    francs = CASES["s32-francs"]
    assert answered("conversion", {**francs["input"], **told}) == comparable(francs["expected"])


def test_a_carrier_may_be_a_name_and_its_invoice_a_total() -> None:
    case = CASES["s26-reconciliation"]
    carrier = case["input"]["carrier"]
    told = {
        "carrier": carrier["id"],
        "timezone": carrier["timezone"],
        "invoice": None,
        "invoice_total": case["input"]["invoice"]["amount"],
    }
    assert answered("reconciliation", {**case["input"], **told}) == comparable(case["expected"])


def test_who_is_a_consumer_is_said_in_a_word_or_by_a_flag() -> None:
    buyers = [
        {"id": 1, "country": "CH", "consumer": True},
        {"id": 2, "country": "CH", "type": "consumer"},
        {"id": 3, "country": "CH", "consumer": False},
    ]
    found = answered("vat_category", {"buyers": buyers})
    assert [each["accepted"] for each in found] == [False, False, True]


def test_a_booked_document_may_tell_its_vat_in_one_sum() -> None:
    case = CASES["s30-fec"]
    documents = [{**each, "vat": None, "vat_total": sum_of(each)} for each in case["input"]["documents"]]
    assert answered("fec", {**case["input"], "documents": documents}) == comparable(case["expected"])


def sum_of(document: Case) -> str:
    (row,) = document["vat"]
    amount: str = row["amount"]
    return amount
