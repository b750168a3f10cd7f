"""
The network of an MSISDN by its longest known prefix.

A prefix tells who first got the block, not who serves the number today: portability needs a look-up at a
carrier. An unknown block of a known country has the country's MCC with "*" for the MNC; an unknown country
is "*".
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from smsgate.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PREFIX_DIGITS_MAX: Final = 15
NETWORK_UNKNOWN: Final = "*"
BLOCK_NUMBERS: Final = 100_000  # numbers that share all but their last five digits
BLOCKS_MAX: Final = 200_000  # remembered; about 20 MB


class Network(NamedTuple):
    """`mccmnc` is five or six digits, "208*" when only the country is known, "*" when not even that."""

    mccmnc: str
    country: str  # ISO 3166, "" when unknown


_NOWHERE: Final = Network(NETWORK_UNKNOWN, "")


class NetworkTable:
    """
    An immutable longest-prefix table: one dictionary, tried from the longest length there is to the
    shortest.
    """

    def __init__(self, networks: dict[str, Network]) -> None:
        self._networks = networks
        self._lengths = tuple(sorted({len(prefix) for prefix in networks}, reverse=True))
        # What `column` has found: the first digits of a number, as many as the longest prefix or more.
        self._blocks: dict[int, str] = {}
        self._block_least = 10 ** (self._lengths[0] - 1) if self._lengths else 0

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[str, str, str]]) -> NetworkTable:
        """
        Build from (prefix, mccmnc, country).

        Raises:
            Invalid: a prefix that is no digits, a network that is none, or a prefix given twice.
        """
        networks: dict[str, Network] = {}
        for prefix, mccmnc, country in rows:
            if not (prefix.isascii() and prefix.isdecimal() and len(prefix) <= PREFIX_DIGITS_MAX):
                raise Invalid(
                    f"prefix {prefix!r} is not 1 to {PREFIX_DIGITS_MAX} digits", code="network_invalid"
                )
            if not is_network(mccmnc):
                raise Invalid(f"network {mccmnc!r} of prefix {prefix} is no MCC+MNC", code="network_invalid")
            if prefix in networks:
                raise Invalid(f"prefix {prefix} stands twice", code="network_invalid")
            networks[prefix] = Network(mccmnc, country)
        return cls(networks)

    def __len__(self) -> int:
        return len(self._networks)

    def prefixes(self) -> Mapping[str, str]:
        """Return the network of each prefix; a country's own code has its MCC and "*"."""
        return {prefix: network.mccmnc for prefix, network in self._networks.items()}

    def mccmncs(self, country: str) -> list[str]:
        """Return every network of a country that a number can have, in order."""
        return sorted({network.mccmnc for network in self._networks.values() if network.country == country})

    def network_of(self, msisdn: str) -> Network:
        for length in self._lengths:
            network = self._networks.get(msisdn[:length])
            if network is not None:
                return network
        return _NOWHERE

    def column(self, msisdns: Sequence[int]) -> list[str]:
        """Return the `mccmnc` of every number; each block of numbers is looked up once."""
        known, least = self._blocks, self._block_least
        if len(known) > BLOCKS_MAX:
            known.clear()
        blocks = [msisdn // BLOCK_NUMBERS for msisdn in msisdns]
        found = [*map(known.get, blocks)]
        if None not in found:
            return cast("list[str]", found)
        out: list[str] = []
        for msisdn, block in zip(msisdns, blocks, strict=True):
            network = known.get(block)
            if network is None:
                network = self.network_of(str(msisdn)).mccmnc
                if block >= least:  # else the block is shorter than a prefix may be
                    known[block] = network
            out.append(network)
        return out


def is_network(text: str) -> bool:
    """Return whether `text` is five or six digits, three digits and "*", or "*"."""
    if text == NETWORK_UNKNOWN:
        return True
    digits = text.removesuffix("*") if len(text) == 4 else text
    return (
        digits.isascii()
        and digits.isdecimal()
        and (len(digits) in {5, 6} or (len(text) == 4 and len(digits) == 3))
    )


@cache
def default_table() -> NetworkTable:
    """Return the table that ships with the package (`networks.toml`)."""
    data = tomllib.loads(files("smsgate.billing").joinpath("networks.toml").read_text("utf-8"))
    rows: dict[str, tuple[str, str, str]] = {}
    for country, entry in data.items():
        mcc = entry["mcc"]
        for code in entry["codes"]:
            rows[code] = (code, f"{mcc}*", country)
    for country, entry in data.items():
        for mccmnc, prefixes in entry.get("networks", {}).items():
            for prefix in prefixes:
                rows[prefix] = (prefix, mccmnc, country)
    return NetworkTable.from_rows(rows.values())
