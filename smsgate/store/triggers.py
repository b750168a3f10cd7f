"""Triggers: the shop's own webhook that starts a campaign, and what each of them was answered."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg
import orjson

from smsgate.errors import Conflict, NotFound, StoreError
from smsgate.flows.commerce_records import (
    FoundTrigger,
    KnownPerson,
    MerchantProfile,
    Page,
    PageAsk,
    TriggerAcceptance,
    TriggerAnswer,
    TriggerRecord,
    WebhookFacts,
    WebhookLook,
)
from smsgate.store.campaigns import start_campaigns
from smsgate.store.catalogue import load
from smsgate.store.gathering import Gathered
from smsgate.store.offers import insert_offers, taken
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database

_SQL: Final = load("triggers")


class PgTriggers:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: Gathered[int, FoundTrigger | None] = Gathered(self._find)
        self._looks: Gathered[WebhookLook, WebhookFacts] = Gathered(self._look)
        self._accepted: Gathered[TriggerAcceptance, bool] = Gathered(self._accept)

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

    async def find(self, trigger_id: int) -> FoundTrigger | None:
        return await self._found.ask(None, trigger_id)

    async def _find(self, _: Hashable, trigger_ids: Sequence[int]) -> list[FoundTrigger | None]:
        """Find triggers for all who ask at once; those of one trigger get one record."""
        async with self._database.bulk() as connection:
            rows = await connection.fetch(_SQL["triggers_anywhere"], list(set(trigger_ids)))
        found = {row[1]: FoundTrigger(_record(row), MerchantProfile(*row[9:])) for row in rows}
        return [found.get(trigger_id) for trigger_id in trigger_ids]

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

    async def look(self, merchant_id: int, look: WebhookLook) -> WebhookFacts:
        return await self._looks.ask(merchant_id, look)

    async def _look(self, merchant_id: Hashable, looks: Sequence[WebhookLook]) -> list[WebhookFacts]:
        """Read for all webhooks of a merchant that come at once."""
        assert isinstance(merchant_id, int)
        msisdns = list({msisdn for look in looks for msisdn in look.msisdns})
        async with self._database.transaction(merchant_id) as connection:
            rows = await connection.fetch(
                _SQL["trigger_answers"], merchant_id, [look.trigger_id for look in looks],
                [look.webhook_id for look in looks],
            )  # fmt: skip
            people = await connection.fetch(_SQL["webhook_people"], merchant_id, msisdns) if msisdns else []
        answers = {(row[0], row[1]): TriggerAnswer(*row[2:]) for row in rows}
        known = {row[0]: KnownPerson(*row[1:]) for row in people}
        return [
            WebhookFacts(
                answers.get((look.trigger_id, look.webhook_id)),
                {msisdn: known[msisdn] for msisdn in look.msisdns if msisdn in known},
            )
            for look in looks
        ]

    async def accept(self, acceptance: TriggerAcceptance) -> bool:
        """
        Write the webhook-id, the offer, the campaign and its chunks, or nothing.

        Return False when a twin of the same webhook-id was first; its answer is the answer.

        Raises:
            Conflict: code `external_id_taken`.
            DomainError: code `audience_empty`.
        """
        try:
            return await self._accepted.ask(acceptance.campaign.merchant_id, acceptance)
        except StoreError as exc:
            raise taken(exc, acceptance.offer.external_id) from exc

    async def _accept(self, merchant_id: Hashable, group: Sequence[TriggerAcceptance]) -> list[bool]:
        """Accept what came at once in one transaction; who is refused alone refuses nobody else."""
        assert isinstance(merchant_id, int)
        ordered = sorted(group, key=lambda each: (each.trigger_id, each.webhook_id))
        async with self._database.transaction(merchant_id) as connection:
            rows = await connection.fetch(
                _SQL["insert_trigger_events"], merchant_id, [each.trigger_id for each in ordered],
                [each.webhook_id for each in ordered], [each.answer.body_sha256 for each in ordered],
                [each.answer.status for each in ordered], [each.answer.answer for each in ordered],
                [each.campaign.campaign_id for each in ordered], [each.at for each in ordered],
            )  # fmt: skip
            first = {row["campaign_id"] for row in rows}
            new = [each for each in group if each.campaign.campaign_id in first]
            if new:
                await insert_offers(connection, merchant_id, [each.offer for each in new])
                await start_campaigns(connection, merchant_id, [each.campaign for each in new])
        return [each.campaign.campaign_id in first for each in group]


def _record(row: asyncpg.Record) -> TriggerRecord:
    """Return the trigger that the first columns of a row are."""
    return TriggerRecord(
        merchant_id=row[0],
        trigger_id=row[1],
        name=row[2],
        mapping=orjson.loads(row[3]),
        secret=row[4],
        previous_secret=row[5],
        previous_until=row[6],
        state=row[7],
        created_at=row[8],
    )
