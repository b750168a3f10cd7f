"""
Which of a rule's carriers takes a message: by priority or cost, and by weight among equals.

The choice among equals is a hash of the message, not chance: the same message meets the same carrier when a
claim is made again, and two processes agree without asking each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import Final, NamedTuple

from smsgate.routing.rules import Candidate, Choose, Rule

_MASK: Final = (1 << 64) - 1

# What a segment costs at a carrier, in micros; None: its list has no price for the network.
Cost = Callable[[str], int | None]


class Tier(NamedTuple):
    """Carriers that are equally good, with their weights."""

    carriers: tuple[str, ...]
    weights: tuple[int, ...]


def mixed(value: int) -> int:
    """Return 64 well mixed bits of `value` (the finalizer of SplitMix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def tiers(rule: Rule, candidates: Sequence[Candidate], cost: Cost) -> tuple[Tier, ...]:
    """
    Return the carriers in groups, best first; none when all are dearer than the rule allows.

    With a ceiling, a carrier whose cost nobody knows is too dear; without one it comes last of all.
    """
    keyed: list[tuple[tuple[int, ...], Candidate]] = []
    ceiling, by_cost = rule.max_cost_micros, rule.choose is Choose.LEAST_COST
    for candidate in candidates:
        micros = cost(candidate.carrier) if by_cost or ceiling is not None else None
        if ceiling is not None and (micros is None or micros > ceiling):
            continue
        first = (int(micros is None), micros or 0) if by_cost else ()
        keyed.append(((*first, candidate.priority), candidate))
    keyed.sort(key=lambda pair: (pair[0], pair[1].carrier))
    groups = [[candidate for _, candidate in run] for _, run in groupby(keyed, key=lambda pair: pair[0])]
    return tuple(Tier(tuple(c.carrier for c in group), tuple(c.weight for c in group)) for group in groups)


def without(found: Sequence[Tier], carriers: AbstractSet[str]) -> tuple[Tier, ...]:
    """Return the tiers less some carriers."""
    kept: list[Tier] = []
    for tier in found:
        pairs = [pair for pair in zip(*tier, strict=True) if pair[0] not in carriers]
        if pairs:
            kept.append(Tier(tuple(name for name, _ in pairs), tuple(weight for _, weight in pairs)))
    return tuple(kept)


def pick(tier: Tier, seed: int) -> str:
    """Return the carrier of one message among equals; `seed` is a number of the message."""
    if len(tier.carriers) == 1:
        return tier.carriers[0]
    left = mixed(seed) % sum(tier.weights)
    for carrier, weight in zip(*tier, strict=True):
        left -= weight
        if left < 0:
            return carrier
    raise AssertionError
