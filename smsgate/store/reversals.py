"""Charges given back: one row for each message, and postings with the signs turned round."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import asyncpg

from smsgate.billing.periods import month_of
from smsgate.flows.inbound_charges import quarter_of
from smsgate.flows.ledger import Charge, charge_lines
from smsgate.ids import quarter_hour_of
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store.catalogue import load
from smsgate.store.charged_units import Item, lock_given_back, refuse_what_was_credited
from smsgate.store.connection import Connection
from smsgate.store.flushing import insert_postings
from smsgate.store.pool import Database
from smsgate.store.receipt_charges import lock

_SQL: Final = load("receipt_charges")
_BILLING: Final = load("billing")

Groups = dict[Charge, list[tuple[int, int]]]  # (message, part)


class PgReversals:
    """Implements `flows.reversals.ReversalStore`. What the carrier bills is not given back with it."""

    def __init__(self, database: Database, next_id: Callable[[], int]) -> None:
        self._database = database
        self._next_id = next_id

    async def reverse(self, merchant_id: int, message_ids: Sequence[int], reason: str, at: datetime) -> int:
        async with self._database.bulk_transaction() as connection:
            await lock_given_back(connection, merchant_id)
            parts = await connection.fetch(_SQL["segments_of"], merchant_id, list(message_ids))
            keys = sorted((row["message_id"], row["segment"]) for row in parts)
            columns = [merchant_id] * len(keys), [key[0] for key in keys], [key[1] for key in keys]
            await lock(connection, merchant_id, keys)
            rows = await connection.fetch(
                _SQL["reversible"], *columns, sorted(FINAL), int(ReceiptState.DELIVRD)
            )
            groups: Groups = defaultdict(list)
            for row in rows:
                charge = _sale(merchant_id, row, quarter_hour_of(row["message_id"]))
                groups[charge].append((row["message_id"], row["segment"]))
            replies = await self._replies(connection, merchant_id, message_ids)
            giving = await _segments(connection, merchant_id, [*groups.items(), *replies.items()])
            await refuse_what_was_credited(connection, merchant_id, giving)
            for charge, group in groups.items():
                await self._give_back(connection, "mt", charge, group, reason, at)
            for charge, group in replies.items():
                await self._give_back(connection, "mo", charge, group, reason, at)
        return len(rows) + sum(len(group) for group in replies.values())

    async def _replies(self, connection: Connection, merchant_id: int, ids: Sequence[int]) -> Groups:
        """Return the charged replies among `ids`; each is one part, 0."""
        groups: Groups = defaultdict(list)
        for row in await connection.fetch(_SQL["reversible_replies"], merchant_id, list(ids)):
            charge = _sale(merchant_id, row, int(quarter_of(row["received_at"]).timestamp()))
            groups[charge].append((row["inbound_id"], 0))
        return groups

    async def _give_back(
        self,
        connection: Connection,
        direction: str,
        charge: Charge,
        group: Sequence[tuple[int, int]],
        reason: str,
        at: datetime,
    ) -> None:
        posting_id = self._next_id()
        await connection.execute(
            _SQL["insert_reversals"], charge.merchant_id, [key[0] for key in group],
            [key[1] for key in group], [posting_id] * len(group), reason, at,
        )  # fmt: skip
        lines = charge_lines(posting_id, charge, -len(group), at, direction)
        await insert_postings(connection, lines)


async def _segments(
    connection: Connection, merchant_id: int, groups: Iterable[tuple[Charge, Sequence[tuple[int, int]]]]
) -> Counter[Item]:
    """Return how many segments are given back, by price item and month of the merchant's zone."""
    zone_name = await connection.fetchval(_BILLING["zone_of"], merchant_id)
    found: Counter[Item] = Counter()
    for charge, group in groups:
        month = month_of(datetime.fromtimestamp(charge.quarter_hour, UTC), zone_name)
        found[charge.sell_item_id, month] += charge.segments * len(group)
    return found


def _sale(merchant_id: int, row: asyncpg.Record, quarter_hour: int) -> Charge:
    """Return what a merchant was charged, without what it cost: the carrier is paid all the same."""
    return Charge(
        merchant_id=merchant_id,
        campaign_id=row["campaign_id"],
        carrier_id=row["carrier_id"],
        sell_item_id=row["sell_item_id"],
        sell_micros=row["sell_micros"],
        cost_item_id=0,
        cost_micros=0,
        segments=row["segments"],
        quarter_hour=quarter_hour,
        currency=row["currency"],
        cost_currency="",
    )
