"""
Charges by receipt: items of delivered basis, whose first final receipt decides (R8).

Whether a message is charged is a function of the receipts that stand in the table: the first final one by
time of arrival says DELIVRD. So what a transaction charges is the difference that its receipts make, and
one that arrives late with an earlier time takes a charge back. The message's row is locked meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

import asyncpg

from smsgate.flows.ledger import Charge, PostingLine, charge_lines
from smsgate.ids import quarter_hour_of
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection

_SQL: Final = load("receipt_charges")
_FINALS: Final = sorted(FINAL)

MessageKey = tuple[int, int, int]  # merchant, message, segment
Before = Mapping[MessageKey, bool]


async def charged_before(connection: Connection, keys: Collection[MessageKey]) -> Before:
    """Lock messages until the end of the transaction, and return which of them their receipts charge now."""
    for merchant_id, group in groupby(sorted(set(keys)), key=lambda key: key[0]):
        await lock(connection, merchant_id, [key[1:] for key in group])
    columns = _columns(keys)
    return {_key(row): row["charged"] for row in await _rows(connection, columns)}


async def lock(connection: Connection, merchant_id: int, parts: Sequence[tuple[int, int]]) -> None:
    """Lock (message, segment) of one merchant, in their order: no two wait for each other in a circle."""
    ordered = sorted(parts)
    await connection.execute(
        _SQL["lock_messages"], merchant_id, [part[0] for part in ordered], [part[1] for part in ordered]
    )


async def changes(
    connection: Connection,
    before: Before,
    keys: Collection[MessageKey],
    at: datetime,
    next_id: Callable[[], int],
) -> list[PostingLine]:
    """Return what receipts (and responses) written since `charged_before` charge, and give back."""
    counts: Counter[Charge] = Counter()
    for row in await _rows(connection, _columns(keys)):
        if row["charged"] != before.get(_key(row), False):
            counts[charge_of(row)] += 1 if row["charged"] else -1
    return [
        line
        for charge, count in counts.items()
        if count
        for line in charge_lines(next_id(), charge, count, at)
    ]


async def of_delivered_basis(connection: Connection, keys: Collection[MessageKey]) -> list[MessageKey]:
    """Return those whose receipts have a say in what they cost."""
    return [_key(row) for row in await connection.fetch(_SQL["of_delivered_basis"], *_columns(keys))]


def charge_of(row: asyncpg.Record) -> Charge:
    """Return the sides that receipts charge; the others were charged by the response."""
    sell, cost = row["sell_by_receipt"], row["cost_by_receipt"]
    return Charge(
        merchant_id=row["merchant_id"],
        campaign_id=row["campaign_id"],
        carrier_id=row["carrier_id"],
        sell_item_id=row["sell_item_id"] if sell else 0,
        sell_micros=row["sell_micros"] if sell else 0,
        cost_item_id=row["cost_item_id"] if cost else 0,
        cost_micros=row["cost_micros"] if cost else 0,
        segments=row["segments"],
        quarter_hour=quarter_hour_of(row["message_id"]),
        currency=row["currency"] or "",
        cost_currency=row["cost_currency"] or "",
    )


async def _rows(connection: Connection, columns: Sequence[object]) -> list[asyncpg.Record]:
    return await connection.fetch(_SQL["charges"], *columns, _FINALS, int(ReceiptState.DELIVRD))


def _columns(keys: Collection[MessageKey]) -> tuple[list[int], list[int], list[int]]:
    ordered = sorted(set(keys))
    return [key[0] for key in ordered], [key[1] for key in ordered], [key[2] for key in ordered]


def _key(row: asyncpg.Record) -> MessageKey:
    return row["merchant_id"], row["message_id"], row["segment"]
