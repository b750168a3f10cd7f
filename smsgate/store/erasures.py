"""
Erasures that are not over: their own transaction did not see what others were writing of the person.

That transaction leaves a row that says so. `finish` removes what it finds, in whatever process, until nobody
who began before is left and nothing was found; then the row goes, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from smsgate.flows.events import first_id_of
from smsgate.flows.ports_privacy import OwedErasure
from smsgate.security.public_ids import ID_MAX
from smsgate.store.catalogue import load

if TYPE_CHECKING:
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

_SQL: Final = load("suppressions")
WRITTEN_BY_CLAIMS: Final = ("erase_open_offers", "erase_contacts")
# Texts that were being written have ids of until so long after the erasure's instant: it may have waited for
# rows, a transaction that does nothing lives a minute, and clocks of nodes differ.
CROSSED_WITHIN: Final = timedelta(minutes=5)
POLL_S: Final = 0.02  # claims and texts are transactions of milliseconds


@asynccontextmanager
async def as_owner(database: Database, merchant_id: int) -> AsyncIterator[Connection]:
    """Open a transaction that may change what nobody may at run time, of this merchant alone."""
    async with database.control() as connection, connection.transaction():
        await connection.execute("SELECT set_config('app.merchant', $1, true)", str(merchant_id))
        yield connection


async def message_ids(
    connection: Connection, merchant_id: int, msisdn: int, texts_before: int = ID_MAX
) -> list[int]:
    """Return the messages to a number: all of campaigns, and other texts with an id below `texts_before`."""
    rows = await connection.fetch(_SQL["message_ids"], merchant_id, msisdn, texts_before)
    return [row["message_id"] for row in rows]


async def owe(
    connection: Connection, merchant_id: int, request_id: int, msisdn: int, now: datetime
) -> OwedErasure:
    """Write down, in the erasure's own transaction, that it is not over."""
    owed = OwedErasure(merchant_id, request_id, msisdn, first_id_of(now + CROSSED_WITHIN))
    await connection.execute(_SQL["erase_owe"], merchant_id, request_id, msisdn, owed.texts_before)
    return owed


async def owed_erasures(database: Database, limit: int) -> list[OwedErasure]:
    async with database.control() as connection:
        rows = await connection.fetch(_SQL["erase_owed"], limit)
    return [OwedErasure(*(row[name] for name in OwedErasure.__slots__)) for row in rows]


async def finish(database: Database, owed: OwedErasure, now: datetime, patience_s: float) -> bool:
    """Remove what is left of a person; False: somebody who began before writes for longer than that."""
    until = asyncio.get_running_loop().time() + patience_s
    while (border := await _border(database, owed)) is not None:
        if not await _older_are_over(database, border, until):
            return False
        await _erase_what_crossed(database, owed, now)
        await _erase_bounds(database, owed)
        async with as_owner(database, owed.merchant_id) as connection:
            if await connection.fetchval(_SQL["erase_done"], *_key(owed), border):
                return True
    return True


def _key(owed: OwedErasure) -> tuple[int, int]:
    return owed.merchant_id, owed.request_id


async def _border(database: Database, owed: OwedErasure) -> str | None:
    """
    Return the transaction before which all have to end; None: another process has finished.

    It is looked for when what was removed last is committed: whoever begins to write after that sees it. Each
    server counts by itself, so it is one of where `_older_are_over` looks: where messages are written.
    """
    async with database.bulk() as connection:
        new = await connection.fetchval(_SQL["new_transaction"])
    async with database.control() as connection:
        border: str | None = await connection.fetchval(_SQL["erase_after"], *_key(owed), new)
    return border


async def _older_are_over(database: Database, border: str, until: float) -> bool:
    time = asyncio.get_running_loop().time
    while True:
        async with database.bulk() as connection:  # those of the owner are few
            if await connection.fetchval(_SQL["older_are_over"], border):
                return True
        if time() >= until:
            return False
        await asyncio.sleep(POLL_S)


async def _erase_what_crossed(database: Database, owed: OwedErasure, now: datetime) -> None:
    """Remove what a claim or a text wrote that had chosen the person before."""
    merchant_id, msisdn = owed.merchant_id, owed.msisdn
    async with as_owner(database, merchant_id) as connection:
        ids = await message_ids(connection, merchant_id, msisdn, owed.texts_before)
        await connection.fetch(_SQL["erase_waiting"], merchant_id, ids, now)
        found = len(ids)
        for statement in ("erase_submitted", "erase_messages"):
            await connection.fetch(_SQL[statement], merchant_id, ids)
        for statement in WRITTEN_BY_CLAIMS:
            found += len(await connection.fetch(_SQL[statement], merchant_id, msisdn))
        await _again_if(found, connection, owed)


async def _erase_bounds(database: Database, owed: OwedErasure) -> None:
    """
    Take the number out of the ranges of chunks, which led to the ids.

    A claim that read a bound before writes it into other chunks.
    """
    async with as_owner(database, owed.merchant_id) as connection:
        found = await connection.fetch(_SQL["erase_bounds"], owed.merchant_id, owed.msisdn)
        await _again_if(len(found), connection, owed)


async def _again_if(found: int, connection: Connection, owed: OwedErasure) -> None:
    if found:
        await connection.execute(_SQL["erase_again"], *_key(owed))
