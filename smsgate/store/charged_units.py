"""
What is charged and may still be given back, as documents and the ledger have it.

Who gives back, by message or by line, holds `lock_given_back` of the merchant first: what it reads here
stands until its commit, but for charges that flushes add, and for what receipts take back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Final

import asyncpg

from smsgate.billing.charged_units import ChargedUnits
from smsgate.billing.documents import LineKind, LineTerms
from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.vat import Vat
from smsgate.errors import DomainError
from smsgate.money import micros_per_minor
from smsgate.store.advances import CLOCKS_APART
from smsgate.store.catalogue import load
from smsgate.store.closing import first_day, month_of_day
from smsgate.store.connection import Connection

_SQL: Final = load("billing")

Item = tuple[int, Month]  # a price item, and the month of acceptance


async def lock_given_back(connection: Connection, merchant_id: int) -> None:
    """
    Let nobody else give back of this merchant's charges until the caller's commit.

    It comes first, then rows of messages, then what keeps cuts out, as flushes have it: no cut waits for rows
    that a flush behind it has. A cut between changes nothing: what is counted is the ledger's, whichever
    document has it.
    """
    await connection.execute(_SQL["lock_given_back"], merchant_id)


async def charged_units(connection: Connection, merchant_id: int, items: Collection[Item]) -> ChargedUnits:
    units = await _on_documents(connection, merchant_id, {item_id for item_id, _origin in items})
    units.recorded = await _recorded(connection, merchant_id, items)
    return units


async def minimums_left(
    connection: Connection, merchant_id: int, currency: str, months: Collection[Month]
) -> Counter[Month]:
    """Return micro-units by month."""
    rows = await connection.fetch(
        _SQL["minimums_left"], merchant_id, currency, [first_day(month) for month in months]
    )
    scale = micros_per_minor(currency)
    return Counter({month_of_day(row["origin"]): row["net_minor"] * scale for row in rows})


async def refuse_what_was_credited(
    connection: Connection, merchant_id: int, giving: Mapping[Item, int]
) -> None:
    """
    Refuse to give these segments back where so many of them are not left beside what was credited by hand.

    Raises:
        DomainError: code `reversal_refused`.
    """
    units = await _on_documents(connection, merchant_id, {item_id for item_id, _origin in giving})
    credited = {item: count for item in giving if (count := units.credited_of(*item)) > 0}
    recorded = await _recorded(connection, merchant_id, credited)
    for (item_id, month), count in sorted(credited.items()):
        charged, asked = recorded[item_id, month], giving[item_id, month]
        if charged - asked < count:
            raise DomainError(
                f"{count} of {charged} segments of price item {item_id} and {month} were credited by hand: "
                f"these messages would give {asked} back, so some a second time; nothing was given back",
                code="reversal_refused",
                http_status=409,
            )


async def _on_documents(connection: Connection, merchant_id: int, item_ids: Collection[int]) -> ChargedUnits:
    units = ChargedUnits()
    for row in await connection.fetch(_SQL["units_of_items"], merchant_id, list(item_ids)):
        terms = line_terms(row)
        units.billed[terms] += row["billed"]
        units.credited[terms] += row["credited"]
    return units


async def _recorded(connection: Connection, merchant_id: int, items: Collection[Item]) -> Counter[Item]:
    found: Counter[Item] = Counter()
    by_month: defaultdict[Month, list[int]] = defaultdict(list)
    for item_id, month in items:
        by_month[month].append(item_id)
    zone_name = await connection.fetchval(_SQL["zone_of"], merchant_id) if by_month else ""
    for month, item_ids in by_month.items():
        starts_at, ends_at = month_bounds(month, zone_name)
        rows = await connection.fetch(
            _SQL["charged_of_items"], merchant_id, starts_at, ends_at, starts_at - CLOCKS_APART, item_ids
        )
        for row in rows:
            found[row["item_id"], month] = row["segments"]
    return found


def line_terms(row: asyncpg.Record) -> LineTerms:
    return LineTerms(
        origin=month_of_day(row["origin"]),
        kind=LineKind(row["kind"]),
        list_id=row["price_list_id"],
        item_id=row["item_id"],
        version=row["version"],
        unit_micros=row["unit_micros"],
        vat=Vat(row["vat_category"], row["vat_rate_micros"]),
    )
