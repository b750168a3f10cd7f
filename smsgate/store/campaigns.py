"""Campaigns, their audiences and the chunks that they are sent in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import orjson

from smsgate.campaigns.campaign_states import CampaignState
from smsgate.campaigns.guard import GuardOverrides
from smsgate.campaigns.offer_states import Drop
from smsgate.campaigns.orders import OrderState
from smsgate.errors import DomainError, NotFound, StoreError, TransitionRefused
from smsgate.flows.audience import LOOK_S_MAX, PREFIX_DIGITS, Audience
from smsgate.flows.commerce_records import (
    AudienceGroup,
    CampaignRecord,
    Page,
    PageAsk,
)
from smsgate.store.array_octets import ids_text, numbers_text, texts_text
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.notices import publish_ended
from smsgate.store.offers import taken
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database

_SQL: Final = load("campaigns")
# States of an order that is, or will be, the person's: what was taken back is no purchase.
BOUGHT: Final = [
    OrderState.PLACED.value,
    OrderState.CONFIRMED.value,
    OrderState.FULFILLED.value,
    OrderState.DISPUTED.value,
]
CHUNK_SIZE: Final = (
    3_000  # subscribers: the unit of work, of recovery and of fairness; docs/performance.md says why so many
)

# A chunk names its people where fewer than one of so many of the merchant's is meant. To look one up by the
# key costs a claim some 2.5 times what the next one of a range does.
NAMED_BELOW: Final = 2


class PgCampaigns:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, record: CampaignRecord) -> None:
        """
        Write a draft.

        Raises:
            Conflict: code `external_id_taken`.
        """
        try:
            async with self._database.transaction(record.merchant_id) as connection:
                await insert_campaigns(connection, [record])
        except StoreError as exc:
            raise taken(exc, record.external_id) from exc

    async def get(self, merchant_id: int, campaign_id: int) -> CampaignRecord:
        async with self._database.reading(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["campaign"], merchant_id, campaign_id)
        if row is None:
            raise NotFound
        return _record(row)

    async def page(
        self, merchant_id: int, ask: PageAsk, state: str | None = None, external_id: str | None = None
    ) -> Page[CampaignRecord]:
        async with self._database.reading(merchant_id) as connection:
            rows, more = await page_rows(
                connection, _SQL["campaigns_page"], merchant_id, ask, state, external_id
            )
        return Page([_record(row) for row in rows], more)

    async def get_counted(
        self, merchant_id: int, campaign_id: int
    ) -> tuple[CampaignRecord, Mapping[str, int]]:
        async with self._database.reading(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["campaign"], merchant_id, campaign_id)
            rows = await connection.fetch(_SQL["campaign_counters"], merchant_id, campaign_id)
        if row is None:
            raise NotFound
        return _record(row), {counter["kind"]: counter["n"] for counter in rows}

    async def change_state(
        self, merchant_id: int, campaign_id: int, before: str, after: str, at: datetime
    ) -> bool:
        """Return whether the campaign was in `before` and is now in `after`."""
        async with self._database.transaction(merchant_id) as connection:
            return await _change_state(connection, merchant_id, campaign_id, before, after, at)

    async def set_guard(self, merchant_id: int, campaign_id: int, guard: GuardOverrides) -> bool:
        async with self._database.transaction(merchant_id) as connection:
            found = await connection.fetchval(_SQL["set_guard"], merchant_id, campaign_id, *_guard(guard))
        return found is not None

    async def guard_off(self, merchant_id: int, campaign_id: int) -> None:
        async with self._database.transaction(merchant_id) as connection:
            await connection.execute(_SQL["guard_off"], merchant_id, campaign_id)

    async def set_pace(self, merchant_id: int, campaign_id: int, per_minute: int | None) -> bool:
        async with self._database.transaction(merchant_id) as connection:
            found = await connection.fetchval(_SQL["set_pace"], merchant_id, campaign_id, per_minute)
        return found is not None

    async def start(
        self, merchant_id: int, campaign_id: int, version: int, audience: Audience, at: datetime
    ) -> int | None:
        """
        Return the number of recipients, chunks written.

        None, and nothing changed: it is no draft, or none of this version of its offer any more.

        Raises:
            TransitionRefused: code `offer_closed`; the offer was withdrawn, or has a newer version.
        """
        async with self._database.transaction(merchant_id) as connection:
            offer = await connection.fetchrow(_SQL["offer_to_start"], merchant_id, campaign_id)
            if offer is None or not offer["as_it_was"]:
                raise TransitionRefused(
                    "the offer was withdrawn, or has a newer version: make another campaign",
                    code="offer_closed",
                )
            if offer["offer_version"] != version or not await _change_state(
                connection, merchant_id, campaign_id, "draft", "sending", at
            ):
                return None
            return await write_chunks(connection, merchant_id, campaign_id, audience)

    async def audience_groups(self, merchant_id: int, audience: Audience) -> Sequence[AudienceGroup]:
        async with self._database.transaction(merchant_id) as connection:
            await _allow_long(connection)
            rows = await connection.fetch(
                _SQL["audience_groups"],
                *_meant(merchant_id, audience),
                PREFIX_DIGITS,
            )
        return [AudienceGroup(*row) for row in rows]

    async def sample_fields(self, merchant_id: int, audience: Audience) -> Mapping[str, object]:
        """Return the fields of one member of the audience; empty when there is none."""
        async with self._database.transaction(merchant_id) as connection:
            await _allow_long(connection)
            text = await connection.fetchval(_SQL["audience_sample"], *_meant(merchant_id, audience))
        fields: dict[str, Any] = orjson.loads(text) if text is not None else {}
        return fields

    async def subscribers_by_id(self, merchant_id: int, ids: Sequence[int]) -> set[int]:
        """Return those of `ids` that are this merchant's subscribers, whatever their consent."""
        async with self._database.transaction(merchant_id) as connection:
            rows = await connection.fetch(_SQL["subscribers_by_id"], merchant_id, ids)
        return {row["subscriber_id"] for row in rows}

    async def subscribers_by_msisdn(self, merchant_id: int, msisdns: Sequence[int]) -> Mapping[int, int]:
        async with self._database.transaction(merchant_id) as connection:
            rows = await connection.fetch(_SQL["subscribers_by_msisdn"], merchant_id, msisdns)
        return {row["msisdn"]: row["subscriber_id"] for row in rows}


