"""The gateway's own books, read straight from its tables: what the story is checked against."""

from __future__ import annotations

from smsgate.demo.story import Books
from smsgate.store.demo_books import fetch_books
from smsgate.store.pool import Database


async def read_books(database: Database) -> Books:
    """Return the sums over the one merchant of the demonstration's database."""
    return Books(**await fetch_books(database))
