"""The tables that ship with the package (words, rules, texts): read once, as TOML."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(*path: str) -> dict[str, Any]:
    """Return one TOML file below `smsgate/campaigns`; callers must not change it."""
    return tomllib.loads(files("smsgate.campaigns").joinpath(*path).read_text("utf-8"))
