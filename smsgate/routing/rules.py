"""
Routing rules: what an operator writes, and whether it can work.

A rule names conditions and carriers. A condition that is not written holds for everybody. Of the rules that
hold for a message the most special one decides: merchant before sender before kind, then the longest prefix,
then the network before its country; two rules can therefore never be equally special for one message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final, NamedTuple

ANY: Final = ""  # a condition that is not written
WEIGHT_MAX: Final = 1_000
PRIORITY_MAX: Final = 100
PREFIXES_NAMED: Final = 3  # in the sentence about a fault: enough to find the others by


class Kind(StrEnum):
    """What a message is for."""

    OFFER = "offer"  # of a campaign
    SYSTEM = "system"  # written by us: receipts of orders, confirmations of STOP
    ESME = "esme"  # of a company's application that binds to us


class Choose(StrEnum):
    PRIORITY = "priority"
    LEAST_COST = "least_cost"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A carrier of a rule: the lowest `priority` goes first, `weight` is its share among its equals."""

    carrier: str
    priority: int = 1
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """
    `networks` are MCC+MNC ("20801") or MCC ("208"); `prefixes` are digits of the MSISDN without "+".

    `refuse` rules name no candidates. `max_cost_micros` is per segment, in the currency of the cost lists.
    """

    name: str
    candidates: tuple[Candidate, ...] = ()
    prefixes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    merchants: tuple[str, ...] = ()
    choose: Choose = Choose.PRIORITY
    max_cost_micros: int | None = None
    refuse: bool = False

    def combinations(self) -> list[Key]:
        """Return every combination of one value of each condition: the rule holds where one of them does."""
        return [
            Key(*key)
            for key in product(
                self.merchants or (ANY,),
                [sender.removeprefix("+") for sender in self.senders] or (ANY,),
                [str(kind) for kind in self.kinds] or (ANY,),
                self.prefixes or (ANY,),
                self.networks or (ANY,),
            )
        ]


class Key(NamedTuple):
    """One value of each condition, ANY where there is none."""

    merchant: str
    sender: str
    kind: str
    prefix: str
    network: str

    def words(self) -> str:
        """Return the conditions in words, for a sentence."""
        given = [f"{name} {value}" for name, value in zip(self._fields, self, strict=True) if value]
        return " and ".join(given) or "every message"


class CarrierFacts(NamedTuple):
    """What rules need of a carrier: its senders, and the currency of what it charges, if that is known."""

    senders: AbstractSet[str]
    cost_currency: str | None
    has_cost_list: bool


class Finding(NamedTuple):
    """One thing wrong with a rule: where it stands, what it is, and how to mend it."""

    rule: str
    key: str
    what: str
    mend: str


def find_faults(rules: Sequence[Rule], carriers: Mapping[str, CarrierFacts]) -> list[Finding]:
    """Return what cannot work, in the order of the rules; an empty list means that the rules are sound."""
    faults: list[Finding] = []
    owners: dict[Key, Rule] = {}
    names: set[str] = set()
    for rule in rules:
        if rule.name in names:
            faults.append(Finding(rule.name, "name", "the name stands there twice", "name it otherwise"))
        names.add(rule.name)
        faults += _shadows(rule, owners)
        faults += _form(rule)
        faults += _prefixes(rule)
        faults += _carriers(rule, carriers)
    return faults


def _shadows(rule: Rule, owners: dict[Key, Rule]) -> list[Finding]:
    """A key that an earlier rule has decides nothing here."""
    taken: dict[str, list[Key]] = {}
    for key in rule.combinations():
        owner = owners.setdefault(key, rule)
        if owner is not rule:
            taken.setdefault(owner.name, []).append(key)
    return [
        Finding(
            rule.name,
            "name",
            f"never decides for {keys[0].words()}: rule {owner} stands before it with the same conditions",
            f"join the two, or give {rule.name} another condition",
        )
        for owner, keys in taken.items()
    ]


def _form(rule: Rule) -> list[Finding]:
    if rule.refuse and rule.candidates:
        return [Finding(rule.name, "refuse", "a rule that refuses has no carriers", "keep one of the two")]
    if not rule.refuse and not rule.candidates:
        return [Finding(rule.name, "carriers", "no carrier stands there", "name one, or set refuse = true")]
    twice = [c.carrier for n, c in enumerate(rule.candidates) if c.carrier in _names(rule.candidates[:n])]
    return [
        Finding(rule.name, "carriers", f"{carrier} stands there twice", "keep one entry") for carrier in twice
    ]


def _prefixes(rule: Rule) -> list[Finding]:
    """MSISDNs are in international form: a rule for "06" or "0033" would wait for ever, and say nothing."""
    national = [prefix for prefix in rule.prefixes if prefix.startswith("0")]
    if not national:
        return []
    named = ", ".join(national[:PREFIXES_NAMED])
    return [
        Finding(
            rule.name,
            "prefixes",
            f"no number in international form begins with {named}",
            'write the country first, without 00 or +: "336", not "06"',
        )
    ]


def _carriers(rule: Rule, carriers: Mapping[str, CarrierFacts]) -> list[Finding]:
    faults: list[Finding] = []
    for candidate in rule.candidates:
        facts = carriers.get(candidate.carrier)
        if facts is None:
            known = ", ".join(sorted(carriers)) or "none"
            faults.append(
                Finding(
                    rule.name,
                    "carriers",
                    f"no carrier is called {candidate.carrier}",
                    f"name one of those that are configured: {known}",
                )
            )
            continue
        faults += [
            Finding(
                rule.name,
                "senders",
                f"{candidate.carrier} does not let us send from {sender}",
                f"add an entry for {sender} to the senders of {candidate.carrier}, or name another carrier",
            )
            for sender in rule.senders
            if sender.removeprefix("+") not in facts.senders
        ]
    return faults + _costs(rule, carriers)


def _costs(rule: Rule, carriers: Mapping[str, CarrierFacts]) -> list[Finding]:
    """Costs are compared as numbers, so every carrier must have them, in one currency."""
    if rule.choose is not Choose.LEAST_COST and rule.max_cost_micros is None:
        return []
    faults: list[Finding] = []
    currencies: dict[str, str] = {}
    for candidate in rule.candidates:
        facts = carriers.get(candidate.carrier)
        if facts is None:
            continue
        if not facts.has_cost_list:
            faults.append(
                Finding(
                    rule.name,
                    "carriers",
                    f"nobody knows what {candidate.carrier} costs: it has no cost_list",
                    f"set cost_list of {candidate.carrier}, or choose by priority without max_cost",
                )
            )
        elif facts.cost_currency is not None:
            currencies[candidate.carrier] = facts.cost_currency
    if len(set(currencies.values())) > 1:
        named = ", ".join(f"{carrier} {currency}" for carrier, currency in currencies.items())
        faults.append(
            Finding(
                rule.name,
                "carriers",
                f"costs in different currencies cannot be compared: {named}",
                "give them cost lists in one currency, or choose by priority",
            )
        )
    return faults


def _names(candidates: Sequence[Candidate]) -> set[str]:
    return {candidate.carrier for candidate in candidates}
