"""What papers call the network of a price: operator and country, with the code of the price list."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MCC_DIGITS: Final = 3
DEFAULT_LANGUAGE: Final = "en"


@cache
def country_names() -> Mapping[str, Mapping[str, str]]:
    """Return the names of countries by MCC, then by language; "*" is all others."""
    countries: dict[str, dict[str, str]] = _tables()["countries"]
    return countries


@cache
def operator_names() -> Mapping[str, str]:
    """Return the names of operators by MCC and MNC."""
    operators: dict[str, str] = _tables()["operators"]
    return operators


def network_name(network: str, language: str) -> str:
    """
    Return "Orange France (20801)", "France (208)"; `network` is as a price has it (MCC and MNC, or MCC).

    "all other networks (*)" is what no other price is of; what has no name here is its code alone.
    """
    names = country_names().get(network[:MCC_DIGITS], {})
    told = [operator_names().get(network, ""), names.get(language) or names.get(DEFAULT_LANGUAGE, "")]
    name = " ".join(filter(None, told))
    return f"{name} ({network})" if name else network


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(files("smsgate.billing").joinpath("network_names.toml").read_text("utf-8"))
