"""Answers kept under Idempotency-Keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsgate.flows.ports_api import StoredAnswer
from smsgate.store.catalogue import load

if TYPE_CHECKING:
    from datetime import datetime

    from smsgate.store.pool import Database

_SQL: Final = load("idempotency")


class PgIdempotency:
    """Implements `ports_api.IdempotencyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(
        self, owner_id: int, key: str, fingerprint: bytes, *, now: datetime, abandoned_at: datetime
    ) -> StoredAnswer | None:
        while True:  # a row that is released between the two statements is tried for again
            async with self._database.transaction(owner_id) as connection:
                if await connection.fetchval(_SQL["reserve"], owner_id, key, fingerprint, now, abandoned_at):
                    return None
                row = await connection.fetchrow(_SQL["stored"], owner_id, key)
            if row is not None:
                return StoredAnswer(bytes(row["fingerprint"]), row["status"], bytes(row["answer"] or b""))

    async def renew(
        self, owner_id: int, key: str, reserved_at: datetime, *, now: datetime, abandoned_at: datetime
    ) -> None:
        async with self._database.transaction(owner_id) as connection:
            await connection.execute(_SQL["renew"], owner_id, key, reserved_at, now, abandoned_at)

    async def complete(
        self, owner_id: int, key: str, reserved_at: datetime, fingerprint: bytes, status: int, answer: bytes
    ) -> None:
        async with self._database.transaction(owner_id) as connection:
            await connection.execute(
                _SQL["complete"], owner_id, key, reserved_at, fingerprint, status, answer
            )

    async def release(self, owner_id: int, key: str, reserved_at: datetime) -> None:
        async with self._database.transaction(owner_id) as connection:
            await connection.execute(_SQL["release"], owner_id, key, reserved_at)
