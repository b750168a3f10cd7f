"""Several statements as one."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.store.catalogue import load
from smsgate.store.pool import Database
from smsgate.store.together import Together
from tests.flows.world import eventually
from tests.store.waiting import somebody_waits

TABLES = "CREATE TABLE one (n int, word text); CREATE TABLE two (n int); GRANT ALL ON one, two TO sg_bulk"
INSERT_ONE = "INSERT INTO one SELECT * FROM unnest($1::int[], $2::text[]) RETURNING n, word"
CHAIN = (
    "WITH new AS (SELECT * FROM unnest($1::int[]) AS t (n)), kept AS (INSERT INTO one (n) SELECT n FROM new) "
)
COUNTED = """
INSERT INTO offer (merchant_id, offer_id, version, stock, stock_remaining)
VALUES (7, 1, 1, 10, 10), (7, 2, 1, 10, 10);
INSERT INTO offer_version (merchant_id, offer_id, version, text, shop_name, item, unit_price_minor, currency,
    quantity_max, language, country, sender, expires_at)
SELECT 7, n, 1, '', 'shop', 'item', 100, 'EUR', 1, 'fr', 'FR', '36111', now() FROM generate_series(1, 2) n
"""


async def count(database: Database, table: str) -> int:
    async with database.control() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_each_has_its_own_parameters_and_its_own_rows(database: Database) -> None:
    together = Together()
    first = together.read(
        "SELECT n, $2::text AS word FROM generate_series(1, $1::int) n", ("n", "word"), 3, "a"
    )
    none = together.read("SELECT 1 AS n, 'x' AS word WHERE $1::boolean", ("word",), False)
    gaps = together.read("SELECT NULL::int AS n FROM generate_series(1, 2)", ("n",))
    last = together.read("SELECT n * $1::int AS n FROM generate_series(2, 1, -1) n", ("n",), 10)
    async with database.bulk() as connection:
        await together.run(connection)
    assert first.rows == [(1, "a"), (2, "a"), (3, "a")]
    assert first.dicts()[0] == {"n": 1, "word": "a"}
    assert not none.rows
    assert none.dicts() == []
    assert gaps.rows == [(None,), (None,)]
    assert last.rows == [(20,), (10,)]


async def test_nothing_is_nothing(database: Database) -> None:
    async with database.bulk() as connection:
        await Together().run(connection)


async def test_what_writes_is_done_read_or_not_and_with_parts_of_its_own(database: Database) -> None:
    async with database.control() as connection:
        await connection.execute(TABLES)
    together = Together()
    written = together.read(INSERT_ONE, ("n", "word"), [1, 2], ["a", "b (not a bracket"])
    together.write(CHAIN + "INSERT INTO two SELECT n FROM new WHERE n > $2::int", [5, 6, 7], 5)
    together.write("INSERT INTO two VALUES ($1)", 9)
    async with database.bulk_transaction() as connection:
        await together.run(connection)
    assert written.rows == [(1, "a"), (2, "b (not a bracket")]
    assert (await count(database, "one"), await count(database, "two")) == (5, 3)


async def test_what_nobody_reads_and_what_meets_by_name_is_refused(database: Database) -> None:
    unread, same = Together(), Together()
    unread.write("SELECT 1")
    unread.write("SELECT 2")
    for _ in range(2):
        same.write(CHAIN + "INSERT INTO two SELECT n FROM new", [1])
    async with database.bulk() as connection:
        with pytest.raises(ValueError, match="nobody reads it"):
            await unread.run(connection)
        with pytest.raises(ValueError, match="one name"):
            await same.run(connection)


async def test_the_stock_that_another_left_is_read_though_its_lock_was_waited_for(database: Database) -> None:
    """The statement beside it sees the stock of before: that one may not be believed."""
    sql = load("inbound")
    async with database.control() as connection:
        await connection.execute(COUNTED)
    together = Together()
    locked = together.read(sql["lock_offers"], ("offer_id", "state", "stock_remaining"), 7, [1, 2])
    seen = together.read(sql["offer_versions"], ("offer_id", "stock_remaining"), 7, [1, 2])

    async def read() -> None:
        async with database.bulk_transaction() as connection:
            await together.run(connection)

    async with database.bulk_transaction() as connection:
        await connection.execute(
            "UPDATE offer SET stock_remaining = 4, state = 'withdrawn' WHERE offer_id = 2"
        )
        task = asyncio.create_task(read())
        await eventually(lambda: somebody_waits(database))
    await task
    assert locked.rows == [(1, "live", 10), (2, "withdrawn", 4)]
    assert sorted(seen.rows) == [(1, 10), (2, 10)]
