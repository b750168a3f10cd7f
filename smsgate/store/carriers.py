"""Numbers of carriers: configuration names them, message rows carry two octets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smsgate.errors import StoreNotReady
from smsgate.store.catalogue import load
from smsgate.store.pool import Database

CARRIERS_MAX: Final = 32_000  # smallint; 0 stands for "no carrier"
LOCK_KEY: Final = 0x736D7367_00000004  # "smsg", 4: one process numbers carriers at a time
_SQL: Final = load("carriers")


async def register_carriers(database: Database, names: Sequence[str]) -> dict[str, int]:
    """Return each name's number; a new name gets the next one, a number is never used again."""
    async with database.control() as connection, connection.transaction():
        await connection.execute(_SQL["lock"], LOCK_KEY)
        rows = await connection.fetch(_SQL["carriers"])
        known: dict[str, int] = {row["name"]: row["carrier_id"] for row in rows}
        for name in names:
            if name not in known:
                known[name] = max(known.values(), default=0) + 1
                if known[name] > CARRIERS_MAX:
                    raise StoreNotReady(f"{CARRIERS_MAX} carriers were configured in this database's life")
                await connection.execute(_SQL["insert_carrier"], known[name], name)
    return {name: known[name] for name in names}
