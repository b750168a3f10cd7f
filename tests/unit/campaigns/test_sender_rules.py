from __future__ import annotations

from datetime import date

import pytest

from smsgate.campaigns.offers import lint_sender
from smsgate.campaigns.sender_rules import rule_of_sender, sender_rules

NOW = date(2026, 11, 27)


@pytest.mark.parametrize(
    ("sender", "rule"),
    [
        ("36111", "fr-short-code-marketing"),
        ("38111", "fr-short-code-alert"),
        ("31111", "fr-short-code-other"),
        ("39999", "fr-short-code-other"),
        ("81111", "fr-short-code-premium"),
        ("33612345678", "fr-mobile"),
        ("+33712345678", "fr-mobile-07"),
        ("33700123456789", "fr-long-mobile"),
        ("+33162123456", "fr-verified"),  # 01 62 12 34 56
        ("3316212345", "fr-other"),  # a digit short
        ("331621234567", "fr-other"),
        ("33949512345", "fr-verified"),
        ("33937123456", "fr-platform"),
        ("33140205050", "fr-other"),
        ("447700900123", "fr-other"),
        ("361111", "fr-other"),
    ],
)
def test_each_kind_of_number_has_its_rule_in_france(sender: str, rule: str) -> None:
    found = rule_of_sender(sender, "FR", NOW)
    assert found is not None
    assert found.id == rule
    refusal = lint_sender(sender, "FR", on=NOW)
    assert [finding.code for finding in refusal] == ([] if found.allowed else ["sender_not_allowed"])
    for finding in refusal:
        assert found.says in finding.message
        assert ("not certain" in finding.message) is not found.certain
        assert finding.source == found.source


def test_only_short_codes_for_marketing_are_allowed_for_certain() -> None:
    assert [rule.id for rule in sender_rules() if rule.allowed] == ["fr-short-code-marketing"]


def test_rules_hold_from_their_day_on() -> None:
    assert rule_of_sender("33612345678", "FR", date(2022, 12, 31)) is None
    assert rule_of_sender("33612345678", "FR", date(2023, 1, 1)) is not None
    assert rule_of_sender("33140205050", "FR", date(2024, 8, 31)) is None
    assert lint_sender("33612345678", "FR")[0].code == "sender_not_allowed"  # the newest rules


def test_the_departments_overseas_have_the_rules_of_france_and_other_countries_none() -> None:
    assert [finding.code for finding in lint_sender("38111", "RE", on=NOW)] == ["sender_not_allowed"]
    assert lint_sender("38111", "PT", on=NOW) == []
    assert lint_sender("447700900123", "GB", on=NOW) == []


@pytest.mark.parametrize("name", ["Boxman", "BOX MAN", "36111a"])
def test_a_name_receives_nothing_whatever_the_country(name: str) -> None:
    for country in ("FR", "PT"):
        assert [finding.code for finding in lint_sender(name, country, on=NOW)] == [
            "sender_not_reply_capable"
        ]


def test_every_rule_names_its_source_and_its_address_and_says_what_it_is_about() -> None:
    assert len({rule.id for rule in sender_rules()}) == len(sender_rules())
    for rule in sender_rules():
        assert rule.source, rule.id
        assert rule.url.startswith("https://"), rule.id
        assert rule.says.endswith("."), rule.id
        assert rule.since < rule.until, rule.id