async def insert_campaigns(
    connection: Connection, records: Sequence[CampaignRecord], recipients: Mapping[int, int] | None = None
) -> None:
    """Write campaigns of one merchant; `recipients` by campaign are counts newer than the records'."""
    people = [(recipients or {}).get(record.campaign_id, record.recipients) for record in records]
    audiences = [record.audience for record in records]
    guards = [_guard(record.guard) for record in records]
    await connection.execute(
        _SQL["insert_campaigns"], records[0].merchant_id, ids_text([r.campaign_id for r in records]),
        texts_text([record.external_id for record in records]), ids_text([r.offer_id for r in records]),
        ids_text([record.offer_version for record in records]), texts_text([r.state for r in records]),
        texts_text([None if a.tags is None else texts_text(a.tags) for a in audiences]),
        texts_text([_ids(audience.subscriber_ids) for audience in audiences]), ids_text(people),
        numbers_text([record.trigger_id for record in records]), [record.created_at for record in records],
        [record.started_at for record in records],
        numbers_text([record.messages_per_minute for record in records]),
        *map(numbers_text, zip(*guards, strict=True)),
        texts_text([orjson.dumps(dict(a.fields)).decode() if a.fields else None for a in audiences]),
        texts_text([_ids(audience.bought_any or None) for audience in audiences]),
        texts_text([_ids(audience.exclude_bought or None) for audience in audiences]),
    )  # fmt: skip


def _ids(ids: Sequence[int] | None) -> str | None:
    return None if ids is None else ids_text(ids)


