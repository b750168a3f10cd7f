"""What papers call a country, and the network of a price: operator, country and its code in the list."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from smsgate.billing.networks import default_table

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

    "networks without a price of their own (*)" also where it is the only price of a list; what has no name
    here is its code alone.
    """
    names = country_names().get(network[:MCC_DIGITS], {})
    told = [operator_names().get(network, ""), names.get(language) or names.get(DEFAULT_LANGUAGE, "")]
    name = " ".join(filter(None, told))
    return f"{name} ({network})" if name else network


@cache
def country_name(code: str, language: str) -> str:
    """Return "Allemagne" for DE (ISO 3166), by where its numbers are; a code without a name is itself."""
    networks = default_table().mccmncs(code)
    names = _tables()["parties"].get(code) or country_names().get(
        networks[0][:MCC_DIGITS] if networks else "", {}
    )
    return str(names.get(language) or names.get(DEFAULT_LANGUAGE, code))


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(files("smsgate.billing").joinpath("network_names.toml").read_text("utf-8"))
