"""Caps on days: they hold from midnight to midnight of the merchant's zone, also when the clocks change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.errors import Invalid
from smsgate.flows.budget_records import BudgetState, BudgetTerms, LeaseAsk
from smsgate.ids import IdMaker
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.budgets import PgLeases
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify
from tests.store.books import OWNER, Books, some_books

SHOP, UNIT, CAP = 7, 45_000, 10
SECOND = timedelta(seconds=1)


class Account:
    def __init__(self, books: Books, at: datetime) -> None:
        ids = IdMaker(1, lambda: int(at.timestamp() * 1000))
        self.books = books
        self.budgets = PgBudgets(books.database, ids.next)
        self.leases = PgLeases(books.database, ids.next)

    async def lease(self, ids: Sequence[int], at: datetime) -> int | None:
        ask = LeaseAsk(SHOP, OWNER, None, "EUR", ids, [UNIT] * len(ids))
        return await self.leases.lease(ask, at)

    async def settle(self, at: datetime) -> None:
        while (await self.leases.settle(at, 100)).leases:
            pass

    async def state(self, at: datetime) -> BudgetState:
        found = await self.budgets.state(SHOP, at)
        assert found is not None
        return found

    async def proved(self) -> None:
        broken = (await PgVerify(self.books.database).looked()).broken
        assert [each for each in broken if each.invariant != "I4"] == []


async def an_account(
    database: Database, at: datetime, zone: str, *, month_cap_micros: int | None = None
) -> Account:
    books = await some_books(database, now=at)
    for day in range(-1, 3):
        await books.partitions(at + timedelta(days=day))
    await books.merchant(SHOP, zone=zone)
    account = Account(books, at)
    await account.budgets.set_terms(
        SHOP, BudgetTerms(month_cap_micros=month_cap_micros, day_cap_micros=CAP * UNIT), at
    )
    return account


def numbers(first: int, count: int) -> list[int]:
    return list(range(first, first + count))


# Midnights before and after a day of 24, 25, 23 hours, and of a zone half an hour off; in UTC.
DAYS = [
    ("Europe/Paris", datetime(2026, 11, 9, 23, tzinfo=UTC), 24),
    ("Europe/Paris", datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
    ("Europe/Paris", datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
    ("America/New_York", datetime(2026, 11, 1, 4, tzinfo=UTC), 25),
    ("Asia/Kolkata", datetime(2026, 11, 9, 18, 30, tzinfo=UTC), 24),
]


@pytest.mark.parametrize(("zone", "midnight", "hours"), DAYS)
async def test_a_cap_holds_to_the_last_second_of_the_merchants_day_and_is_there_anew_at_midnight(
    database: Database, zone: str, midnight: datetime, hours: int
) -> None:
    next_midnight = midnight + timedelta(hours=hours)
    account = await an_account(database, midnight, zone)
    assert await account.lease(numbers(1, 7), midnight) == 7
    assert await account.lease(numbers(8, 7), next_midnight - SECOND) == 3
    assert await account.lease(numbers(11, 1), next_midnight - SECOND) == 0
    assert (await account.state(next_midnight - SECOND)).budget.day_left_micros == 0
    assert await account.lease(numbers(11, 12), next_midnight) == CAP
    state = await account.state(next_midnight)
    assert state.budget.day_left_micros == 0
    assert state.budget.month_leased_micros == (2 * CAP) * UNIT
    ends_at = await account.books.value("SELECT day_ends_at FROM budget")
    assert ends_at > next_midnight


async def test_what_comes_back_comes_back_to_the_day_it_was_leased_on(database: Database) -> None:
    midnight = datetime(2026, 11, 9, 23, tzinfo=UTC)
    account = await an_account(database, midnight, "Europe/Paris", month_cap_micros=15 * UNIT)
    evening, morning = midnight + timedelta(hours=23), midnight + timedelta(hours=25)
    taken = await account.books.take(SHOP, 4, accepted_at=evening)
    refused = [taken[-1] + 1 + place for place in range(6)]
    assert await account.lease([*taken, *refused], evening) == CAP
    assert await account.lease(numbers(1, 5), morning) == 5
    assert (await account.state(morning)).budget.month_left_micros == 0
    await account.settle(morning)
    budget = (await account.state(morning)).budget
    # Six came back to the month; of the new day's only its own five did, for nobody sent them either.
    assert (budget.month_left_micros, budget.day_left_micros) == (11 * UNIT, CAP * UNIT)
    await account.proved()


async def test_the_same_messages_claimed_anew_the_next_day_count_on_that_day_alone(
    database: Database,
) -> None:
    midnight = datetime(2026, 11, 9, 23, tzinfo=UTC)
    account = await an_account(database, midnight, "Europe/Paris")
    assert await account.lease(numbers(1, 8), midnight) == 8
    tomorrow = midnight + timedelta(hours=24)
    assert await account.lease(numbers(1, 8), tomorrow) == 8
    assert (await account.state(tomorrow)).budget.month_leased_micros == 8 * UNIT
    await account.proved()


async def test_a_cap_that_comes_in_the_day_counts_what_was_charged_before_and_is_not_set_below_it(
    database: Database,
) -> None:
    noon = datetime(2026, 11, 10, 11, tzinfo=UTC)
    books = await some_books(database, now=noon)
    await books.partitions(noon)
    await books.merchant(SHOP)
    account = Account(books, noon)
    await books.take(SHOP, 6, accepted_at=noon - timedelta(hours=1))
    with pytest.raises(Invalid, match="this day already"):
        await account.budgets.set_terms(SHOP, BudgetTerms(day_cap_micros=5 * UNIT), noon)
    assert await account.budgets.state(SHOP, noon) is None
    await account.budgets.set_terms(SHOP, BudgetTerms(day_cap_micros=CAP * UNIT), noon)
    assert await account.lease(numbers(1, 9), noon) == 4
    await account.proved()
    await account.budgets.set_terms(SHOP, BudgetTerms(without_day_cap=True), noon)
    assert await account.lease(numbers(5, 9), noon) == 9


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("UPDATE budget SET day_leased_micros = 0", "0 micros are leased, its leases hold 135000"),
        ("UPDATE budget SET day_spent_micros = 1", "1 micros are spent, its leases were charged 0"),
        ("UPDATE budget SET day_cap_micros = 1", "135000 micros are spent or leased, the cap is 1"),
    ],
)
async def test_verify_finds_a_day_that_lies(database: Database, sql: str, sentence: str) -> None:
    midnight = datetime(2026, 11, 9, 23, tzinfo=UTC)
    account = await an_account(database, midnight, "Europe/Paris")
    await account.lease(numbers(1, 3), midnight)
    await account.proved()
    await account.books.execute(sql)
    broken = (await PgVerify(database).looked()).broken
    found = [each.first for each in broken if each.invariant == "I14"]
    assert found == [f"budget of merchant {SHOP} on 2026-11-10: {sentence}"]
