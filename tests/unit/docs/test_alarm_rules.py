"""The alarms that we ship look at metrics that there are, and lead to runbooks that there are."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from smsgate.links.counts import CarrierCounts

ROOT: Final = Path(__file__).parents[3]
NAME: Final = re.compile(r"\b(?:smsgate_[a-z_]+|up)\b")
OF_PROMETHEUS: Final = {"up"}  # what it says of each target itself
MADE: Final = re.compile(r'\.(gauge|counter|histogram)\(\s*"([a-z_]+)"')
SUFFIXES: Final = {"gauge": ("",), "counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((ROOT / "conf" / "prometheus-rules.yml").read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def metric_names() -> set[str]:
    made = [
        found
        for path in (ROOT / "smsgate").rglob("*.py")
        for found in MADE.findall(path.read_text(encoding="utf-8"))
    ]
    return {f"smsgate_{name}{suffix}" for kind, name in made for suffix in SUFFIXES[kind]}


RULES: Final = rules()


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alarm_looks_at_metrics_that_there_are(rule: dict[str, Any]) -> None:
    names = set(NAME.findall(rule["expr"]))
    assert names
    assert names <= metric_names() | OF_PROMETHEUS
    kinds = set(re.findall(r'kind="([a-z_]+)"', rule["expr"]))
    assert kinds <= {field.name for field in fields(CarrierCounts)} | {"receipts_unmatched", "mo_parts"}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alarm_says_how_urgent_it_is_and_which_runbook_helps(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    headings = {line.lstrip("# ").lower().replace("`", "").replace(" ", "-") for line in text.splitlines()}
    assert rule["annotations"]["runbook"] in headings


def test_every_alarm_stands_in_the_table_of_the_operators() -> None:
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert not [rule["alert"] for rule in RULES if f"`{rule['alert']}`" not in text]
