"""
The bulk path's statements: claims of chunks and of system messages (implements
flows.ports.SendingStore).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import orjson

from smsgate.campaigns.rendering import field_names
from smsgate.flows.commerce_records import EventColumns
from smsgate.flows.ports import Ids
from smsgate.flows.records import (
    CampaignState,
    ChunkClaim,
    ChunkKey,
    Flush,
    InteractiveClaim,
    OfferVersion,
    Recovery,
)
from smsgate.ids import BLOCK_MAX
from smsgate.store import catalogue, flushing, recovery
from smsgate.store.connection import Connection
from smsgate.store.events import insert_events
from smsgate.store.pool import Database
from smsgate.store.unsent import add_counters, settle_unsent

SQL = catalogue.load("sending")

# A late answer still belongs to the offer it answers: its place is not given away before this is over.
LATE_ANSWER_GRACE: Final = timedelta(minutes=15)


class StoredSending:
    """Runs as sg_bulk: row-level security does not guard it, so every statement names its merchant."""

    def __init__(self, database: Database, ids: Ids, public_campaign: Callable[[int], str]) -> None:
        self._database = database
        self._ids = ids
        self._public_campaign = public_campaign

    async def campaign_states(self, known: Sequence[tuple[int, int]]) -> list[CampaignState]:
        async with self._database.bulk() as connection:
            rows = await connection.fetch(SQL["sending_states"])
            if known:
                rows += await connection.fetch(
                    SQL["known_states"],
                    [merchant_id for merchant_id, _ in known],
                    [campaign_id for _, campaign_id in known],
                )
        return [CampaignState(**dict(row)) for row in rows]

    async def claim_chunk(
        self, merchant_id: int, campaign_id: int, *, owner: int, allowance_step: int, now: datetime
    ) -> ChunkClaim | None:
        async with self._database.bulk_transaction() as connection:
            row = await connection.fetchrow(SQL["campaign_offer"], merchant_id, campaign_id)
            if row is None or row["state"] != "sending":
                return None
            chunk = await connection.fetchrow(SQL["take_chunk"], merchant_id, campaign_id, owner)
            if chunk is None:
                return None
            claim = _Claim(connection, self._ids, merchant_id, campaign_id, row, chunk, now)
            if chunk["message_id_base"] is None:
                return await claim.first(allowance_step)
            return await claim.again(allowance_step)

    async def release_chunks(self, chunks: Sequence[ChunkKey], *, owner: int) -> None:
        by_merchant: dict[int, list[ChunkKey]] = defaultdict(list)
        for chunk in chunks:
            by_merchant[chunk.merchant_id].append(chunk)
        async with self._database.bulk() as connection:
            for merchant_id, keys in by_merchant.items():
                await connection.execute(
                    SQL["release_chunks"],
                    merchant_id,
                    [key.campaign_id for key in keys],
                    [key.chunk_no for key in keys],
                    [key.fence for key in keys],
                    owner,
                )

    async def finish_campaigns(self, now: datetime) -> list[tuple[int, int]]:
        async with self._database.bulk() as connection:
            found = await connection.fetch(SQL["finishable"])
        finished = []
        for merchant_id, campaign_id in found:
            async with self._database.bulk_transaction() as connection:
                row = await connection.fetchrow(SQL["finish_campaign"], merchant_id, campaign_id, now)
                if row is None:
                    continue
                public_id = self._public_campaign(campaign_id)
                events = EventColumns()
                events.merchant_ids.append(merchant_id)
                events.event_ids.append(self._ids.next())
                events.types.append("campaign.finished")
                events.subjects.append(public_id)
                events.data.append(
                    orjson.dumps({"campaign": public_id, "recipients": row["recipients"]}).decode()
                )
                events.created_at.append(now)
                await insert_events(connection, events)
            finished.append((merchant_id, campaign_id))
        return finished

    async def claim_interactive(
        self, *, owner: int, limit: int, senders: Sequence[str], now: datetime
    ) -> list[InteractiveClaim]:
        claims: list[InteractiveClaim] = []
        async with self._database.bulk() as connection:
            merchants = [row["merchant_id"] for row in await connection.fetch(SQL["interactive_merchants"])]
            for turn, merchant_id in enumerate(merchants):
                share = -(-limit // (len(merchants) - turn))  # an even part of what is left
                if share <= 0:
                    break
                rows = await connection.fetch(
                    SQL["take_interactive"], merchant_id, owner, share, senders, now
                )
                if rows:
                    limit -= len(rows)
                    claims.append(_interactive(merchant_id, rows))
        return claims

    async def release_interactive(self, messages: Sequence[tuple[int, int]], *, owner: int) -> None:
        by_merchant: dict[int, list[int]] = defaultdict(list)
        for merchant_id, message_id in messages:
            by_merchant[merchant_id].append(message_id)
        async with self._database.bulk() as connection:
            for merchant_id, message_ids in by_merchant.items():
                await connection.execute(SQL["release_interactive"], merchant_id, message_ids, owner)

    async def release_forgotten(
        self, chunks: AbstractSet[ChunkKey], messages: AbstractSet[tuple[int, int]], *, owner: int
    ) -> tuple[int, int]:
        async with self._database.bulk() as connection:
            mine = await connection.fetch(SQL["chunks_of_owner"], owner)
            queued = await connection.fetch(SQL["interactive_of_owner"], owner)
        lost_chunks = [key for row in mine if (key := ChunkKey(*row)) not in chunks]
        lost_messages = [pair for row in queued if (pair := (row[0], row[1])) not in messages]
        await self.release_chunks(lost_chunks, owner=owner)
        await self.release_interactive(lost_messages, owner=owner)
        return len(lost_chunks), len(lost_messages)

    async def flush(self, flush: Flush, *, owner: int) -> set[ChunkKey]:
        return await flushing.commit(self._database, flush, owner=owner)

    async def resolve_unmatched(self, carrier_id: int, limit: int, now: datetime) -> int:
        return await recovery.resolve_unmatched(self._database, carrier_id, limit, now)

    async def recover(self, *, now: datetime) -> Recovery:
        return await recovery.recover(self._database, now)


class _Claim:
    """One claim in its transaction."""

    def __init__(
        self,
        connection: Connection,
        ids: Ids,
        merchant_id: int,
        campaign_id: int,
        campaign: asyncpg.Record,
        chunk: asyncpg.Record,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._ids = ids
        self._merchant_id = merchant_id
        self._campaign_id = campaign_id
        self._campaign = campaign
        self._chunk = chunk
        self._now = now
        self._names = field_names(campaign["text"])

    async def first(self, allowance_step: int) -> ChunkClaim:
        """Choose the recipients, open their offers, write their message rows: the durable intent to send."""
        merchant_id, chunk, campaign = self._merchant_id, self._chunk, self._campaign
        row = await self._connection.fetchrow(
            SQL["candidates"],
            merchant_id,
            chunk["subscriber_lo"],
            chunk["subscriber_hi"],
            campaign["audience_tags"],
            campaign["audience_ids"],
        )
        assert row is not None
        subscriber_ids, msisdns = list(row["subscriber_ids"]), list(row["msisdns"])
        count = len(msisdns)
        assert count <= BLOCK_MAX
        base = self._ids.block(max(count, 1))
        message_ids = list(range(base, base + count))
        fields = await self._fields(subscriber_ids) if self._names and count else None
        await self._insert_messages(message_ids, subscriber_ids, msisdns, fields)
        opened = await self._open(message_ids, subscriber_ids, msisdns)
        allowance = min(count, allowance_step)
        await self._connection.execute(
            SQL["set_chunk_messages"],
            merchant_id,
            self._campaign_id,
            chunk["no"],
            base,
            count,
            allowance,
            "claimed" if opened else "done",
        )
        counts = {"recipients": count}
        if len(opened) < count:
            closed = [message_id for message_id in message_ids if message_id not in opened]
            await self._connection.execute(
                SQL["insert_not_sent"], merchant_id, closed, "open_offer", self._now
            )
            counts["not_sent"] = len(closed)
            keep = [n for n, message_id in enumerate(message_ids) if message_id in opened]
            message_ids = [message_ids[n] for n in keep]
            msisdns = [msisdns[n] for n in keep]
            fields = None if fields is None else [fields[n] for n in keep]
        await add_counters(self._connection, merchant_id, self._campaign_id, counts)
        return self._result(base, count, allowance, message_ids, msisdns, fields)

    async def again(self, allowance_step: int) -> ChunkClaim:
        """Go on with a chunk that an earlier owner gave back: what has no outcome, less who left since."""
        chunk = self._chunk
        base, count = chunk["message_id_base"], chunk["message_count"]
        rows = await self._connection.fetch(SQL["unsettled_messages"], self._merchant_id, base, base + count)
        left = [row for row in rows if row["offers_state"] != "subscribed"]
        if left:
            await settle_unsent(
                self._connection, self._merchant_id, self._campaign_id, left, "stopped", self._now
            )
        rows = [row for row in rows if row["offers_state"] == "subscribed"]
        allowance = min(count, chunk["allowance"] + allowance_step)
        await self._connection.execute(
            SQL["set_chunk_messages"],
            self._merchant_id,
            self._campaign_id,
            chunk["no"],
            base,
            count,
            allowance,
            "claimed" if rows else "done",
        )
        fields = [list(row["fields"] or ()) for row in rows] if self._names else None
        return self._result(
            base,
            count,
            allowance,
            [row["message_id"] for row in rows],
            [row["msisdn"] for row in rows],
            fields,
        )

    def _result(
        self,
        base: int,
        count: int,
        allowance: int,
        message_ids: list[int],
        msisdns: list[int],
        fields: list[list[str]] | None,
    ) -> ChunkClaim:
        return ChunkClaim(
            merchant_id=self._merchant_id,
            campaign_id=self._campaign_id,
            chunk_no=self._chunk["no"],
            fence=self._chunk["fence"],
            offer=offer_of(self._merchant_id, self._campaign),
            message_id_base=base,
            message_count=count,
            allowance=allowance,
            message_ids=message_ids,
            msisdns=msisdns,
            fields=fields,
            field_names=self._names,
        )

    async def _fields(self, subscriber_ids: list[int]) -> list[list[str]]:
        rows = await self._connection.fetch(
            SQL["candidate_fields"], self._merchant_id, subscriber_ids, list(self._names)
        )
        by_id = {row["subscriber_id"]: list(row["fields"]) for row in rows}
        return [by_id[subscriber_id] for subscriber_id in subscriber_ids]

    async def _insert_messages(
        self,
        message_ids: list[int],
        subscriber_ids: list[int],
        msisdns: list[int],
        fields: list[list[str]] | None,
    ) -> None:
        head = (self._merchant_id, self._campaign_id, self._campaign["sender"])
        if fields is None:
            await self._connection.execute(
                SQL["insert_messages"], *head, message_ids, subscriber_ids, msisdns
            )
            return
        texts = [orjson.dumps(values).decode() for values in fields]
        await self._connection.execute(
            SQL["insert_personal_messages"], *head, message_ids, subscriber_ids, msisdns, texts
        )

    async def _open(self, message_ids: list[int], subscriber_ids: list[int], msisdns: list[int]) -> set[int]:
        campaign = self._campaign
        rows = await self._connection.fetch(
            SQL["open_offers"],
            msisdns,
            message_ids,
            subscriber_ids,
            campaign["sender"],
            self._merchant_id,
            self._campaign_id,
            campaign["offer_id"],
            campaign["offer_version"],
            campaign["expires_at"],
            self._now - LATE_ANSWER_GRACE,
        )
        return {row["message_id"] for row in rows}


def offer_of(merchant_id: int, row: asyncpg.Record) -> OfferVersion:
    """Return the offer version of a row that has the columns of offer_version."""
    return OfferVersion(
        merchant_id=merchant_id,
        offer_id=row["offer_id"],
        version=row["offer_version"],
        text=row["text"],
        shop_name=row["shop_name"],
        item=row["item"],
        unit_price_minor=row["unit_price_minor"],
        currency=row["currency"],
        quantity_max=row["quantity_max"],
        language=row["language"],
        country=row["country"],
        sender=row["sender"],
        expires_at=row["expires_at"],
    )


def _interactive(merchant_id: int, rows: Sequence[asyncpg.Record]) -> InteractiveClaim:
    return InteractiveClaim(
        merchant_id=merchant_id,
        message_ids=[row["message_id"] for row in rows],
        msisdns=[row["msisdn"] for row in rows],
        senders=[row["sender"] for row in rows],
        bodies=[row["body"] for row in rows],
        expires_at=[row["expires_at"] for row in rows],
    )
