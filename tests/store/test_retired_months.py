"""
Months whose message rows were dropped after their time: they are closed and proved by kept sums.

The books: October with messages of both bases, one given back, one refused on delivery; nobody closed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.errors import SmsgateError
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.public_ids import PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from smsgate.store.verify import looked_of
from tests.store.books import IN_OCTOBER, OCTOBER, OTHER_ITEM, Books, some_books
from tests.store.verified_books import Corruption, first_found, found_after, made_once

SHOP = 7
UNIT = 45_000
BY_RECEIPT, COST_ITEM = 13, 21
LATE_IN_OCTOBER = datetime(2026, 10, 31, 22, 30, tzinfo=UTC)  # 23:30 in Paris, and 30 minutes later November
NOVEMBER_BY_THEN = LATE_IN_OCTOBER + timedelta(hours=1)
LONG_AFTER = datetime(2026, 11, 2, tzinfo=UTC)  # what is older is dropped
BILLED = [
    ("2026-10", "380", "2026-10", 9, UNIT, 41),
    ("2026-10", "380", "2026-10", 6, 90_001, 54),
    ("2026-10", "380", "2026-10", 2, UNIT, 9),
]


async def a_month(database: Database) -> Books:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.partitions(LATE_IN_OCTOBER, LONG_AFTER)
    await books.prices((BY_RECEIPT, "mt", "*", UNIT), list_id=9, basis="delivered")
    await books.prices((COST_ITEM, "mt", "*", 30_000), list_id=10, side="cost")
    taken = await books.take(SHOP, 8, cost=(COST_ITEM, 30_000))
    await books.take(SHOP, 3, item=(OTHER_ITEM, 90_001), segments=2)
    await books.take(SHOP, 2, accepted_at=LATE_IN_OCTOBER)
    await books.take(SHOP, 5, accepted_at=NOVEMBER_BY_THEN)
    delivered = await books.take(SHOP, 4, item=(BY_RECEIPT, UNIT), by_receipt=True)
    for message_id, state in zip(
        delivered, (ReceiptState.DELIVRD, ReceiptState.UNDELIV, ReceiptState.DELIVRD), strict=False
    ):
        await books.receipt(SHOP, message_id, state, IN_OCTOBER, recorded_at=IN_OCTOBER)
    reversing = PgReversals(database, lambda: next(books.ids))
    assert await reversing.reverse(SHOP, taken[:1], "wrong text", IN_OCTOBER + timedelta(hours=1)) == 1
    return books


async def time_passes(database: Database) -> None:
    housekeeping = PgHousekeeping(database, SuppressionHashes(bytes(32)), PublicIds(bytes(32)))
    for table in ("message", "sent", "receipt"):
        assert await housekeeping.drop_partitions(table, LONG_AFTER) > 0


async def test_a_month_is_closed_as_ever_when_its_rows_are_gone(database: Database) -> None:
    books = await a_month(database)
    await time_passes(database)
    assert await books.value("SELECT count(*) FROM sent WHERE merchant_id = $1", SHOP) == 0
    await books.closing().close(SHOP, OCTOBER)
    assert await books.lines(SHOP) == BILLED


async def test_the_close_still_sees_a_ledger_that_differs_from_rows_that_are_gone(database: Database) -> None:
    books = await a_month(database)
    await time_passes(database)
    await books.execute(
        "UPDATE ledger_entry SET segments = segments + 1, amount_micros = amount_micros + $1 "
        "WHERE account = 'unbilled' AND item_id = 11 "
        "AND posting_id = (SELECT min(posting_id) FROM ledger_entry)",
        UNIT,
    )
    with pytest.raises(SmsgateError, match="ledger and messages differ at 1 price items, first 11"):
        await books.closing().close(SHOP, OCTOBER)


async def test_a_month_that_was_dropped_before_sums_were_kept_is_closed_from_the_ledger(
    database: Database,
) -> None:
    books = await a_month(database)
    await time_passes(database)
    await books.execute("DELETE FROM retired_usage")
    await books.execute("DELETE FROM retired_day")
    await books.closing().close(SHOP, OCTOBER)
    assert await books.lines(SHOP) == BILLED


async def test_a_month_half_of_whose_rows_are_gone_is_proved_by_sums_and_rows(database: Database) -> None:
    books = await a_month(database)
    housekeeping = PgHousekeeping(database, SuppressionHashes(bytes(32)), PublicIds(bytes(32)))
    for table in ("message", "sent", "receipt"):
        await housekeeping.drop_partitions(table, IN_OCTOBER + timedelta(days=5))
    assert await books.value("SELECT count(*) FROM sent WHERE merchant_id = $1", SHOP) == 7
    await books.closing().close(SHOP, OCTOBER)
    assert await books.lines(SHOP) == BILLED
    async with database.report() as connection:
        broken = (await looked_of(connection)).broken
    assert broken == []


CORRUPTIONS = {
    "an entry of a dropped day is dearer": Corruption(
        "UPDATE ledger_entry SET amount_micros = amount_micros * 2 WHERE item_id = 12",
        "I2", "item 12, accepted on 2026-10-05: the rows, which are gone, had 3 messages, 6 segments, 540006",
    ),
    "an entry of a dropped day is gone": Corruption(
        "DELETE FROM ledger_entry WHERE item_id = 13",
        "I2", "had 2 messages, 2 segments, 90000 micros, the ledger has 0",
    ),
    "kept sums are changed with the ledger": Corruption(
        "WITH e AS (UPDATE ledger_entry SET amount_micros = amount_micros * 2 WHERE item_id = 12) "
        "UPDATE retired_usage SET micros = micros * 2 WHERE item_id = 12",
        "I15", "the sums of 2026-10-05, whose message rows are gone",
    ),
    "kept sums of a day are taken away": Corruption(
        "DELETE FROM retired_usage WHERE item_id = 13", "I15", "the sums of 2026-10-05",
    ),
    "a dropped day is left out of the chain": Corruption(
        "DELETE FROM retired_day WHERE day = '2026-10-31'", "I15", "the sums of 2026-10-31",
    ),
    "the last dropped day is forgotten": Corruption(
        "WITH d AS (DELETE FROM retired_day WHERE day = '2026-11-01') "
        "DELETE FROM retired_usage WHERE day = '2026-11-01'",
        "I2", "accepted on 2026-11-01: the rows, which are gone, had 0 messages",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def books(postgres_server: EmbeddedPostgres) -> Iterator[dict[str, Any]]:
    async def write(database: Database) -> None:
        books = await a_month(database)
        await books.take(SHOP, 1, accepted_at=LONG_AFTER - timedelta(hours=3))
        await books.take(SHOP, 1, accepted_at=LONG_AFTER)
        await time_passes(database)

    with made_once(postgres_server, write) as arguments:
        yield arguments


async def test_books_whose_rows_are_gone_hold_in_every_proof(books: dict[str, Any]) -> None:
    assert await found_after(books, "") == {}


@pytest.mark.parametrize("name", CORRUPTIONS)
async def test_a_corruption_is_found_and_its_first_row_named(books: dict[str, Any], name: str) -> None:
    first = await first_found(books, CORRUPTIONS[name])
    assert CORRUPTIONS[name].names in first
