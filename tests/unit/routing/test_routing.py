"""Rules: which one decides, what cannot work, and who of a rule's carriers takes a message."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.routing.choosing import Tier, pick, tiers, without
from smsgate.routing.rules import Candidate, CarrierFacts, Choose, Kind, Rule, find_faults
from smsgate.routing.table import RouteTable, View

SENDERS: dict[str, dict[str, frozenset[str] | None]] = {
    "a": {"36111": None, "BOXMAN": None},
    "b": {"36111": None},
    "c": {"36111": frozenset({"rival"})},
}
FACTS = {
    name: CarrierFacts(frozenset(senders), "EUR", has_cost_list=name != "c")
    for name, senders in SENDERS.items()
}


def a_rule(name: str, *carriers: str, **conditions: Any) -> Rule:
    return Rule(
        name, tuple(Candidate(carrier, n) for n, carrier in enumerate(carriers or ("a",), 1)), **conditions
    )


def a_view(*rules: Rule, merchant: str = "boxman", sender: str = "36111", kind: Kind = Kind.OFFER) -> View:
    return RouteTable(rules, SENDERS).view(merchant, sender, kind)


def decided(view: View, msisdn: int, network: str) -> str | None:
    (rule,) = view.column([msisdn], [network])
    return None if rule is None else rule.name


def test_the_longest_prefix_decides_and_then_the_network_before_its_country() -> None:
    view = a_view(
        a_rule("all"),
        a_rule("france", networks=("208",)),
        a_rule("orange", networks=("20801",)),
        a_rule("mobile-6", prefixes=("336",)),
        a_rule("block", prefixes=("33612", "33613")),
        a_rule("block-orange", prefixes=("33612",), networks=("20801",)),
    )
    assert decided(view, 33_700_000_000, "20801") == "orange"
    assert decided(view, 33_700_000_000, "20810") == "france"
    assert decided(view, 33_700_000_000, "208*") == "france"
    assert decided(view, 33_600_000_000, "20801") == "mobile-6"
    assert decided(view, 33_613_000_000, "20801") == "block"
    assert decided(view, 33_612_000_000, "20801") == "block-orange"
    assert decided(view, 44_700_000_000, "*") == "all"


def test_merchant_goes_before_sender_before_kind_before_prefix() -> None:
    rules = [
        a_rule("prefix", prefixes=("33612",)),
        a_rule("kind", kinds=(Kind.OFFER,)),
        a_rule("sender", senders=("36111",)),
        a_rule("merchant", merchants=("boxman",)),
    ]
    for most in range(len(rules), 0, -1):
        assert decided(a_view(*rules[:most]), 33_612_000_000, "20801") == rules[most - 1].name
    assert decided(a_view(*rules, merchant="rival"), 33_612_000_000, "20801") == "sender"
    assert decided(a_view(*rules, sender="BOXMAN"), 33_612_000_000, "20801") == "merchant"


def test_a_rule_does_not_hold_for_a_sender_that_none_of_its_carriers_has() -> None:
    rules = [a_rule("all", "a"), a_rule("block", "b", "c", prefixes=("33612",))]
    assert decided(a_view(*rules, sender="BOXMAN"), 33_612_000_000, "20801") == "all"
    assert decided(a_view(*rules), 33_612_000_000, "20801") == "block"


def test_a_carriers_sender_that_is_another_merchants_is_no_candidate() -> None:
    rule = a_rule("all", "b", "c")
    table = RouteTable([rule], SENDERS)
    assert [c.carrier for c in table.candidates(rule, "36111", "boxman")] == ["b"]
    assert [c.carrier for c in table.candidates(rule, "36111", "rival")] == ["b", "c"]
    assert table.carriers_of("36111") == {"b", "c"}


@given(
    st.lists(
        st.tuples(
            st.text("0123456789", min_size=1, max_size=5), st.sampled_from(["", "208", "20801", "23410"])
        ),
        unique=True,
        max_size=12,
    ),
    st.lists(st.integers(10**4, 10**9), min_size=1, max_size=20),
    st.sampled_from(["20801", "20810", "208*", "23410", "*"]),
)
def test_the_compiled_look_up_agrees_with_looking_at_every_rule(
    conditions: list[tuple[str, str]], msisdns: list[int], network: str
) -> None:
    rules = [
        a_rule(f"r{n}", prefixes=(prefix,), networks=(code,) if code else ())
        for n, (prefix, code) in enumerate(conditions)
    ]
    found = a_view(*rules).column(msisdns, [network] * len(msisdns))
    for msisdn, rule in zip(msisdns, found, strict=True):
        holding = [
            (len(r.prefixes[0]), len((r.networks or ("",))[0]), r)
            for r in rules
            if str(msisdn).startswith(r.prefixes[0])
            and (not r.networks or r.networks[0] in {network, network[:3]})
        ]
        best = max(holding, key=lambda held: held[:2], default=(0, 0, None))[2]
        assert rule is best


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([a_rule("x", "nobody")], "no carrier is called nobody"),
        ([a_rule("x", "b", senders=("+BOXMAN",))], "b does not let us send from +BOXMAN"),
        ([a_rule("x", "a", "a")], "a stands there twice"),
        ([Rule("x")], "no carrier stands there"),
        ([a_rule("x", "a", refuse=True)], "a rule that refuses has no carriers"),
        ([a_rule("x"), a_rule("x", prefixes=("33",))], "the name stands there twice"),
        (
            [a_rule("x", prefixes=("33", "44")), a_rule("y", prefixes=("44",))],
            "never decides for prefix 44: rule x stands before it with the same conditions",
        ),
        (
            [a_rule("x", prefixes=("33", "06", "0033", "07", "01"))],
            "no number in international form begins with 06, 0033, 07",
        ),
        ([a_rule("x"), a_rule("y")], "never decides for every message: rule x stands before it"),
        ([a_rule("x", "a", "c", choose=Choose.LEAST_COST)], "nobody knows what c costs: it has no cost_list"),
        ([a_rule("x", "a", "c", max_cost_micros=1)], "nobody knows what c costs"),
    ],
)
def test_a_rule_that_cannot_work_is_named_with_the_reason(rules: list[Rule], sentence: str) -> None:
    faults = find_faults(rules, FACTS)
    assert len(faults) == 1
    assert faults[0].what.startswith(sentence)
    assert faults[0].rule == rules[-1].name
    assert faults[0].mend


def test_costs_in_two_currencies_are_not_compared() -> None:
    facts = FACTS | {"b": FACTS["b"]._replace(cost_currency="GBP")}
    (fault,) = find_faults([a_rule("x", "a", "b", choose=Choose.LEAST_COST)], facts)
    assert fault.what == "costs in different currencies cannot be compared: a EUR, b GBP"
    assert find_faults([a_rule("x", "a", "b")], facts) == []


def names(found: tuple[Tier, ...]) -> list[tuple[str, ...]]:
    return [tier.carriers for tier in found]


def test_the_cheapest_goes_first_ties_by_priority_and_who_has_no_price_last() -> None:
    rule = Rule(
        "x",
        tuple(
            Candidate(name, priority) for name, priority in (("a", 2), ("b", 1), ("c", 1), ("d", 1), ("e", 3))
        ),
        choose=Choose.LEAST_COST,
    )
    costs = {"a": 30, "b": 40, "c": 30, "d": None, "e": 30}
    assert names(tiers(rule, rule.candidates, costs.get)) == [("c",), ("a",), ("e",), ("b",), ("d",)]
    capped = Rule("x", rule.candidates, max_cost_micros=30)
    assert names(tiers(capped, capped.candidates, costs.get)) == [("c",), ("a",), ("e",)]
    assert tiers(Rule("x", rule.candidates, max_cost_micros=29), rule.candidates, costs.get) == ()


def test_equal_carriers_share_by_weight_and_the_same_message_meets_the_same_one() -> None:
    tier = Tier(("a", "b", "c"), (1, 3, 6))
    seeds = [33_612_000_000 + n for n in range(20_000)]
    shares = Counter(pick(tier, seed) for seed in seeds)
    assert [round(shares[name] / 2_000) for name in tier.carriers] == [1, 3, 6]
    assert [pick(tier, seed) for seed in seeds[:500]] == [pick(tier, seed) for seed in seeds[:500]]


def test_who_is_down_leaves_his_share_to_his_equals_and_then_to_the_next() -> None:
    found = (Tier(("a", "b"), (1, 2)), Tier(("c",), (1,)))
    assert without(found, {"a"}) == (Tier(("b",), (2,)), Tier(("c",), (1,)))
    assert without(found, {"a", "b"}) == (Tier(("c",), (1,)),)
    assert without(found, {"a", "b", "c"}) == ()
