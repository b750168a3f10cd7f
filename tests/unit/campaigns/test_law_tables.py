"""Every row of every table of law: dated, with its source, a link to it, and whether it is certain."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from smsgate.campaigns.tables import table

OUR_OWN = "default-hours"  # no law: the stricter of the other rows


def rows() -> list[tuple[str, dict[str, Any]]]:
    found = [
        (f"{name}[{no}]", row)
        for name in ("hours", "senders", "similar_products")
        for no, row in enumerate(table("law", f"{name}.toml")["rule"])
    ]
    offers = table("law", "offers.toml")
    found.append(("offers[common]", offers["common"]))
    return found + [
        (f"offers[{country}]", row) for country, dated in offers["country"].items() for row in dated
    ]


@pytest.mark.parametrize(("name", "row"), rows(), ids=[name for name, _ in rows()])
def test_a_row_of_law_is_dated_and_links_to_its_source(name: str, row: dict[str, Any]) -> None:
    assert row["source"].strip()
    assert row["url"].startswith(("https://", "http://")) or row.get("id") == OUR_OWN
    assert isinstance(row.get("certain", True), bool)
    if name != "offers[common]":  # which holds wherever and whenever no other does
        assert isinstance(row["from"], date)
        assert row["from"] < row.get("to", date.max)


def test_no_day_has_two_rules_of_what_an_offer_must_say() -> None:
    for country, dated in table("law", "offers.toml")["country"].items():
        ordered = sorted(dated, key=lambda row: row["from"])
        for row, following in pairwise(ordered):
            assert row.get("to", date.max) <= following["from"], country


@pytest.mark.parametrize("rule", table("law", "retention.toml")["rule"], ids=lambda rule: rule["id"])
def test_what_is_kept_how_long_says_why_and_by_which_source(rule: dict[str, Any]) -> None:
    assert rule["why"].strip()
    assert rule["source"].strip()
