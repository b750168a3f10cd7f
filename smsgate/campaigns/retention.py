"""What is kept how long, and why, as data (law/retention.toml); what a merchant may choose of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from smsgate.campaigns.tables import table
from smsgate.errors import Invalid


class By(StrEnum):
    """Who sees to it that a rule is kept."""

    ROWS = "rows"  # housekeeping, by the job of the rule's name
    DAYS = "days"  # housekeeping: whole daily partitions
    FILES = "files"  # housekeeping
    MEMORY = "memory"  # the process itself
    CODE = "code"  # what the rows belong to, when it ends
    NOBODY = "nobody"


class Rule(NamedTuple):
    """One row of the table, whose head says what each field means."""

    id: str
    what: str
    tables: tuple[str, ...]
    by: By
    why: str
    source: str
    days: int | None = None
    least: int | None = None
    most: int | None = None
    operator: str = ""
    beyond: int | None = None

    @property
    def is_for_merchants_to_choose(self) -> bool:
        return self.least is not None


@cache
def rules() -> Mapping[str, Rule]:
    """Return all rules by their ids, in the order of the table."""
    rows = (
        Rule(**{**row, "tables": tuple(row["tables"]), "by": By(row["by"])})
        for row in table("law", "retention.toml")["rule"]
    )
    return MappingProxyType({rule.id: rule for rule in rows})


def kept(rule: str) -> timedelta:
    """Return how long the table keeps what a rule is about; operator and merchants may choose otherwise."""
    days = rules()[rule].days
    assert days is not None, f"{rule} is kept for good"
    return timedelta(days=days)


def check_choice(rule: str, days: int) -> None:
    """
    Refuse what a merchant may not choose.

    Raises:
        Invalid: code `retention_not_allowed`: no such rule, not for merchants, or out of its bounds.
    """
    found = rules().get(rule)
    code = "retention_not_allowed"
    if found is None or found.least is None or found.most is None:
        own = ", ".join(each.id for each in rules().values() if each.is_for_merchants_to_choose)
        raise Invalid(f"a merchant may choose for {own}", code=code, pointer="/rule")
    if not found.least <= days <= found.most:
        raise Invalid(
            f"{rule} may be {found.least} to {found.most} days for a merchant", code=code, pointer="/days"
        )
