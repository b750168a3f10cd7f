"""Message rows whose time is over: what they made of the books is kept, sealed, when they are dropped."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from smsgate.ids import quarter_hour_of
from smsgate.protocol.receipt_states import FINAL
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.partitions import borders

_SQL: Final = load("retired")
_VERIFY: Final = load("verify")
ID_MAX: Final = (1 << 63) - 1


async def horizon(connection: Connection) -> tuple[int, datetime]:
    """Return the first message id whose rows are kept, and its instant; days begin at midnight UTC."""
    found = await connection.fetchval(_SQL["horizon"])
    first_id = ID_MAX if found is None else int(found)  # without any partition nothing is kept
    return first_id, datetime.fromtimestamp(quarter_hour_of(first_id), UTC)


async def keep_sums(connection: Connection, day: date) -> None:
    """Keep what a day's message rows made of the books, in the transaction that drops them."""
    # Until the rows are gone nobody gives a charge of the day back: the sums are the last word.
    await connection.execute("LOCK TABLE charge_reversal IN SHARE MODE")
    if await connection.fetchval(_SQL["is_retired"], day):
        return
    delivered = await connection.fetchval(_VERIFY["delivered_items"])
    await connection.execute(_SQL["sum_day"], day, *borders(day), delivered, sorted(FINAL))
    await connection.execute(_SQL["seal_day"], day, *borders(day))
