"""Where shops receive events, and what is still to be delivered there."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import asyncpg

from smsgate.errors import Conflict, NotFound
from smsgate.flows.commerce_records import DeliveryRecord, EndpointRecord, Page, PageAsk
from smsgate.store.catalogue import load
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database

_SQL: Final = load("webhook_endpoints")


class PgWebhookEndpoints:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, merchant_id: int) -> int:
        async with self._database.transaction(merchant_id) as connection:
            count: int = await connection.fetchval(_SQL["count_endpoints"], merchant_id)
        return count

    async def create(self, record: EndpointRecord, endpoints_max: int) -> None:
        """
        Write an endpoint.

        Raises:
            Conflict: code `endpoints_too_many`.
        """
        async with self._database.transaction(record.merchant_id) as connection:
            await connection.execute(_SQL["lock_endpoints"], record.merchant_id)
            if await connection.fetchval(_SQL["count_endpoints"], record.merchant_id) >= endpoints_max:
                raise Conflict(f"a merchant has at most {endpoints_max} endpoints", code="endpoints_too_many")
            await connection.execute(
                _SQL["insert_endpoint"], record.merchant_id, record.endpoint_id, record.url,
                list(record.event_types), record.secret, record.created_at,
            )  # fmt: skip

    async def get(self, merchant_id: int, endpoint_id: int) -> EndpointRecord:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["endpoint"], merchant_id, endpoint_id)
        if row is None:
            raise NotFound
        return _record(row)

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[EndpointRecord]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["endpoints_page"], merchant_id, ask)
        return Page([_record(row) for row in rows], more)

    async def change(
        self, merchant_id: int, endpoint_id: int, event_types: tuple[str, ...], state: str, reason: str
    ) -> None:
        async with self._database.transaction(merchant_id) as connection:
            found = await connection.fetchval(
                _SQL["change_endpoint"], merchant_id, endpoint_id, list(event_types), state, reason
            )
        if found is None:
            raise NotFound

    async def delete(self, merchant_id: int, endpoint_id: int) -> None:
        async with self._database.transaction(merchant_id) as connection:
            if await connection.fetchval(_SQL["delete_endpoint"], merchant_id, endpoint_id) is None:
                raise NotFound
            await connection.execute(_SQL["delete_deliveries"], merchant_id, endpoint_id)

    async def rotate(
        self,
        merchant_id: int,
        endpoint_id: int,
        *,
        before: bytes,
        secret: bytes,
        previous_secret: bytes,
        previous_until: datetime,
    ) -> bool:
        """Return whether the sealed secret still was `before` and is replaced now."""
        async with self._database.transaction(merchant_id) as connection:
            found = await connection.fetchval(
                _SQL["rotate_endpoint_secret"], merchant_id, endpoint_id, secret, previous_secret,
                previous_until, before,
            )  # fmt: skip
        return found is not None

    async def deliveries(
        self, merchant_id: int, endpoint_id: int, ask: PageAsk, state: str | None = None
    ) -> Page[DeliveryRecord]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(
                connection, _SQL["deliveries_page"], merchant_id, ask, endpoint_id, state
            )
        return Page(
            [DeliveryRecord(**{name: r[name] for name in DeliveryRecord.__slots__}) for r in rows], more
        )

    async def redeliver(
        self, merchant_id: int, endpoint_id: int, id_min: int, id_max: int, limit: int, at: datetime
    ) -> list[int]:
        """Have the oldest `limit` events of a range delivered again; return those that wait now."""
        async with self._database.transaction(merchant_id) as connection:
            rows = await connection.fetch(
                _SQL["redeliver"], merchant_id, endpoint_id, at, id_min, id_max, limit
            )
        return [row["event_id"] for row in rows]


def _record(row: asyncpg.Record) -> EndpointRecord:
    return EndpointRecord(
        merchant_id=row["merchant_id"],
        endpoint_id=row["endpoint_id"],
        url=row["url"],
        event_types=tuple(row["event_types"]),
        secret=row["secret"],
        previous_secret=row["previous_secret"],
        previous_until=row["previous_until"],
        state=row["state"],
        disabled_reason=row["disabled_reason"],
        created_at=row["created_at"],
        failing_since=row["failing_since"],
        failures=row["failures"],
    )
