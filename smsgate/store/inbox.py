"""The merchant's inbox (implements flows.inbox.InboxStore)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from smsgate.campaigns.consent import DOUBT_MAX
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import InboundRecord, Page, PageAsk
from smsgate.flows.inbox import Decision, InboxItem, Ruling, Verdict
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.inbound import StoredGroup, StoredInbound
from smsgate.store.pages import page_rows

_SQL: Final = load("inbox")
_ONE: Final = _SQL["inbox_page"].replace("< $2", "= $2")


class PgInbox(StoredInbound):
    async def page(self, merchant_id: int, ask: PageAsk, state: str | None) -> Page[InboxItem]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["inbox_page"], merchant_id, ask, state)
        return Page([_item(row) for row in rows], more)

    async def get(self, merchant_id: int, inbound_id: int) -> InboxItem:
        async with self._database.transaction(merchant_id) as connection:
            found = await _one(connection, merchant_id, inbound_id)
        if found is None:
            raise NotFound
        return found

    @asynccontextmanager
    async def group(self) -> AsyncIterator[StoredDecision]:
        async with self._database.bulk_transaction() as connection:
            yield StoredDecision(connection, self._next_id, self._hashes, self._stamps)


class StoredDecision(StoredGroup):
    async def item(self, merchant_id: int, inbound_id: int) -> InboxItem | None:
        return await _one(self._connection, merchant_id, inbound_id)

    async def decide(self, merchant_id: int, reply: InboundRecord, decision: Decision) -> None:
        ruling = decision.ruling
        await self._connection.execute(
            _SQL["decide"], merchant_id, reply.inbound_id, ruling.verdict.value, ruling.quantity,
            decision.outcome, decision.order_id, ruling.decided_by, ruling.key_id, ruling.reason,
            decision.decided_at,
        )  # fmt: skip
        until = reply.received_at + DOUBT_MAX
        for row in await self._connection.fetch(_SQL["doubted"], reply.msisdn, until, DOUBT_MAX):
            if row["merchant_id"] == merchant_id or ruling.verdict is not Verdict.STOP:
                await self._connection.execute(
                    _SQL["end_doubt"], row["merchant_id"], row["subscriber_id"], until
                )


async def _one(connection: Connection, merchant_id: int, inbound_id: int) -> InboxItem | None:
    row = await connection.fetchrow(_ONE, merchant_id, inbound_id, 1, None)
    return None if row is None else _item(row)


def _item(row: asyncpg.Record) -> InboxItem:
    decision = None
    if row["verdict"] is not None:
        ruling = Ruling(
            Verdict(row["verdict"]), row["decided_by"], row["key_id"], row["decided_reason"],
            row["decided_quantity"],
        )  # fmt: skip
        decision = Decision(ruling, row["decided_outcome"], row["decided_order_id"], row["decided_at"])
    state = "decided" if decision is not None else "settled" if row["settled"] else "open"
    return InboxItem(InboundRecord(**{name: row[name] for name in InboundRecord.__slots__}), state, decision)
