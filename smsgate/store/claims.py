"""One claim of a chunk, in its transaction: recipients chosen, or found again, before anything is written."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import chain
from typing import Final

import asyncpg
import orjson
import structlog

from smsgate.campaigns.rendering import field_names
from smsgate.flows.ports import Ids, Split
from smsgate.flows.records import ChunkClaim, OfferVersion
from smsgate.store import catalogue, partitions
from smsgate.store.campaigns import CHUNK_SIZE
from smsgate.store.connection import Connection
from smsgate.store.portability import ported_of
from smsgate.store.unsent import add_counters, settle_unsent

log = structlog.get_logger(__name__)

SQL = catalogue.load("sending")

# A chunk whose range came to hold more people than a chunk may (tags given since the start) is cut; the rest
# gets a number of its own: this many chunks are more than the gateway has subscribers for.
REST_NO_STEP: Final = 10_000_000
# A chunk whose people go to several carriers becomes one chunk per carrier; numbers of the others start here.
PART_NO_STEP: Final = 1 << 40

# A late answer still belongs to the offer it answers: its place is not given away before this is over.
LATE_ANSWER_GRACE: Final = timedelta(minutes=15)


class Claim:
    """One claim in its transaction."""

    def __init__(
        self,
        connection: Connection,
        ids: Ids,
        merchant_id: int,
        campaign_id: int,
        campaign: asyncpg.Record,
        chunk: asyncpg.Record,
        owner: int,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._ids = ids
        self._merchant_id = merchant_id
        self._campaign_id = campaign_id
        self._campaign = campaign
        self._chunk = chunk
        self._owner = owner
        self._now = now
        self._names = field_names(campaign["text"])

    async def first(self, allowance_step: int, split: Split | None) -> list[ChunkClaim]:
        """Choose the recipients, open their offers, write their message rows: the durable intent to send."""
        subscriber_ids, msisdns = await self._choose()
        ported = await ported_of(self._connection, msisdns)
        groups = (split(msisdns, ported) if split is not None else None) or [list(range(len(msisdns)))]
        if len(groups) > 1:  # the messages of a part are contiguous
            order = list(chain.from_iterable(groups))
            subscriber_ids = [subscriber_ids[place] for place in order]
            msisdns = [msisdns[place] for place in order]
        count = len(msisdns)
        base = self._ids.block(max(count, 1))
        message_ids = list(range(base, base + count))
        fields = await self._fields(subscriber_ids) if self._names and count else None
        await self._insert_messages(message_ids, subscriber_ids, msisdns, fields)
        opened = await self._open(message_ids, subscriber_ids, msisdns)
        closed = [message_id for message_id in message_ids if message_id not in opened]
        if closed:
            await self._connection.execute(
                SQL["insert_not_sent"], self._merchant_id, closed, "open_offer", self._now
            )
        counts = {"recipients": count} | ({"not_sent": len(closed)} if closed else {})
        claims: list[ChunkClaim] = []
        start, step = 0, allowance_step // len(groups)
        for part, group in enumerate(groups):
            end = start + len(group)
            keep = [n for n in range(start, end) if message_ids[n] in opened] if closed else range(start, end)
            claim = self._result(
                base + start,
                end - start,
                min(end - start, step),
                [message_ids[n] for n in keep],
                [msisdns[n] for n in keep],
                None if fields is None else [fields[n] for n in keep],
                ported,
            )
            claims.append(await self._part(part, claim))
            start = end
        await add_counters(self._connection, self._merchant_id, self._campaign_id, counts)
        return claims

    async def _part(self, part: int, claim: ChunkClaim) -> ChunkClaim:
        """Write what the claim holds: part 0 is the chunk itself, each other one a chunk of its own."""
        head = (self._merchant_id, self._campaign_id)
        messages = (claim.message_id_base, claim.message_count, claim.allowance)
        state = "claimed" if claim.message_ids else "done"
        if part == 0:
            await self._connection.execute(SQL["set_chunk_messages"], *head, claim.chunk_no, *messages, state)
            return claim
        claim.chunk_no, claim.fence = self._chunk["no"] + part * PART_NO_STEP, 1
        people = (self._chunk["subscriber_lo"], self._chunk["subscriber_hi"])
        await self._connection.execute(
            SQL["insert_part_chunk"], *head, claim.chunk_no, *people, *messages, state, self._owner
        )
        return claim

    async def _choose(self) -> tuple[list[int], list[int]]:
        """Return (subscriber ids, numbers) of one chunk; who is too many becomes the next one."""
        chunk, campaign = self._chunk, self._campaign
        row = await self._connection.fetchrow(
            SQL["candidates"],
            self._merchant_id,
            chunk["subscriber_lo"],
            chunk["subscriber_hi"],
            campaign["audience_tags"],
            campaign["audience_ids"],
            campaign["started_at"],
            CHUNK_SIZE + 1,
            campaign["sender"],
        )
        assert row is not None
        subscriber_ids, msisdns = list(row["subscriber_ids"]), list(row["msisdns"])
        if len(subscriber_ids) <= CHUNK_SIZE:
            return subscriber_ids, msisdns
        last = subscriber_ids[CHUNK_SIZE - 1]
        head, no = (self._merchant_id, self._campaign_id), chunk["no"]
        await self._connection.execute(SQL["shorten_chunk"], *head, no, last, CHUNK_SIZE)
        rest = (no + REST_NO_STEP, last + 1, chunk["subscriber_hi"], CHUNK_SIZE)
        await self._connection.execute(SQL["insert_rest_chunk"], *head, *rest)
        return subscriber_ids[:CHUNK_SIZE], msisdns[:CHUNK_SIZE]

    async def again(self, allowance_step: int) -> ChunkClaim:
        """Go on with a chunk that an earlier owner gave back: what has no outcome, less who left since."""
        chunk = self._chunk
        base, count = chunk["message_id_base"], chunk["message_count"]
        if base < await self._oldest_id():
            return await self._outlived()
        rows = await self._connection.fetch(SQL["unsettled_messages"], self._merchant_id, base, base + count)
        left = [row for row in rows if not row["agreed"]]
        if left:
            await settle_unsent(
                self._connection, self._merchant_id, self._campaign_id, left, "stopped", self._now
            )
        rows = [row for row in rows if row["agreed"]]
        # What has an outcome needs no allowance: the step counts from the first that has none.
        begun = rows[0]["message_id"] - base if rows else 0
        allowance = min(count, max(chunk["allowance"], begun) + allowance_step)
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
            await ported_of(self._connection, [row["msisdn"] for row in rows]),
        )

    async def _oldest_id(self) -> int:
        """Return the first id for which both messages and outcomes still have their partition."""
        names = [row["name"] for row in await self._connection.fetch(SQL["oldest_partitions"])]
        return max((partitions.first_id_of_name(name) for name in names), default=0)

    async def _outlived(self) -> ChunkClaim:
        """End a chunk whose messages are out of retention: who got one cannot be told any more."""
        chunk = self._chunk
        base, count, allowance = chunk["message_id_base"], chunk["message_count"], chunk["allowance"]
        await self._connection.execute(
            SQL["set_chunk_messages"],
            self._merchant_id,
            self._campaign_id,
            chunk["no"],
            base,
            count,
            allowance,
            "done",
        )
        log.warning(
            "chunk_outlived_its_messages",
            merchant_id=self._merchant_id,
            campaign_id=self._campaign_id,
            chunk_no=chunk["no"],
            messages=count,
        )
        return self._result(base, count, allowance, [], [], None, {})

    def _result(
        self,
        base: int,
        count: int,
        allowance: int,
        message_ids: list[int],
        msisdns: list[int],
        fields: list[list[str]] | None,
        ported: dict[int, str],
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
            weight=self._campaign["sending_weight"],
            paced=self._campaign["messages_per_minute"] is not None,
            ported=ported,
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
