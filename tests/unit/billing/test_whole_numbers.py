"""Money never touches a float or a Decimal (MUST 1): the package's code is looked through, word by word."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import smsgate.billing
import smsgate.money

FORBIDDEN = {"float", "Decimal", "decimal", "Fraction", "fractions", "round", "fsum", "math", "statistics"}
FILES = [*Path(smsgate.billing.__file__).parent.rglob("*.py"), Path(smsgate.money.__file__)]


def suspects(source: str) -> Iterator[str]:
    """Yield what could make a number that is not whole: literals, names, true division, negative powers."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Constant(value=float() | complex()):
                yield f"{line}: {node.value!r}"
            case ast.Constant(value=str()) if node.value in FORBIDDEN:
                yield f"{line}: {node.value!r}"
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in FORBIDDEN:
                yield f"{line}: {name}"
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                module = getattr(node, "module", None)
                yield from (f"{line}: {name}" for name in {module, *(a.name for a in names)} & FORBIDDEN)
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"{line}: /"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_billing_knows_whole_numbers_only(path: Path) -> None:
    assert list(suspects(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 0.1",
        "x: float = 1",
        "x = a / b",
        "x /= 2",
        "from decimal import Decimal",
        "x = round(y)",
        "f(1e3)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert list(suspects(source))
