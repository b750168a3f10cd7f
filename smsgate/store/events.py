"""Events: the outbox that webhooks are delivered from, and the list that shops read."""

from __future__ import annotations

from typing import Final

import asyncpg
import orjson

from smsgate.errors import NotFound
from smsgate.flows.commerce_records import EventColumns, EventRecord, Page, PageAsk
from smsgate.store.array_octets import ids_text, texts_text
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database
from smsgate.store.together import Together

_SQL: Final = load("events")


class PgEvents:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, merchant_id: int, event_id: int, oldest_id: int) -> EventRecord:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["event"], merchant_id, event_id, oldest_id)
        if row is None:
            raise NotFound
        return _record(row)

    async def page(
        self,
        merchant_id: int,
        ask: PageAsk,
        oldest_id: int,
        type_: str | None = None,
        subject: str | None = None,
    ) -> Page[EventRecord]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(
                connection, _SQL["events_page"], merchant_id, ask, oldest_id, type_, subject
            )
        return Page([_record(row) for row in rows], more)


async def insert_events(connection: Connection, columns: EventColumns) -> None:
    """Write events and a delivery for every active endpoint that wants them, in the caller's transaction."""
    together = Together()
    add_events(together, columns)
    await together.run(connection)


def add_events(together: Together, columns: EventColumns) -> None:
    """Have them written with what else the caller writes."""
    if columns.event_ids:
        together.write(
            _SQL["insert_events"], ids_text(columns.merchant_ids), ids_text(columns.event_ids),
            texts_text(columns.types), texts_text(columns.subjects), texts_text(columns.data),
            columns.created_at,
        )  # fmt: skip


def _record(row: asyncpg.Record) -> EventRecord:
    return EventRecord(
        row["event_id"], row["type"], row["subject"], orjson.loads(row["data"]), row["created_at"]
    )
