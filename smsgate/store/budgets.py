"""
Budgets in the database: terms, payments, leases, and what leases come to (implements flows.budget_records).

Whoever changes a merchant's budget or leases locks the budget's row first: of two gateways that want the last
of a balance one sees what the other took. A settlement reads the messages' rows, which were committed by the
transaction that ended the claim, or before it; so no lease is judged while somebody may still write for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import orjson

from smsgate.billing.budgets import Budget, fitting
from smsgate.flows.budget_records import (
    IN_DOUBT_FOR_S,
    RECEIPTS_FOR,
    SHORT_FOR_S,
    LeaseAsk,
    Settled,
    day_at,
    month_at,
)
from smsgate.flows.commerce_records import EventColumns
from smsgate.flows.events import first_id_of
from smsgate.money import micros_to_text
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.events import insert_events
from smsgate.store.pool import Database

SQL: Final = load("budgets")
QUEUE: Final = 0, 0, 0  # campaign, chunk and fence of messages that belong to none
NO_LEASE: Final = 0  # `budget_charge.lease_id` of what was spent before the budget came


class Spending(NamedTuple):
    """Of which lease something was spent, when it was taken (None: by no lease), whether of the balance."""

    merchant_id: int
    lease_id: int
    month: date
    day: date | None
    prepaid: bool


@dataclass(slots=True)
class Locked:
    """A budget whose row this transaction holds; `budget` is what it will be."""

    connection: Connection
    merchant_id: int
    row: asyncpg.Record
    budget: Budget
    month_ends_at: datetime
    day_ends_at: datetime

    @classmethod
    async def find(cls, connection: Connection, merchant_id: int, now: datetime) -> Locked | None:
        """Lock the budget, as it is in the merchant's month and on its day of `now`; None: there is none."""
        row = await connection.fetchrow(SQL["lock_budget"], merchant_id)
        if row is None:
            return None
        month = month_at(now, row["timezone"])
        day = day_at(now, row["timezone"])
        budget = budget_of(row).in_month(month.first_day).on_day(day.date)
        ends_at = month.ends_at if budget.month == month.first_day else row["month_ends_at"]
        day_ends_at = day.ends_at if budget.day == day.date else row["day_ends_at"]
        return cls(connection, merchant_id, row, budget, ends_at, day_ends_at)

    async def write(self) -> None:
        budget = self.budget
        await self.connection.execute(
            SQL["write_budget"], self.merchant_id, budget.month, self.month_ends_at, budget.paid_in_micros,
            budget.spent_micros, budget.leased_micros, budget.month_spent_micros, budget.month_leased_micros,
            budget.drawn_micros, budget.refunded_micros, budget.adjusted_micros,
            budget.day, self.day_ends_at, budget.day_spent_micros, budget.day_leased_micros,
        )  # fmt: skip

    def settle(self, lease: asyncpg.Record, released: int, spent: int = 0) -> None:
        self.budget = self.budget.settling(
            released, spent, month=lease["month"], day=lease["day"], prepaid=lease["prepaid"]
        )


class PgLeases:
    """Runs as sg_bulk: row-level security does not guard it, so every statement names its merchant."""

    def __init__(self, database: Database, next_id: Callable[[], int]) -> None:
        self._database = database
        self._next_id = next_id

    async def lease(self, ask: LeaseAsk, now: datetime) -> int | None:
        async with self._database.bulk_transaction() as connection:
            locked = await Locked.find(connection, ask.merchant_id, now)
            if locked is None:
                return None
            if ask.chunk is not None and not await _is_ours(connection, ask):
                return 0
            await _take_back(locked, ask.message_ids)
            left = locked.budget.left_micros if ask.currency == locked.row["currency"] else 0
            count, total = fitting(ask.micros, left)
            if total:
                await self._insert(locked, ask, count, total)
            await locked.write()
            await self._tell(locked, ask, count, now)
        return count

    async def _insert(self, locked: Locked, ask: LeaseAsk, count: int, total: int) -> None:
        budget = locked.budget
        chunk = QUEUE
        if ask.chunk is not None:
            chunk = ask.chunk.campaign_id, ask.chunk.chunk_no, ask.chunk.fence
        ids = list(ask.message_ids[:count])
        await locked.connection.execute(
            SQL["insert_lease"], ask.merchant_id, self._next_id(), ask.owner, *chunk, budget.month,
            budget.day, budget.prepaid, min(ids), max(ids), ids, list(ask.micros[:count]), total,
        )  # fmt: skip
        locked.budget = budget.leasing(total)

    async def _tell(self, locked: Locked, ask: LeaseAsk, count: int, now: datetime) -> None:
        """Note which message did not fit, and have the shop hear once that the budget is low, or too low."""
        row, budget, told = locked.row, locked.budget, []
        if count < len(ask.micros):
            until = now + timedelta(seconds=SHORT_FOR_S)
            await locked.connection.execute(SQL["write_short"], ask.merchant_id, ask.micros[count], until)
            if row["short_micros"] is None:
                told.append("budget.exhausted")
        elif row["short_micros"] is not None:
            await locked.connection.execute(SQL["write_short"], ask.merchant_id, None, None)
        left = budget.left_micros
        if left is not None and left <= row["alarm_micros"] and row["alarmed_at"] is None:
            await locked.connection.execute(SQL["write_alarmed"], ask.merchant_id, now)
            told.append("budget.low")
        elif left is not None and left > row["alarm_micros"] and row["alarmed_at"] is not None:
            await locked.connection.execute(SQL["write_alarmed"], ask.merchant_id, None)
        events = EventColumns()
        for type_ in told:
            events.merchant_ids.append(ask.merchant_id)
            events.event_ids.append(self._next_id())
            events.types.append(type_)
            events.subjects.append("")
            events.data.append(
                orjson.dumps({"left": micros_to_text(left or 0), "currency": row["currency"]}).decode()
            )
            events.created_at.append(now)
        await insert_events(locked.connection, events)

    async def settle(self, now: datetime, limit: int) -> Settled:
        async with self._database.bulk() as connection:
            found = await connection.fetch(SQL["settleable"], now, limit)
        settled = Settled()
        for merchant_id, lease_id in found:
            async with self._database.bulk_transaction() as connection:
                locked = await Locked.find(connection, merchant_id, now)
                assert locked is not None, "budgets are never deleted"
                if await _settle(locked, lease_id, now):
                    settled.leases += 1
                    settled.merchants.add(merchant_id)
        return settled


