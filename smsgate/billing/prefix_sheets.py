"""
Rate sheets by prefix, as prices by network.

Each block of the numbering plan takes the price of the longest prefix of the sheet that it begins with. A
network is priced when all its blocks have one price; a sheet that splits a network, or prices half of it,
is
refused: no price is made up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from smsgate.billing.rate_sheets import RateSheet, SheetRow
from smsgate.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from smsgate.billing.networks import NetworkTable
    from smsgate.billing.prices import Basis, Direction

Terms = tuple[int | None, "Basis"]  # what all blocks of a network must agree on


def by_network(sheet: RateSheet, table: NetworkTable) -> RateSheet:
    """
    Return the sheet with its prefixes replaced by the networks that own them; others stay as they are.

    A country's code, or prefixes of one price that stand for all of the sheet within a country, price the
    country.

    Raises:
        Invalid: code `sheet_invalid`: a network with two prices, one priced in part, or a prefix nobody has.
    """
    if not sheet.by_prefix:
        return sheet
    groups: dict[tuple[Direction, datetime | None], list[SheetRow]] = {}
    for row in sheet.rows:
        groups.setdefault((row.direction, row.effective_from), []).append(row)
    rows = [row for group in groups.values() for row in _resolved(group, table)]
    return replace(sheet, rows=tuple(rows), by_prefix=False)


def _resolved(rows: Sequence[SheetRow], table: NetworkTable) -> list[SheetRow]:
    sheet = {row.network: row for row in rows}
    blocks = table.prefixes()
    taken: dict[str, list[SheetRow | None]] = {}
    used: set[str] = set()
    for block, network in blocks.items():
        row = next((sheet[block[:n]] for n in range(len(block), 0, -1) if block[:n] in sheet), None)
        taken.setdefault(network, []).append(row)
        if row is not None:
            used.add(row.network)
    for prefix, row in sheet.items():
        owner = next(
            (blocks[prefix[:n]] for n in range(len(prefix) - 1, 0, -1) if prefix[:n] in blocks), None
        )
        if owner is not None and prefix not in blocks:  # finer than what we know of the plan
            taken.setdefault(owner, []).append(row)
            used.add(prefix)
    if unknown := sorted(set(sheet) - used):
        raise Invalid(f"prefix {unknown[0]} is of no country that we know", code="sheet_invalid")
    found: list[SheetRow] = []
    for network, candidates in sorted(taken.items()):
        given = [row for row in candidates if row is not None]
        if not given:
            continue
        found.append(_agreed(network, given, len(candidates)))
    return found


def _agreed(network: str, given: Sequence[SheetRow], blocks: int) -> SheetRow:
    first = given[0]
    for row in given:
        if (row.unit_micros, row.basis, row.ladder) != (first.unit_micros, first.basis, first.ladder):
            raise Invalid(
                f"network {network} has two prices, by prefix {first.network} (line {first.line}) and by "
                "prefix "
                f"{row.network} (line {row.line}): ask for a sheet by MCC and MNC",
                code="sheet_invalid",
            )
    if len(given) < blocks and not network.endswith("*"):
        raise Invalid(
            f"prefix {first.network} (line {first.line}) prices {len(given)} of the {blocks} blocks of "
            "network "
            f"{network}: ask for a sheet by MCC and MNC",
            code="sheet_invalid",
        )
    return first._replace(network=network.removesuffix("*"))
