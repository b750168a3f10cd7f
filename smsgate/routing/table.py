"""The rules compiled: one view per merchant, sender and kind, then one look-up per distinct key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from smsgate.alike import made_of_each
from smsgate.routing.rules import ANY, Candidate, Kind, Rule

COUNTRY_DIGITS: Final = 3
VIEWS_MAX: Final = 10_000  # merchants x senders x kinds that were looked up: a few kB each


# Senders without "+", and the merchants that may use each; None: everybody.
Senders = Mapping[str, AbstractSet[str] | None]


class View:
    """The rules that can hold for one merchant, sender and kind, most special first."""

    def __init__(self, layers: Sequence[Mapping[tuple[str, str], Rule]]) -> None:
        """Take one mapping of (prefix, network) to rule per combination of the other conditions."""
        self._layers = [
            (layer, sorted({len(prefix) for prefix, _ in layer}, reverse=True)) for layer in layers if layer
        ]
        self._digits = max((lengths[0] for _, lengths in self._layers), default=0)

    def __bool__(self) -> bool:
        return bool(self._layers)

    def rule(self, msisdn: str, network: str) -> Rule | None:
        """Return the rule that decides; None: no rule holds."""
        found = self.deciding(msisdn, network)
        return None if found is None else found[0]

    def deciding(self, msisdn: str, network: str) -> tuple[Rule, str, str] | None:
        """Return the rule that decides, and by which prefix and network."""
        for layer, lengths in self._layers:
            for length in lengths:
                prefix = msisdn[:length]
                for place in (network, network[:COUNTRY_DIGITS], ANY):
                    rule = layer.get((prefix, place))
                    if rule is not None and len(prefix) == length:
                        return rule, prefix, place
        return None

    def column(self, msisdns: Sequence[int], networks: Sequence[str]) -> list[Rule | None]:
        """Return the rule of every recipient; each distinct leading part and network is looked up once."""
        digits = self._digits
        if not digits:
            return made_of_each(networks, lambda network: self.rule("", network))
        keys = [(str(msisdn)[:digits], network) for msisdn, network in zip(msisdns, networks, strict=True)]
        return made_of_each(keys, lambda key: self.rule(*key))


class RouteTable:
    """Immutable rules. A rule without a carrier that may send from the sender does not hold for it."""

    def __init__(self, rules: Sequence[Rule], senders: Mapping[str, Senders]) -> None:
        """Take rules without faults (`find_faults`), and the senders of each carrier by its name."""
        self.rules = tuple(rules)
        self._senders = senders
        self._views: dict[tuple[str, str, Kind], View] = {}
        self._carriers_of: dict[str, frozenset[str]] = {}

    def __bool__(self) -> bool:
        return bool(self.rules)

    def view(self, merchant: str, sender: str, kind: Kind) -> View:
        """Return the compiled view; `sender` is without "+"."""
        key = (merchant, sender, kind)
        view = self._views.get(key)
        if view is None:
            if len(self._views) >= VIEWS_MAX:
                self._views.clear()
            view = self._views[key] = self._compile(merchant, sender, kind)
        return view

    def candidates(self, rule: Rule, sender: str, merchant: str) -> tuple[Candidate, ...]:
        """Return the carriers of a rule that the merchant may send by from `sender`."""
        return tuple(c for c in rule.candidates if self._may(c.carrier, sender, merchant))

    def _may(self, carrier: str, sender: str, merchant: str | None) -> bool:
        senders = self._senders.get(carrier, {})
        if sender not in senders:
            return False
        merchants = senders[sender]
        return merchants is None or merchant is None or merchant in merchants

    def carriers_of(self, sender: str) -> frozenset[str]:
        """Return every carrier that some rule may give a message from `sender` to."""
        found = self._carriers_of.get(sender)
        if found is None:
            if len(self._carriers_of) >= VIEWS_MAX:
                self._carriers_of.clear()
            found = frozenset(
                c.carrier
                for rule in self.rules
                for c in rule.candidates
                if self._may(c.carrier, sender, None)
            )
            self._carriers_of[sender] = found
        return found

    def _compile(self, merchant: str, sender: str, kind: Kind) -> View:
        layers: dict[tuple[bool, bool, bool], dict[tuple[str, str], Rule]] = {}
        for rule in self.rules:
            if not rule.refuse and not self.candidates(rule, sender, merchant):
                continue
            for key in rule.combinations():
                holds = key.merchant in {ANY, merchant} and key.sender in {ANY, sender}
                if holds and key.kind in {ANY, kind}:
                    rank = (bool(key.merchant), bool(key.sender), bool(key.kind))
                    layers.setdefault(rank, {}).setdefault((key.prefix, key.network), rule)
        return View([layers[rank] for rank in sorted(layers, reverse=True)])


NO_ROUTES: Final = RouteTable((), {})