async def _is_ours(connection: Connection, ask: LeaseAsk) -> bool:
    chunk = ask.chunk
    assert chunk is not None
    found = await connection.fetchval(
        SQL["lock_own_chunk"], ask.merchant_id, chunk.campaign_id, chunk.chunk_no, chunk.fence, ask.owner
    )
    return found is not None


async def _take_back(locked: Locked, message_ids: Sequence[int]) -> None:
    """
    Take these messages out of older leases: they are claimed anew, so nothing was written of them.

    Without it a lease that is settled late would count what was sent on a newer one.
    """
    if not message_ids:
        return
    again = set(message_ids)
    leases = await locked.connection.fetch(
        SQL["overlapping"], locked.merchant_id, min(again), max(again), list(again)
    )
    for lease in leases:
        kept = [
            pair for pair in zip(lease["message_ids"], lease["micros"], strict=True) if pair[0] not in again
        ]
        await _narrow(locked, lease, kept)


async def _narrow(
    locked: Locked,
    lease: asyncpg.Record,
    kept: Sequence[tuple[int, int]],
    charged: Sequence[tuple[int, int]] = (),
    *,
    ends_at: datetime | None = None,
) -> None:
    """Leave a lease what it keeps, and count what was charged: (message, micros); the rest comes back."""
    held, spent = sum(micros for _, micros in kept), sum(micros for _, micros in charged)
    locked.settle(lease, lease["held_micros"] - held, spent)
    head = locked.merchant_id, lease["lease_id"]
    if kept:
        ids, micros = zip(*kept, strict=True)
        await locked.connection.execute(SQL["narrow_lease"], *head, ids, micros, held, ends_at)
    else:
        await locked.connection.execute(SQL["delete_lease"], *head)
    if spent:
        spending = Spending(*head, lease["month"], lease["day"], lease["prepaid"])
        await add_spent(locked.connection, spending, [message_id for message_id, _ in charged], spent)


async def add_spent(
    connection: Connection, spending: Spending, message_ids: Sequence[int], micros: int
) -> None:
    """Count what was spent in its month, and for which messages: who verifies holds the one to the other."""
    merchant_id, lease_id, month, day, prepaid = spending
    await connection.execute(SQL["add_spent"], merchant_id, month, prepaid, micros)
    await connection.execute(
        SQL["add_charge"], merchant_id, lease_id, month, day, prepaid, message_ids, micros
    )


async def _settle(locked: Locked, lease_id: int, now: datetime) -> bool:
    """
    Settle one lease by its messages' rows; False: somebody else has.

    What is in doubt, or charged by receipts, is looked at again at the lease's end. What no receipt has come
    of by then waits on, as long as one may come.
    """
    connection, merchant_id = locked.connection, locked.merchant_id
    lease = await connection.fetchrow(SQL["lease_of"], merchant_id, lease_id)
    if lease is None or (lease["ends_at"] is not None and lease["ends_at"] > now):
        return False
    at_end = lease["ends_at"] is not None
    rows = await connection.fetch(
        SQL["outcomes"], merchant_id, lease["message_ids"], lease["micros"], sorted(FINAL),
        int(ReceiptState.DELIVRD),
    )  # fmt: skip
    oldest_heard = first_id_of(now - RECEIPTS_FOR)
    charged, kept = [], []
    for row in rows:
        first_look = not at_end and (row["unknown"] or row["waits"])
        if first_look or (row["unheard"] and row["message_id"] >= oldest_heard):
            kept.append((row["message_id"], row["micros"]))
        elif row["charged"]:
            charged.append((row["message_id"], row["charged"]))
    ends_at = now + timedelta(seconds=IN_DOUBT_FOR_S)
    await _narrow(locked, lease, kept, charged, ends_at=ends_at)
    await locked.write()
    return True


def budget_of(row: asyncpg.Record) -> Budget:
    """Return the budget of a row that has its columns."""
    return Budget(
        prepaid=row["prepaid"],
        month_cap_micros=row["month_cap_micros"],
        month=row["month"],
        paid_in_micros=row["paid_in_micros"],
        spent_micros=row["spent_micros"],
        leased_micros=row["leased_micros"],
        month_spent_micros=row["month_spent_micros"],
        month_leased_micros=row["month_leased_micros"],
        drawn_micros=row["drawn_micros"],
        refunded_micros=row["refunded_micros"],
        adjusted_micros=row["adjusted_micros"],
        day_cap_micros=row["day_cap_micros"],
        day=row["day"],
        day_spent_micros=row["day_spent_micros"],
        day_leased_micros=row["day_leased_micros"],
    )
