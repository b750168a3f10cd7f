"""
The worked cases of tests/data/billing-cases, and what may be done to them without changing their answers.

The cases whose names begin with a digit are the five public samples of the format smsgate-billing-cases/1;
the others are our own, their answers computed by hand as their `why` says. Those that begin with an x were
written from the rules' text alone, by somebody who had not seen the code, with fractions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[2] / "data" / "billing-cases"
CASES: Final[dict[str, dict[str, Any]]] = {
    path.stem: json.loads(path.read_text("utf-8"), parse_float=str) for path in sorted(FOLDER.glob("*.json"))
}
UNORDERED: Final = frozenset({"invoices", "lines", "vat"})  # their order is not compared
IN_ORDER: Final = frozenset({"credits", "columns", "rows", "customers", "amounts", "texts"})
REPEATABLE: Final = frozenset({"messages", "receipts", "reversals", "events", "ours"})


def comparable(answer: Any) -> Any:
    """Return the answer with what has no order in an order of its own."""
    if isinstance(answer, dict):
        return {
            name: sorted(map(comparable, value), key=_text)
            if name in UNORDERED and isinstance(value, list)
            else comparable(value)
            for name, value in answer.items()
        }
    return [comparable(each) for each in answer] if isinstance(answer, list) else answer


def changed(value: Any, change: Callable[[str, list[Any]], list[Any]], name: str = "") -> Any:
    """Return the input with `change` applied to each list, by its name, innermost first."""
    if isinstance(value, dict):
        return {key: changed(each, change, key) for key, each in value.items()}
    if isinstance(value, list):
        return change(name, [changed(each, change) for each in value])
    return value


def backwards(name: str, values: list[Any]) -> list[Any]:
    """Turn a list round, unless its order is its meaning; numbered events tell their order themselves."""
    ordered = not name or name in IN_ORDER or (name == "events" and any("n" not in event for event in values))
    return values if ordered else values[::-1]


def twice(name: str, values: list[Any]) -> list[Any]:
    """Deliver every message, receipt and event a second time."""
    return [*values, *values] if name in REPEATABLE else values


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