async def start_campaigns(
    connection: Connection, merchant_id: int, records: Sequence[CampaignRecord]
) -> None:
    """
    Write campaigns of one merchant that begin to send at once, with their chunks.

    Raises:
        DomainError: code `audience_empty`; one of them has nobody.
    """
    listed = [record for record in records if record.audience.subscriber_ids is not None]
    people = [record.audience.subscriber_ids or () for record in listed]
    rows = await connection.fetch(
        _SQL["write_listed_chunks"], merchant_id, *_pairs(people, [record.campaign_id for record in listed])
    )
    sizes = {row["campaign_id"]: row["size"] for row in rows}
    for record in records:
        if record.audience.subscriber_ids is None:
            sizes[record.campaign_id] = await _write_chunks(
                connection, merchant_id, record.campaign_id, record.audience
            )
    if len(sizes) < len(records) or not all(sizes.values()):
        raise DomainError("nobody of the audience is subscribed", code="audience_empty")
    await insert_campaigns(connection, records, sizes)


def _pairs(lists: Sequence[Sequence[int]], keys: Sequence[int]) -> tuple[str, str]:
    """Return two columns: the key of a list, and each of its entries."""
    return (
        ids_text([key for key, entries in zip(keys, lists, strict=True) for _ in entries]),
        ids_text([entry for entries in lists for entry in entries]),
    )


async def write_chunks(connection: Connection, merchant_id: int, campaign_id: int, audience: Audience) -> int:
    """Cut the subscribed members of the audience into ranges, in one statement; return how many they are."""
    recipients = await _write_chunks(connection, merchant_id, campaign_id, audience)
    await connection.execute(_SQL["set_recipients"], merchant_id, campaign_id, recipients)
    return recipients


async def _write_chunks(
    connection: Connection, merchant_id: int, campaign_id: int, audience: Audience
) -> int:
    await _allow_long(connection)
    recipients: int = await connection.fetchval(
        _SQL["write_chunks"],
        *_meant(merchant_id, audience),
        campaign_id,
        CHUNK_SIZE,
        NAMED_BELOW,
    )
    return recipients


async def _allow_long(connection: Connection) -> None:
    """Let the transaction's statements take longer than this role's others (`pool.ROLE_SETTINGS`)."""
    await connection.execute(f"SET LOCAL statement_timeout = '{LOOK_S_MAX}s'")


async def _change_state(
    connection: Connection, merchant_id: int, campaign_id: int, before: str, after: str, at: datetime
) -> bool:
    changed = await connection.fetchval(
        _SQL["change_campaign_state"], merchant_id, campaign_id, before, after, at
    )
    if changed is not None and after == CampaignState.CANCELLED:
        await publish_ended(connection, merchant_id, campaign_id, Drop.CANCELLED)
    return changed is not None


def _meant(merchant_id: int, audience: Audience) -> tuple[object, ...]:
    """Return the arguments of `sql/parts/audience.sql`."""
    tags, ids = audience.tags, audience.subscriber_ids
    bought, not_bought = audience.bought_any, audience.exclude_bought
    return (
        merchant_id,
        None if tags is None else list(tags),
        None if ids is None else list(ids),
        orjson.dumps(dict(audience.fields)).decode() if audience.fields else None,
        list(bought) if bought else None,
        list(not_bought) if not_bought else None,
        BOUGHT,
    )


def _guard(guard: GuardOverrides) -> tuple[int | None, int | None, int | None]:
    return guard.first_sends, guard.stop_share, guard.failure_share


def _record(row: asyncpg.Record) -> CampaignRecord:
    tags, ids = row["audience_tags"], row["audience_ids"]
    return CampaignRecord(
        merchant_id=row["merchant_id"],
        campaign_id=row["campaign_id"],
        external_id=row["external_id"],
        offer_id=row["offer_id"],
        offer_version=row["offer_version"],
        state=row["state"],
        audience=Audience(
            None if tags is None else tuple(tags),
            None if ids is None else tuple(ids),
            fields=orjson.loads(row["audience_fields"] or "{}"),
            bought_any=tuple(row["audience_bought"] or ()),
            exclude_bought=tuple(row["audience_not_bought"] or ()),
        ),
        recipients=row["recipients"],
        trigger_id=row["trigger_id"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        messages_per_minute=row["messages_per_minute"],
        guard=GuardOverrides(row["guard_first_sends"], row["guard_stop_share"], row["guard_failure_share"]),
        guard_off=row["guard_off"],
        paused_reason=row["paused_reason"],
        shop_lost_at=row["shop_lost_at"],
        held=row["held"],
        cancelled_for=row["cancelled_for"],
    )
