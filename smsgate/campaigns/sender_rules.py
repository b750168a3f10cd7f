"""
From which numbers an offer that asks for an answer may be sent, by the recipient's country.

The rules are dated data with their sources (`law/senders.toml`); what is doubtful is read strictly, and says
so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final

from smsgate.campaigns.tables import table

_FILE: Final = "senders.toml"


@dataclass(frozen=True, slots=True)
class SenderRule:
    """`digits` 0 is any length; `until` is excluded."""

    id: str
    countries: frozenset[str]
    since: date
    until: date
    prefixes: tuple[str, ...]
    digits: int
    allowed: bool
    certain: bool
    says: str
    source: str
    url: str

    def matches(self, digits: str) -> int:
        """Return how long the prefix is by which the rule names a number; -1: it is about others."""
        if self.digits not in {0, len(digits)}:
            return -1
        return max((len(prefix) for prefix in self.prefixes if digits.startswith(prefix)), default=-1)


def law_of(country: str) -> str:
    """Return the country whose rules hold there: a territory may have those of another."""
    country = country.upper()
    found: str = table("law", _FILE)["same"].get(country, country)
    return found


@cache
def sender_rules() -> tuple[SenderRule, ...]:
    return tuple(_rule(row) for row in table("law", _FILE)["rule"])


def rule_of_sender(sender: str, country: str, on: date | None = None) -> SenderRule | None:
    """
    Return the rule that decides about a number that can receive, on a day (None: the newest rules).

    None: the country has no rules about it, so nothing is known against it.
    """
    digits, law = sender.removeprefix("+"), law_of(country)
    found = [
        (rule.matches(digits), rule.since, rule)
        for rule in sender_rules()
        if law in rule.countries and (on is None or rule.since <= on) and (on is None or on < rule.until)
    ]
    best = max(found, key=lambda each: each[:2], default=None)
    return best[2] if best is not None and best[0] >= 0 else None


def _rule(row: dict[str, Any]) -> SenderRule:
    prefixes = row["prefixes"] if "prefixes" in row else [row["prefix"]]
    return SenderRule(
        id=row["id"],
        countries=frozenset(row["countries"]),
        since=row["from"],
        until=row.get("to", date.max),
        prefixes=tuple(prefixes),
        digits=row.get("digits", 0),
        allowed=row["allowed"],
        certain=row["certain"],
        says=row["says"],
        source=row["source"],
        url=row["url"],
    )
