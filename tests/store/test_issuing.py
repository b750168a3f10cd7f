"""Numbers without gaps, whatever happens to those who take them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import pytest

from smsgate.errors import Invalid
from smsgate.flows.billing_records import DocumentRow, Issue
from smsgate.store.closing import PgClosing
from smsgate.store.documents import issue
from smsgate.store.pool import Database
from tests.store.books import OCTOBER, some_books

ISSUERS = 9
MERCHANTS = 90
ROLLBACKS = 0.3
# The number that this transaction took, and how many documents it sees: its own and what is committed.
TAKEN = "SELECT number, (SELECT count(*) FROM document) FROM document WHERE xmin = pg_current_xact_id()::xid"


class _Rollback(Exception):
    """The issuing transaction does not come to its commit."""


class _Shaky(PgClosing):
    """A store whose issuing transactions are rolled back three times of ten, after the number was taken."""

    def __init__(self, database: Database, random: Random) -> None:
        super().__init__(database, str)
        self._shaken = database
        self._random = random
        self.rollbacks = 0
        self.taken: list[tuple[int, int]] = []  # `TAKEN` of each transaction

    async def issue(self, issue_: Issue) -> list[DocumentRow]:
        async with self._shaken.bulk_transaction() as connection:
            rows = await issue(connection, issue_)
            self.taken += [(number, seen) for number, seen in await connection.fetch(TAKEN)]
            if self._random.random() < ROLLBACKS:
                self.rollbacks += 1
                raise _Rollback
        return rows


async def test_nine_issuers_with_rollbacks_leave_numbers_without_gaps_in_the_order_of_commits(
    database: Database,
) -> None:
    books = await some_books(database)
    merchants = range(100, 100 + MERCHANTS)
    for merchant_id in merchants:
        await books.merchant(merchant_id)
        await books.take(merchant_id, 1)
    stores = [_Shaky(database, Random(seed)) for seed in range(ISSUERS)]

    async def work(store: _Shaky, ours: Sequence[int]) -> None:
        closing = books.closing(store=store)
        for merchant_id in ours:
            while True:
                try:
                    await closing.close(merchant_id, OCTOBER)
                except _Rollback:
                    continue
                break

    # Each merchant is wanted by two issuers.
    wanted = [[*merchants[place::ISSUERS], *merchants[place + 1 :: ISSUERS]] for place in range(ISSUERS)]
    await asyncio.gather(*(work(store, ours) for store, ours in zip(stores, wanted, strict=True)))
    assert sum(store.rollbacks for store in stores) > MERCHANTS * ROLLBACKS / 2
    numbers = await books.rows("SELECT number FROM document ORDER BY number")
    assert numbers == [(number,) for number in range(1, MERCHANTS + 1)]
    # All lower numbers are committed when one is taken, and no higher one is.
    taken = [row for store in stores for row in store.taken]
    assert all(number == seen for number, seen in taken)
    assert {number for number, _ in taken} == set(range(1, MERCHANTS + 1))
    assert await books.rows("SELECT last FROM document_series") == [(MERCHANTS,)]
    assert await books.value("SELECT count(DISTINCT merchant_id) FROM document") == MERCHANTS


async def test_the_documents_of_a_series_are_chained_by_their_hashes(database: Database) -> None:
    books = await some_books(database)
    for merchant_id in (7, 8, 9):
        await books.merchant(merchant_id)
        await books.take(merchant_id, 1)
        await books.closing().close(merchant_id, OCTOBER)
    previous = b""
    for payload, told_previous, chain in await books.rows(
        "SELECT payload, previous_sha256, chain_sha256 FROM document ORDER BY number"
    ):
        assert told_previous == previous
        assert chain == hashlib.sha256(previous + payload).digest()
        previous = chain
    assert await books.value("SELECT last_sha256 FROM document_series") == previous


async def test_a_series_of_another_year_begins_at_one(database: Database) -> None:
    books = await some_books(database)
    for merchant_id in (7, 8):
        await books.merchant(merchant_id)
        await books.take(merchant_id, 1)
    (first,) = await books.closing().close(7, OCTOBER)
    books.go_to(datetime(2026, 12, 31, 23, tzinfo=UTC))  # a new year in Paris
    (second,) = await books.closing().close(8, OCTOBER)
    assert [first.number, second.number] == ["F-2026-000001", "F-2027-000001"]


@pytest.mark.parametrize("series", ["F 2026", "", "F" * 40])
async def test_a_series_that_no_document_can_bear_takes_no_number(database: Database, series: str) -> None:
    books = await some_books(database)
    await books.merchant(7)
    await books.take(7, 1)
    with pytest.raises(Invalid, match="cannot be a series"):
        await books.closing(series=series).close(7, OCTOBER)
    assert await books.value("SELECT count(*) FROM document_series") == 0
