"""R1 to R12 on random cases: the product and a calculation by fractions agree on every figure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from smsgate.billing.cases import simulate
from tests.unit.billing.fraction_oracle import answer
from tests.unit.billing.worked_cases import backwards, changed, comparable, twice

FIRST: Final = datetime(2026, 9, 20, tzinfo=UTC)
HOURS: Final = 24 * 75  # to the beginning of December
ZONES: Final = ("Europe/Paris", "America/New_York", "Asia/Kolkata", "UTC")
CLOSES: Final = ("2026-10-04T08:00", "2026-11-03T08:00", "2026-12-03T08:00", "2027-01-04T08:00")
NETWORKS: Final = ("20801", "20810", "26201", "310260")
STATES: Final = ("DELIVRD", "DELIVRD", "DELIVRD", "UNDELIV", "EXPIRED", "ENROUTE", "ACCEPTD")

prices = st.integers(0, 120_000).map(lambda micros: f"0.{micros:06d}")
# Starts of months, versions and rates in each zone, and closes; and a microsecond before each of them.
EDGES: Final = tuple(
    datetime.combine(date.fromisoformat(day), time(0), ZoneInfo(zone)).astimezone(UTC)
    for day in ("2026-10-01", "2026-10-16", "2026-11-01", "2026-11-15")
    for zone in ZONES
) + tuple(datetime.fromisoformat(f"{close}+00:00") for close in CLOSES[:-1])
edges = st.builds(
    lambda edge, early: edge - timedelta(microseconds=early), st.sampled_from(EDGES), st.integers(0, 1)
)
hours = st.integers(0, HOURS).map(lambda passed: FIRST + timedelta(hours=passed))
instants = st.one_of(edges, hours).map(datetime.isoformat)


@st.composite
def items(draw: st.DrawFn, *, tiered: bool) -> list[dict[str, Any]]:
    places = [("MT", "20801"), ("MT", "208"), ("MO", "*"), ("MO", "208")]
    chosen = draw(st.lists(st.sampled_from(places), unique=True, max_size=3))
    if draw(st.integers(0, 5)):
        chosen.append(("MT", "*"))
    found: list[dict[str, Any]] = []
    for direction, network in chosen:
        basis = draw(st.sampled_from(("submit", "delivered")))
        item: dict[str, Any] = {"direction": direction, "network": network, "basis": basis}
        if tiered and draw(st.integers(0, 3)):
            firsts = sorted(draw(st.sets(st.integers(2, 90), min_size=1, max_size=3)))
            steps = [{"from": first, "unit_price": draw(prices)} for first in (1, *firsts)]
            item["tiers"] = {"mode": draw(st.sampled_from(("graduated", "volume"))), "steps": steps}
        else:
            item["unit_price"] = draw(prices)
        found.append(item)
    return found


@st.composite
def price_lists(draw: st.DrawFn, *, tiered: bool) -> list[dict[str, Any]]:
    lists = []
    for name, currency in (("A", "EUR"), ("B", draw(st.sampled_from(("EUR", "JPY", "TND"))))):
        starts = ["2026-09-01", *sorted(draw(st.sets(st.sampled_from(("2026-10-16", "2026-11-01")))))]
        versions = [
            {"version": number, "effective_from": start, "items": draw(items(tiered=tiered))}
            for number, start in enumerate(starts, 1)
        ]
        zone = draw(st.sampled_from(ZONES))
        lists.append({"id": name, "currency": currency, "timezone": zone, "versions": versions})
    return lists


@st.composite
def messages(draw: st.DrawFn, name: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": name,
        "count": draw(st.integers(1, 30)),
        "direction": draw(st.sampled_from(("MT", "MT", "MT", "MO"))),
        "network": draw(st.sampled_from(NETWORKS)),
        "price_list": draw(st.sampled_from(("A", "B"))),
        "accepted_at": draw(instants),
        "segments": draw(st.integers(1, 3)),
    }
    if draw(st.integers(0, 9)) == 0:
        message["submit"] = "rejected"
    if draw(st.integers(0, 3)) == 0:
        message["reversed_at"] = draw(instants)
    moments = draw(st.lists(instants, unique=True, min_size=1, max_size=3))
    message["receipts"] = [
        {"state": draw(st.sampled_from(STATES)), "received_at": moment} for moment in moments
    ]
    return message


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    tiered = draw(st.booleans())
    change = draw(st.sampled_from(("2026-10-01", "2026-11-01") if tiered else ("2026-10-16", "2026-11-15")))
    rates = [
        {"from": "2014-01-01", "rate": "20"},
        {"from": change, "rate": draw(st.sampled_from(("5.5", "21")))},
    ]
    case: dict[str, Any] = {
        "merchant": {"id": "m1", "timezone": draw(st.sampled_from(ZONES)), "currency": "EUR"},
        "vat": {"category": "S", "rates": rates},
        "periods": [
            {"period": f"2026-{month:02d}", "close_at": f"{close}:00+00:00"}
            for month, close in enumerate(CLOSES, 9)
        ],
        "price_lists": draw(price_lists(tiered=tiered)),
        "messages": [draw(messages(f"m{number}")) for number in range(draw(st.integers(3, 14)))],
    }
    if draw(st.booleans()):
        case["commitments"] = {"EUR": draw(st.sampled_from(("0.50", "5.00", "20.00")))}
    return case


@settings(max_examples=120, deadline=None)
@given(cases())
def test_every_figure_of_every_invoice_agrees_with_the_calculation_by_fractions(case: dict[str, Any]) -> None:
    assert comparable(simulate({"kind": "invoice", "input": case})) == comparable(answer(case))


@settings(max_examples=25, deadline=None)
@given(cases())
def test_order_and_repetition_of_the_input_change_no_invoice(case: dict[str, Any]) -> None:
    plain = simulate({"kind": "invoice", "input": case})
    for change in (backwards, twice):
        assert simulate({"kind": "invoice", "input": changed(case, change)}) == plain


@settings(max_examples=25, deadline=None)
@given(cases(), st.integers(0, 30))
def test_splitting_messages_over_two_nodes_changes_no_invoice(case: dict[str, Any], part: int) -> None:
    halves = []
    for message in case["messages"]:
        first = min(part, message["count"])
        halves += [
            {**message, "count": first},
            {**message, "id": message["id"] + "-b", "count": message["count"] - first},
        ]
    split = {**case, "messages": halves}
    plain, parted = (simulate({"kind": "invoice", "input": each})["invoices"] for each in (case, split))
    assert plain == parted


@settings(max_examples=30, deadline=None)
@given(cases())
def test_documents_add_up_and_their_rounding_is_bounded(case: dict[str, Any]) -> None:
    for invoice in simulate({"kind": "invoice", "input": case})["invoices"]:
        digits = {"EUR": 2, "JPY": 0, "TND": 3}[invoice["currency"]]

        def minor(text: str, digits: int = digits) -> int:
            whole, _, fraction = text.partition(".")
            assert len(fraction) == digits
            return int(whole + fraction)

        assert minor(invoice["net"]) == sum(minor(line["net"]) for line in invoice["lines"])
        assert minor(invoice["net"]) == sum(minor(row["basis"]) for row in invoice["vat"])
        assert minor(invoice["gross"]) == minor(invoice["net"]) + minor(invoice["vat_total"])
        assert minor(invoice["net"]) >= 0
        bound = 10 ** (6 - digits) * len(invoice["lines"])
        assert 2 * abs(invoice["rounding_difference_micro"]) <= bound
