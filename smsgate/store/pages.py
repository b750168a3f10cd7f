"""One way to cut a page out of a list that is newest first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import asyncpg

from smsgate.errors import Invalid
from smsgate.flows.commerce_records import PageAsk
from smsgate.store.connection import Connection

ID_END: Final = (1 << 63) - 1  # above every id


async def page_rows(
    connection: Connection, sql: str, merchant_id: int, ask: PageAsk, *filters: object
) -> tuple[list[asyncpg.Record], bool]:
    """
    Return the rows of a page, newest first, and whether more follow in the direction asked.

    `sql` takes the merchant as $1, the border as `< $2` and the limit as $3, has one `DESC` order by that
    same id, and returns the id as `page_id`; the page before a border is the same statement turned round.

    Raises:
        Invalid: code `cursor_unknown`; the border is no object of this list. Another merchant's id would else
            tell by the page's length when that object was made.
    """
    assert sql.count("< $2") == 1
    assert sql.count(" DESC") == 1
    cursor = ask.after if ask.before is None else ask.before
    if cursor is not None and not await _is_known(connection, sql, merchant_id, cursor, filters):
        raise Invalid("The page's cursor is no object of this list.", code="cursor_unknown")
    backward = ask.before is not None
    border = ID_END if ask.after is None else ask.after
    if ask.before is not None:
        border = ask.before
        sql = sql.replace("< $2", "> $2").replace(" DESC", " ASC")
    rows = await connection.fetch(sql, merchant_id, border, ask.limit + 1, *filters)
    rows.sort(key=lambda row: int(row["page_id"]), reverse=not backward)  # joins may have mixed them
    has_more = len(rows) > ask.limit
    rows = rows[: ask.limit]
    return (rows[::-1] if backward else rows), has_more


async def _is_known(
    connection: Connection, sql: str, merchant_id: int, cursor: int, filters: Sequence[object]
) -> bool:
    """Look for the cursor without the optional filters: its state may have changed since."""
    kept = [
        None if re.search(rf"\${number}::\w+ IS NULL", sql) else value
        for number, value in enumerate(filters, start=4)
    ]
    return bool(await connection.fetch(sql.replace("< $2", "= $2"), merchant_id, cursor, 1, *kept))
