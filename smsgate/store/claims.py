"""
One claim of a chunk, in its transaction: recipients chosen before anything is written.

Who must wait (hours, caps, another open offer) becomes a chunk of its own, taken by nobody before its time;
who would have to wait until the offer is nearly over is not sent to at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Final, NamedTuple

import asyncpg

from smsgate.campaigns.rendering import field_names
from smsgate.flows.offers import LIFE_MIN
from smsgate.flows.ports import Ids, MarketingGates, Split
from smsgate.flows.records import ChunkClaim, Hold, OfferVersion
from smsgate.store import catalogue
from smsgate.store.array_octets import text_octets
from smsgate.store.campaigns import BOUGHT, CHUNK_SIZE
from smsgate.store.chunk_parts import Part, insert_chunk, write_chunk
from smsgate.store.connection import Connection, copy_binary
from smsgate.store.copy_rows import Kind, RowFormat
from smsgate.store.gates import Gate, in_groups
from smsgate.store.portability import ported_of
from smsgate.store.unsent import add_counters

SQL = catalogue.load("sending")

# A chunk whose range came to hold more people than a chunk may (tags given since the start) is cut; the rest
# gets a number of its own: this many chunks are more than the gateway has subscribers for.
REST_NO_STEP: Final = 10_000_000

_MESSAGE: Final = RowFormat(
    repeated=4,
    message_id=Kind.INT8,
    subscriber_id=Kind.INT8,
    msisdn=Kind.INT8,
    fields=(Kind.ARRAY, None),
    sender=Kind.TEXT,
    merchant_id=Kind.INT8,
    campaign_id=Kind.INT8,
    kind=Kind.TEXT,
)


class _People(NamedTuple):
    """The recipients of a chunk as columns; `places` has one entry when all are at one place."""

    subscriber_ids: list[int]
    msisdns: list[int]
    places: list[str]
    fields: list[list[str]] | None  # the values of the text's fields; None: it has none

    def of(self, order: Sequence[int]) -> _People:
        return _People(
            [self.subscriber_ids[n] for n in order],
            [self.msisdns[n] for n in order],
            self.places,
            None if self.fields is None else [self.fields[n] for n in order],
        )


class Claim:
    """One claim in its transaction; of a chunk that nobody had yet."""

    def __init__(
        self,
        connection: Connection,
        ids: Ids,
        gates: MarketingGates,
        campaign: asyncpg.Record,
        chunk: asyncpg.Record,
        owner: int,
        now: datetime,
        *,
        careful: bool,
    ) -> None:
        self._connection = connection
        self._ids = ids
        self._merchant_id: int = campaign["merchant_id"]
        self._campaign_id: int = campaign["campaign_id"]
        self._campaign = campaign
        self._chunk = chunk
        self._owner = owner
        self._now = now
        self._names = field_names(campaign["text"])
        self._gate = Gate(connection, gates, campaign, now, careful=careful)
        self._last_at: datetime = campaign["expires_at"] - LIFE_MIN

    async def first(self, allowance_step: int, split: Split | None) -> list[ChunkClaim]:
        """Choose the recipients, open their offers, write their message rows: the durable intent to send."""
        people = await self._choose()
        count = len(people.msisdns)
        held = await self._held(people)
        ported = await ported_of(self._connection, people.msisdns)
        groups = self._split(split, people.msisdns, held, ported)
        waiting = in_groups(held)
        if len(groups) > 1 or waiting:  # the messages of a part are contiguous
            people = people.of(list(chain(*groups, *waiting.values())))
        base = self._ids.block(max(count, 1))
        message_ids = list(range(base, base + count))
        free = count - len(held)
        opened = await self._gate.open(
            self._senders(), message_ids[:free], people.subscriber_ids[:free], people.msisdns[:free]
        )
        await self._insert_messages(message_ids, people, opened)
        parts = self._parts(base, [len(group) for group in groups], opened)
        start = base + free
        for hold, members in waiting.items():
            parts.append(Part(start, len(members), hold=hold))
            start += len(members)
        await self._gate.uncount([people.msisdns[n - base] for n in _waiting_for_answers(parts)])
        dropped, claims = 0, []
        step = allowance_step // sum(part.hold is None for part in parts)
        for place, part in enumerate(parts):
            goes = part.hold is None
            dropped += await self._settle_late(part)
            if goes:
                part.allowance = min(part.count, step)
            no = await self._write(part, first=place == 0)
            if goes:
                claims.append(self._claim_of(part, no, base, people.msisdns, people.fields, ported))
        counts = {"recipients": count} | ({"not_sent": dropped} if dropped else {})
        await add_counters(self._connection, self._merchant_id, self._campaign_id, counts)
        return claims

    async def _held(self, people: _People) -> dict[int, Hold]:
        """Return who must wait, by place in the columns."""
        count = len(people.msisdns)
        held = self._gate.by_hours(people.places, count)
        if len(held) < count:
            free = [n for n in range(count) if n not in held] if held else range(count)
            capped = await self._gate.by_caps(
                people.msisdns if not held else [people.msisdns[n] for n in free]
            )
            if capped:
                held |= {n: capped[people.msisdns[n]] for n in free if people.msisdns[n] in capped}
        return held

    def _split(
        self, split: Split | None, msisdns: list[int], held: Mapping[int, Hold], ported: Mapping[int, str]
    ) -> Sequence[Sequence[int]]:
        """Return who goes together now; one group at least."""
        free = range(len(msisdns)) if not held else [n for n in range(len(msisdns)) if n not in held]
        if split is None or not free:
            return [free]
        found = split(msisdns if not held else [msisdns[n] for n in free], ported)
        if found is None:
            return [free]
        return found if not held else [[free[n] for n in group] for group in found]

    def _senders(self) -> list[str]:
        """Return the numbers that the offer may go out by, in the order in which they are tried."""
        return list(dict.fromkeys([self._campaign["sender"], *self._campaign["sender_pool"]]))

    def _parts(self, base: int, sizes: Sequence[int], opened: Mapping[int, str] | None) -> list[Part]:
        """Return one part per carrier and sender number, and what waits for an answer to another offer."""
        parts: list[Part] = []
        others: list[Part] = []
        start = base
        for size in sizes:
            if opened is None:
                parts.append(Part(start, size))
            else:
                by_sender: dict[str, list[int]] = {self._campaign["sender"]: []}
                for message_id in range(start, start + size):
                    by_sender.setdefault(opened.get(message_id, ""), []).append(message_id)
                for sender, members in by_sender.items():
                    hold = None if sender else self._gate.wait_for_answer()
                    target = parts if sender == self._campaign["sender"] else others
                    target.append(Part(start, size, members, hold, sender))
            start += size
        return parts + others

    async def _settle_late(self, part: Part) -> int:
        """Settle a part that would wait until the offer is nearly over; return how many these were."""
        if part.hold is None or part.hold.until <= self._last_at:
            return 0
        late, reason = list(part.message_ids), part.hold.reason
        part.hold, part.members = None, []
        await self._connection.execute(SQL["insert_not_sent"], self._merchant_id, late, reason, self._now)
        return len(late)

    async def _write(self, part: Part, *, first: bool) -> int:
        """Write a part, as the chunk itself or as one of its own; return its number."""
        if first:
            await write_chunk(self._connection, self._chunk, part, self._owner)
            no: int = self._chunk["no"]
            return no
        no = self._ids.next()
        await insert_chunk(self._connection, self._chunk, no, part, self._owner)
        return no

    async def _choose(self) -> _People:
        """Return the recipients of one chunk; who is too many becomes the next one."""
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
            self._senders(),
            campaign["country"],
            campaign["audience_fields"],
            campaign["audience_bought"],
            campaign["audience_not_bought"],
            BOUGHT,
            list(self._names),
        )
        assert row is not None
        people = _People(row["subscriber_ids"], row["msisdns"], row["places"], row["fields"])
        if len(people.msisdns) <= CHUNK_SIZE:
            return people
        last = people.subscriber_ids[CHUNK_SIZE - 1]
        head, no = (self._merchant_id, self._campaign_id), chunk["no"]
        await self._connection.execute(SQL["shorten_chunk"], *head, no, last, CHUNK_SIZE)
        rest = (no + REST_NO_STEP, last + 1, chunk["subscriber_hi"], CHUNK_SIZE)
        await self._connection.execute(SQL["insert_rest_chunk"], *head, *rest)
        return people.of(range(CHUNK_SIZE))._replace(places=people.places[:CHUNK_SIZE])

    def _claim_of(
        self,
        part: Part,
        no: int,
        base: int,
        msisdns: list[int],
        fields: list[list[str]] | None,
        ported: dict[int, str],
    ) -> ChunkClaim:
        """Return a part of the columns that begin with message `base`."""
        if part.members is None:
            place = slice(part.base - base, part.base - base + part.count)
            own = None if fields is None else fields[place]
            return self._result(part, no, list(part.message_ids), msisdns[place], own, ported)
        places = [message_id - base for message_id in part.members]
        own = None if fields is None else [fields[n] for n in places]
        return self._result(part, no, part.members, [msisdns[n] for n in places], own, ported)

    def _result(
        self,
        part: Part,
        no: int,
        message_ids: list[int],
        msisdns: list[int],
        fields: list[list[str]] | None,
        ported: dict[int, str],
    ) -> ChunkClaim:
        offer = replace(offer_of(self._merchant_id, self._campaign), tlvs=self._campaign["tlvs"])
        return ChunkClaim(
            merchant_id=self._merchant_id,
            campaign_id=self._campaign_id,
            chunk_no=no,
            fence=self._chunk["fence"] if no == self._chunk["no"] else 1,
            offer=replace(offer, sender=part.sender) if part.sender else offer,
            message_id_base=part.base,
            message_count=part.count,
            allowance=part.allowance,
            message_ids=message_ids,
            msisdns=msisdns,
            fields=fields,
            field_names=self._names,
            weight=self._campaign["sending_weight"],
            paced=self._campaign["messages_per_minute"] is not None,
            ported=ported,
            closes_at=self._gate.closes_at,
        )

    async def _insert_messages(
        self,
        message_ids: list[int],
        people: _People,
        opened: Mapping[int, str] | None,
    ) -> None:
        if not message_ids:
            return
        fields = None if people.fields is None else text_octets(people.fields)
        main: str = self._campaign["sender"]
        senders: list[str] | str = main
        if opened is not None:
            senders = [opened.get(message_id, main) for message_id in message_ids]
        data = _MESSAGE.pack(
            message_ids,
            people.subscriber_ids,
            people.msisdns,
            fields,
            senders,
            self._merchant_id,
            self._campaign_id,
            "offer",
        )
        await copy_binary(self._connection, "message", _MESSAGE.columns, data)


def _waiting_for_answers(parts: Iterable[Part]) -> list[int]:
    """Return the messages that wait because another offer is open."""
    waiting = [part for part in parts if part.hold is not None and part.hold.reason == "open_offer"]
    return list(chain.from_iterable(part.message_ids for part in waiting))


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
