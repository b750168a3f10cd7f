"""Triggers: the shop's own webhook that starts a campaign, and what each of them was answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import asyncpg
import orjson

from smsgate.errors import Conflict, DomainError, NotFound, StoreError
from smsgate.flows.commerce_records import Page, PageAsk, TriggerAcceptance, TriggerAnswer, TriggerRecord
from smsgate.store.campaigns import insert_campaign, write_chunks
from smsgate.store.catalogue import load
from smsgate.store.offers import insert_offer, taken
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database

_SQL: Final = load("triggers")


class PgTriggers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, record: TriggerRecord, triggers_max: int) -> None:
        """
        Write a trigger.

        Raises:
            Conflict: code `triggers_too_many`.
        """
        async with self._database.transaction(record.merchant_id) as connection:
            if await connection.fetchval(_SQL["count_triggers"], record.merchant_id) >= triggers_max:
                raise Conflict(f"a merchant has at most {triggers_max} triggers", code="triggers_too_many")
            await connection.execute(
                _SQL["insert_trigger"], record.merchant_id, record.trigger_id, record.name,
                orjson.dumps(record.mapping).decode(), record.secret, record.created_at,
            )  # fmt: skip

    async def get(self, merchant_id: int, trigger_id: int) -> TriggerRecord:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["trigger"], merchant_id, trigger_id)
        if row is None:
            raise NotFound("No such object.")
        return _record(row)

    async def find(self, trigger_id: int) -> TriggerRecord | None:
        """Return a trigger whoever owns it: for the route that has no key, and is let in by a signature."""
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(_SQL["trigger_anywhere"], trigger_id)
        return None if row is None else _record(row)

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[TriggerRecord]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["triggers_page"], merchant_id, ask)
        return Page([_record(row) for row in rows], more)

    async def change(
        self, merchant_id: int, trigger_id: int, name: str, mapping: Mapping[str, object], state: str
    ) -> None:
        async with self._database.transaction(merchant_id) as connection:
            found = await connection.fetchval(
                _SQL["change_trigger"], merchant_id, trigger_id, name, orjson.dumps(mapping).decode(), state
            )
        if found is None:
            raise NotFound("No such object.")

    async def delete(self, merchant_id: int, trigger_id: int) -> None:
        async with self._database.transaction(merchant_id) as connection:
            if await connection.fetchval(_SQL["delete_trigger"], merchant_id, trigger_id) is None:
                raise NotFound("No such object.")

    async def rotate(
        self,
        merchant_id: int,
        trigger_id: int,
        *,
        before: bytes,
        secret: bytes,
        previous_secret: bytes,
        previous_until: datetime,
    ) -> bool:
        """Return whether the sealed secret still was `before` and is replaced now."""
        async with self._database.transaction(merchant_id) as connection:
            found = await connection.fetchval(
                _SQL["rotate_trigger_secret"],
                merchant_id,
                trigger_id,
                secret,
                previous_secret,
                previous_until,
                before,
            )
        return found is not None

    async def answer(self, merchant_id: int, trigger_id: int, webhook_id: str) -> TriggerAnswer | None:
        """Return what this webhook-id was answered before."""
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["trigger_answer"], merchant_id, trigger_id, webhook_id)
        return None if row is None else TriggerAnswer(*row)

    async def accept(self, acceptance: TriggerAcceptance) -> bool:
        """
        Write the webhook-id, the offer, the campaign and its chunks, or nothing.

        Return False when a twin of the same webhook-id was first; its answer is the answer.

        Raises:
            Conflict: code `external_id_taken`.
            DomainError: code `audience_empty`.
        """
        offer, campaign, answer = acceptance.offer, acceptance.campaign, acceptance.answer
        merchant_id = campaign.merchant_id
        try:
            async with self._database.transaction(merchant_id) as connection:
                first = await connection.fetchval(
                    _SQL["insert_trigger_event"], merchant_id, acceptance.trigger_id, acceptance.webhook_id,
                    answer.body_sha256, answer.status, answer.answer, campaign.campaign_id, acceptance.at,
                )  # fmt: skip
                if first is None:
                    return False
                await insert_offer(connection, offer)
                await insert_campaign(connection, campaign)
                if await write_chunks(connection, merchant_id, campaign.campaign_id, campaign.audience) == 0:
                    raise DomainError("nobody of the audience is subscribed", code="audience_empty")
        except StoreError as exc:
            raise taken(exc, offer.external_id) from exc
        return True


def _record(row: asyncpg.Record) -> TriggerRecord:
    return TriggerRecord(
        merchant_id=row["merchant_id"],
        trigger_id=row["trigger_id"],
        name=row["name"],
        mapping=orjson.loads(row["mapping"]),
        secret=row["secret"],
        previous_secret=row["previous_secret"],
        previous_until=row["previous_until"],
        state=row["state"],
        created_at=row["created_at"],
    )
