"""The ledger keeps itself: balanced, insert-only, and what comes after a cut is late."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import pytest

from smsgate.errors import StoreError
from smsgate.flows.ledger import PostingLine
from smsgate.store.flushing import insert_postings
from smsgate.store.pool import Database

AT: Final = datetime(2026, 11, 3, 7, 59, 59, tzinfo=UTC)
ACCEPTED: Final = datetime(2026, 10, 31, 22, 45, tzinfo=UTC)
MERCHANT: Final = 7


def a_posting(*amounts: int, posting_id: int = 1, at: datetime = AT) -> list[PostingLine]:
    return [
        PostingLine(
            merchant_id=MERCHANT, posting_id=posting_id, line=number, account=account, currency="EUR",
            amount_micros=amount, direction="mt", item_id=11,
            campaign_id=None, carrier_id=1, messages=2, segments=2,
            at=at, accepted_at=ACCEPTED,
        )
        for number, (account, amount) in enumerate(zip(("unbilled", "revenue"), amounts, strict=True), 1)
    ]  # fmt: skip


async def post(database: Database, lines: list[PostingLine]) -> None:
    async with database.bulk_transaction() as connection:
        await insert_postings(connection, lines)


async def test_a_posting_that_does_not_sum_to_zero_is_refused_by_the_database_whole(
    database: Database,
) -> None:
    lines = a_posting(90_000, -90_000) + a_posting(90_000, -89_999, posting_id=2)
    with pytest.raises(StoreError):
        await post(database, lines)
    async with database.bulk() as connection:
        assert await connection.fetchval("SELECT count(*) FROM ledger_entry") == 0


async def test_two_currencies_of_one_posting_do_not_balance_each_other(database: Database) -> None:
    first, second = a_posting(90_000, -90_000)
    with pytest.raises(StoreError):
        await post(database, [first, replace(second, currency="USD")])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET amount_micros = 0",
        "DELETE FROM ledger_entry",
        "INSERT INTO ledger_entry SELECT * FROM ledger_entry",
        "UPDATE price_item SET unit_micros = 0",
        "DELETE FROM price_version",
        "UPDATE document SET gross_minor = 0",
        "DELETE FROM document_line",
        "UPDATE billing_period SET cut_at = now()",
    ],
)
async def test_nobody_at_run_time_changes_or_bypasses_the_books(database: Database, statement: str) -> None:
    for role in (database.bulk(), database.transaction(MERCHANT)):
        async with role as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_what_is_recorded_after_the_cut_of_a_month_is_late_whatever_instant_it_began_with(
    database: Database,
) -> None:
    cut_at = AT + timedelta(minutes=5)
    await post(database, a_posting(90_000, -90_000))
    async with database.bulk() as connection:
        await connection.execute(
            "INSERT INTO billing_period (merchant_id, month, starts_at, ends_at, cut_at) "
            "VALUES ($1, $2, $3, $3, $4)",
            MERCHANT,
            ACCEPTED.date().replace(day=1),
            AT,
            cut_at,
        )
    await post(database, a_posting(45_000, -45_000, posting_id=2))
    await post(database, a_posting(45_000, -45_000, posting_id=3, at=cut_at + timedelta(seconds=1)))
    async with database.bulk() as connection:
        rows = await connection.fetch(
            "SELECT at, accepted_at FROM ledger_entry WHERE account = 'unbilled' ORDER BY posting_id"
        )
    assert [row["at"] for row in rows] == [AT, cut_at, cut_at + timedelta(seconds=1)]
    assert {row["accepted_at"] for row in rows} == {ACCEPTED}
