"""docs/compliance.md says what the tables of law have: no place and no limit without its line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from smsgate.campaigns.caps import SAFE_CAPS
from smsgate.campaigns.consent import DOUBT_MAX, IDLE_YEARS_MAX, LESS_PERIOD, PENDING_DAYS_MAX
from smsgate.campaigns.hours import hours_rules
from smsgate.campaigns.tables import table

PAGE: Final = (Path(__file__).parents[3] / "docs" / "compliance.md").read_text(encoding="utf-8")


def test_every_state_with_hours_of_its_own_is_named_and_no_other() -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| AL, ")]
    named = set(re.findall(r"\b[A-Z]{2}\b", row.split("|")[1]))
    assert named == {region for rule in hours_rules() for region in rule.regions}


def test_every_french_number_that_is_open_to_applications_is_named() -> None:
    (row,) = [rule for rule in table("law", "senders.toml")["rule"] if rule["id"] == "fr-verified"]
    assert [prefix for prefix in row["prefixes"] if len(prefix) == 5 and f"0{prefix[2:]}" not in PAGE] == []


def test_the_limits_of_consent_are_those_of_the_program() -> None:
    assert f"within {PENDING_DAYS_MAX} days" in PAGE
    assert f"or {DOUBT_MAX.days} days passed" in PAGE
    assert f"at most one offer of a merchant in {LESS_PERIOD.days} days" in PAGE
    assert IDLE_YEARS_MAX == 3
    assert "`expired` after three years" in PAGE
    assert "at most 2 in 24 hours and 7 in 7 days of all merchants together, of one merchant 2 and 4" in PAGE
    of_all = SAFE_CAPS.person_per_day_max, SAFE_CAPS.person_per_week_max
    of_one = SAFE_CAPS.merchant_per_day_max, SAFE_CAPS.merchant_per_week_max
    assert (of_all, of_one) == ((2, 7), (2, 4))
