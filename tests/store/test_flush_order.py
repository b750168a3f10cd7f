"""A flush's rows lie in the order of their messages, so that they belong to the last page of an index."""

from __future__ import annotations

from smsgate.store.pool import Database
from tests.store.books import IN_OCTOBER, some_books

SHOP = 7


async def test_outcomes_and_receipts_are_written_in_the_order_of_their_messages(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.partitions(IN_OCTOBER)
    ids = await books.take(SHOP, 6)
    as_they_came = [ids[n] for n in (3, 1, 5, 0, 2, 4)]
    await books.execute("DELETE FROM sent")
    await books.take(SHOP, 6, message_ids=as_they_came, receipts_of=as_they_came)
    for table in ("sent", "receipt"):
        assert await books.rows(f"SELECT message_id FROM {table} ORDER BY ctid") == [(each,) for each in ids]
