"""Budgets as people see them: terms, payments, what is left (implements `budget_records.BudgetStore`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import asyncpg

from smsgate.billing.budgets import Budget
from smsgate.billing.periods import day_bounds, month_bounds, month_of
from smsgate.billing.postings import Account
from smsgate.errors import Conflict, Invalid, NotFound
from smsgate.flows.budget_records import BudgetState, BudgetTerms, day_at, month_at
from smsgate.flows.ledger import PostingLine
from smsgate.ids import quarter_hour_of
from smsgate.money import micros_to_text
from smsgate.store.budgets import NO_LEASE, SQL, Locked, Spending, add_spent, budget_of
from smsgate.store.connection import Connection
from smsgate.store.flushing import insert_postings
from smsgate.store.pool import Database

NO_BUDGET: Final = "the merchant has no budget: `smsgate billing budget` makes one"
PAYMENT: Final = "payment"  # `ledger_entry.direction`


class PgBudgets:
    def __init__(self, database: Database, next_id: Callable[[], int]) -> None:
        self._database = database
        self._next_id = next_id

    async def state(self, merchant_id: int, now: datetime) -> BudgetState | None:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(SQL["state"], merchant_id)
        return None if row is None else _state(row, now)

    async def set_terms(self, merchant_id: int, terms: BudgetTerms, now: datetime) -> BudgetState:
        async with self._database.bulk_transaction() as connection:
            locked = await Locked.find(connection, merchant_id, now) or await _made(
                connection, merchant_id, now
            )
            row, budget = locked.row, locked.budget
            used = budget.month_spent_micros + budget.month_leased_micros
            _check_cap(terms.month_cap_micros, used, row["currency"], "month")
            used = budget.day_spent_micros + budget.day_leased_micros
            _check_cap(terms.day_cap_micros, used, row["currency"], "day")
            await locked.write()
            await connection.execute(
                SQL["set_terms"],
                merchant_id,
                row["prepaid"] if terms.prepaid is None else terms.prepaid,
                None if terms.without_cap else _given(terms.month_cap_micros, budget.month_cap_micros),
                None if terms.without_day_cap else _given(terms.day_cap_micros, budget.day_cap_micros),
                row["alarm_micros"] if terms.alarm_micros is None else terms.alarm_micros,
            )
            return await _read(connection, merchant_id, now)

    async def top_up(self, merchant_id: int, micros: int, reference: str, now: datetime) -> BudgetState:
        async with self._database.bulk_transaction() as connection:
            locked = await Locked.find(connection, merchant_id, now)
            if locked is None:
                raise NotFound(NO_BUDGET)
            posting_id = self._next_id()
            new = await connection.fetchval(
                SQL["insert_topup"], merchant_id, reference, micros, posting_id, now
            )
            if new is None:
                known = await connection.fetchval(SQL["topup_amount"], merchant_id, reference)
                if known != micros:
                    raise Conflict(f"under this reference {micros_to_text(known)} were paid in")
            else:
                currency = locked.row["currency"]
                await insert_postings(connection, _payment(merchant_id, posting_id, currency, micros, now))
                locked.budget = locked.budget.topped_up(micros)
                await locked.write()
            return await _read(connection, merchant_id, now)


def _given(wanted: int | None, before: int | None) -> int | None:
    return before if wanted is None else wanted


def _check_cap(cap_micros: int | None, used_micros: int, currency: str, span: str) -> None:
    if cap_micros is not None and cap_micros < used_micros:
        raise Invalid(
            f"{micros_to_text(used_micros)} {currency} are spent or leased this {span} already, more than "
            "this cap: pause the campaigns to send nothing more"
        )


async def _made(connection: Connection, merchant_id: int, now: datetime) -> Locked:
    """Make a budget without balance and caps; what month and day were charged so far is spent."""
    merchant = await connection.fetchrow(SQL["merchant_terms"], merchant_id)
    if merchant is None:
        raise NotFound("no such merchant")
    zone, currency, month = merchant["timezone"], merchant["currency"], month_at(now, merchant["timezone"])
    began_at, _ends_at = month_bounds(month_of(now, zone), zone)
    charged = await connection.fetchval(SQL["charged_since"], merchant_id, currency, began_at)
    spent, day = max(0, charged), day_at(now, zone)
    dawn, _midnight = day_bounds(day.date, zone)
    today = max(0, await connection.fetchval(SQL["charged_since"], merchant_id, currency, dawn))
    made = await connection.fetchval(
        SQL["insert_budget"], merchant_id, currency, *month, spent, *day, today, now
    )
    if made:
        await add_spent(
            connection, Spending(merchant_id, NO_LEASE, month.first_day, None, prepaid=False), (), spent
        )
    locked = await Locked.find(connection, merchant_id, now)
    assert locked is not None
    return locked


def _payment(
    merchant_id: int, posting_id: int, currency: str, micros: int, now: datetime
) -> list[PostingLine]:
    """Return the lines of a payment: the cash that came in, and what is owed for it in messages."""
    amounts = ((Account.CASH, micros), (Account.PREPAID, -micros))
    accepted_at = datetime.fromtimestamp(quarter_hour_of(posting_id), now.tzinfo)
    return [
        PostingLine(
            merchant_id=merchant_id,
            posting_id=posting_id,
            line=number,
            account=account.value,
            currency=currency,
            amount_micros=amount,
            direction=PAYMENT,
            item_id=0,
            campaign_id=None,
            carrier_id=0,
            messages=0,
            segments=0,
            at=now,
            accepted_at=accepted_at,
        )
        for number, (account, amount) in enumerate(amounts, start=1)
    ]


async def _read(connection: Connection, merchant_id: int, now: datetime) -> BudgetState:
    row = await connection.fetchrow(SQL["state"], merchant_id)
    assert row is not None
    return _state(row, now)


def _state(row: asyncpg.Record, now: datetime) -> BudgetState:
    zone = row["timezone"]
    budget: Budget = budget_of(row).in_month(month_at(now, zone).first_day).on_day(day_at(now, zone).date)
    return BudgetState(budget, row["currency"], row["alarm_micros"], row["in_doubt"], bool(row["short"]))
