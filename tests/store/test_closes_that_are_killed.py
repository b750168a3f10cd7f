"""A close survives SIGKILL at every step: nothing is billed twice or forgotten, no number is lost."""

from __future__ import annotations

import asyncio
import sys

import pytest

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN
from smsgate.store.verify import PgVerify
from tests.store.books import CLOSE_AT, Books, some_books

MERCHANTS = 60
KILLS = 40


async def kill_closes(books: Books, server: EmbeddedPostgres, name: str, kills: int, seed: int) -> int:
    """Kill closes until there were `kills`, or nothing is left to close; return how many there were."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.dying_closer", server.dsn(ADMIN, name), name, str(kills),
        str(seed),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await child.communicate()
    assert child.returncode == 0
    return int(said)


async def prove(books: Books, merchants: int) -> None:
    """Hold numbers, documents and ledger to what was used."""
    numbers = await books.rows("SELECT number FROM document ORDER BY number")
    assert numbers == [(number,) for number in range(1, merchants + 1)]
    assert await books.rows("SELECT last FROM document_series") == [(merchants,)]
    assert await books.value("SELECT count(DISTINCT merchant_id) FROM document") == merchants
    assert await books.value("SELECT count(*) FROM billing_period WHERE closed_at IS NULL") == 0
    used = await books.rows("SELECT merchant_id, 10 * count(*) FROM sent GROUP BY 1 ORDER BY 1")
    billed = await books.rows(
        "SELECT merchant_id, 10 * sum(quantity)::bigint FROM document_line GROUP BY 1 ORDER BY 1"
    )
    assert billed == used
    unbalanced = (
        "SELECT count(*) FROM (SELECT FROM ledger_entry GROUP BY merchant_id, posting_id, currency "
        "HAVING sum(amount_micros) <> 0) AS p"
    )
    assert await books.value(unbalanced) == 0
    (await PgVerify(books.database).looked()).hold()
    accounts = await books.accounts()
    assert ("unbilled", "EUR") not in accounts
    assert accounts["receivable", "EUR"] == 10_000 * await books.value(
        "SELECT sum(gross_minor)::bigint FROM document"
    )


async def some_merchants(database: Database, count: int) -> Books:
    books = await some_books(database)
    for merchant_id in range(1, count + 1):
        await books.merchant(merchant_id)
        await books.take(merchant_id, 1 + merchant_id % 5)
    return books


async def test_closes_that_are_killed_at_every_step_bill_everything_once(
    database: Database, postgres_server: EmbeddedPostgres, database_name: str
) -> None:
    books = await some_merchants(database, MERCHANTS)
    assert await kill_closes(books, postgres_server, database_name, KILLS, seed=1) > KILLS / 2
    closed = await books.closing().close_due()
    assert closed.waiting == []
    await prove(books, MERCHANTS)


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_two_hundred_kills(
    database: Database, postgres_server: EmbeddedPostgres, database_name: str
) -> None:
    merchants = 1_000  # a quick machine bills two or three of them before each kill
    books = await some_merchants(database, merchants)
    assert books.clock.now() == CLOSE_AT
    assert await kill_closes(books, postgres_server, database_name, 200, seed=2) >= 200
    await books.closing().close_due()
    await prove(books, merchants)
