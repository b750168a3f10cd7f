"""Triggers: the shop's own webhook that starts a campaign, and what each of them was answered."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg
import orjson

from smsgate.errors import Conflict, DomainError, NotFound, StoreError
from smsgate.flows.commerce_records import (
    FoundTrigger,
    KnownPerson,
    MerchantProfile,
    Page,
    PageAsk,
    TriggerAcceptance,
    TriggerAnswer,
    TriggerRecord,
    Webhook,
    WebhookFate,
)
from smsgate.store.array_octets import ids_text, texts_text
from smsgate.store.campaigns import start_campaigns
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.gathering import Gathered
from smsgate.store.offers import insert_offers, taken
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database

_SQL: Final = load("triggers")


class PgTriggers:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: Gathered[int, FoundTrigger | None] = Gathered(self._find)
        self._taken: Gathered[Webhook, WebhookFate] = Gathered(self._take)

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
            raise NotFound
        return _record(row)

    async def find(self, trigger_id: int) -> FoundTrigger | None:
        return await self._found.ask(None, trigger_id)

    async def _find(self, _: Hashable, trigger_ids: Sequence[int]) -> list[FoundTrigger | None]:
        """Find triggers for all who ask at once; those of one trigger get one record."""
        async with self._database.bulk() as connection:
            rows = await connection.fetch(_SQL["triggers_anywhere"], list(set(trigger_ids)))
        found = {row[1]: _found(row) for row in rows}
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
            raise NotFound

    async def delete(self, merchant_id: int, trigger_id: int) -> None:
        async with self._database.transaction(merchant_id) as connection:
            if await connection.fetchval(_SQL["delete_trigger"], merchant_id, trigger_id) is None:
                raise NotFound

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

    async def receive(self, merchant_id: int, webhook: Webhook) -> WebhookFate:
        """
        Judge a webhook and write what it starts, in one transaction with those that come at the same time.

        Raises:
            Conflict: code `external_id_taken`.
            DomainError: code `audience_empty`.
        """
        try:
            return await self._taken.ask(merchant_id, webhook)
        except StoreError as exc:
            raise taken(exc, webhook.external_id) from exc

    async def _take(self, merchant_id: Hashable, group: Sequence[Webhook]) -> list[WebhookFate]:
        """Take what came at once; who is refused alone refuses nobody else."""
        assert isinstance(merchant_id, int)
        async with self._database.transaction(merchant_id) as connection:
            fates, accepted = await _judged(connection, merchant_id, group)
            written = await _write(connection, merchant_id, list(accepted.values())) if accepted else set()
            for place, each in accepted.items():
                if each.campaign.campaign_id in written:
                    fates[place] = WebhookFate(each.answer, is_new=True)
            # Whatever was said of it now: a webhook that was answered before is answered so again.
            old = {place: webhook for place, webhook in enumerate(group) if fates[place].is_open}
            answers = await _answers(connection, merchant_id, list(old.values())) if old else {}
        for place, webhook in old.items():
            if (answer := answers.get((webhook.trigger_id, webhook.webhook_id))) is not None:
                fates[place] = WebhookFate(answer)
        return fates


async def _judged(
    connection: Connection, merchant_id: int, group: Sequence[Webhook]
) -> tuple[list[WebhookFate], dict[int, TriggerAcceptance]]:
    """Return the fates as far as they are decided without writing, and by place what is to be written."""
    rows = await connection.fetch(
        _SQL["webhook_triggers"], merchant_id, list({webhook.trigger_id for webhook in group})
    )
    found = {row[1]: _found(row) for row in rows}
    msisdns = list({msisdn for webhook in group for msisdn in webhook.msisdns})
    people = await connection.fetch(_SQL["webhook_people"], merchant_id, ids_text(msisdns)) if msisdns else []
    known = {row[0]: KnownPerson(*row[1:]) for row in people}
    fates: list[WebhookFate] = []
    accepted: dict[int, TriggerAcceptance] = {}
    # Most of a group were let in by the same few triggers of memory: each of these is compared once.
    let_in_by = {id(webhook.found): webhook.found for webhook in group}
    outdated = {key for key, each in let_in_by.items() if found.get(each.trigger.trigger_id) != each}
    for place, webhook in enumerate(group):
        fate = WebhookFate()
        if id(webhook.found) in outdated:
            fate = WebhookFate(is_outdated=True)
        else:
            try:
                acceptance = webhook.judge(known)
            except DomainError as exc:
                fate = WebhookFate(refusal=exc)
            else:
                if acceptance is not None:
                    accepted[place] = acceptance
        fates.append(fate)
    return fates, accepted


async def _answers(
    connection: Connection, merchant_id: int, webhooks: Sequence[Webhook]
) -> dict[tuple[int, str], TriggerAnswer]:
    rows = await connection.fetch(
        _SQL["trigger_answers"], merchant_id, ids_text([webhook.trigger_id for webhook in webhooks]),
        texts_text([webhook.webhook_id for webhook in webhooks]),
    )  # fmt: skip
    return {(row[0], row[1]): TriggerAnswer(*row[2:]) for row in rows}


async def _write(connection: Connection, merchant_id: int, accepted: Sequence[TriggerAcceptance]) -> set[int]:
    """Write webhook-ids, offers, campaigns and chunks; return the campaigns, of which twins have none."""
    ordered = sorted(accepted, key=lambda each: (each.trigger_id, each.webhook_id))
    rows = await connection.fetch(
        _SQL["insert_trigger_events"], merchant_id, ids_text([each.trigger_id for each in ordered]),
        texts_text([each.webhook_id for each in ordered]), [each.answer.body_sha256 for each in ordered],
        ids_text([each.answer.status for each in ordered]), [each.answer.answer for each in ordered],
        ids_text([each.campaign.campaign_id for each in ordered]), [each.at for each in ordered],
    )  # fmt: skip
    written = {row["campaign_id"] for row in rows}
    new = [each for each in accepted if each.campaign.campaign_id in written]
    if new:
        await insert_offers(connection, merchant_id, [each.offer for each in new])
        await start_campaigns(connection, merchant_id, [each.campaign for each in new])
    return written


def _found(row: asyncpg.Record) -> FoundTrigger:
    return FoundTrigger(_record(row), MerchantProfile(*row[9:]))


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
