"""Facts about a database that is open, for `smsgate check`; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsgate.store import roles
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.pool import Database

_SQL: Final = load("inspection")


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    version: str
    durable: bool  # a commit survives a power cut
    standby: bool
    now: datetime  # by the server's clock
    octets: int
    data_keys: int  # secrets in the database need the master key that made them
    wrong_roles: tuple[str, ...]  # sentences


async def inspect(database: Database) -> DatabaseFacts:
    """
    Look from every role.

    Raises:
        StoreUnavailable: a role cannot log in, or the database went away.
    """
    wrong: list[str] = []
    async with database.control() as connection:
        row = await connection.fetchrow(_SQL["server"])
        wrong += await _wrong(connection, roles.OWNER)
    async with database.api() as connection:
        wrong += await _wrong(connection, roles.API)
    async with database.bulk() as connection:
        wrong += await _wrong(connection, roles.BULK)
    async with database.report() as connection:
        wrong += await _wrong(connection, roles.REPORT)
    assert row is not None
    return DatabaseFacts(
        version=row["version"],
        durable=row["durable"],
        standby=row["standby"],
        now=row["now"],
        octets=row["octets"],
        data_keys=row["data_keys"],
        wrong_roles=tuple(wrong),
    )


async def _wrong(connection: Connection, role: str) -> list[str]:
    row = await connection.fetchrow(_SQL["whoami"])
    assert row is not None
    if row["name"] != role:
        return [f"a session that should be {role} is {row['name']}"]
    if row["superuser"] or row["sees_all"] != roles.BYPASSES_RLS[role]:
        return [f"{role} may see {'every' if row['sees_all'] else 'no'} merchant's rows, and must not be so"]
    return []
