"""
One claim in its transaction: chunks of one merchant's campaigns, whose recipients are chosen before anything
is written.

A full chunk comes alone. Small ones, as of campaigns that a shop's webhooks make, come
together, so that each statement and the commit are there for all of them.

Who must wait (hours, caps, another open offer) becomes a chunk of its own, taken by nobody before its time;
who would have to wait until the offer is nearly over is not sent to at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, repeat
from typing import Any, Final

import asyncpg

from smsgate.campaigns.rendering import field_names
from smsgate.flows.offers import LIFE_MIN
from smsgate.flows.ports import Ids, Split
from smsgate.flows.records import ChunkClaim, Hold, OfferVersion
from smsgate.store import catalogue
from smsgate.store.array_octets import text_octets
from smsgate.store.chunk_parts import Cut, Part, write_parts
from smsgate.store.connection import Connection, copy_binary
from smsgate.store.copy_rows import Kind, RowFormat
from smsgate.store.gates import Gate, Opening, in_groups
from smsgate.store.portability import ported_of
from smsgate.store.recipients import People, Taken, choose, senders_of
from smsgate.store.unsent import add_all_counters

SQL = catalogue.load("sending")

_MESSAGE: Final = RowFormat(
    message_id=Kind.INT8,
    subscriber_id=Kind.INT8,
    msisdn=Kind.INT8,
    fields=(Kind.ARRAY, None),
    sender=Kind.TEXT,
    merchant_id=Kind.INT8,
    campaign_id=Kind.INT8,
    kind=Kind.TEXT,
)


class ClaimedChunk:
    """A chunk on its way through a claim: its recipients, who of them must wait, and what becomes of it."""

    def __init__(self, campaign: asyncpg.Record, chunk: asyncpg.Record) -> None:
        self.campaign = campaign
        self.chunk = chunk
        self.campaign_id: int = campaign["campaign_id"]
        self.names = field_names(campaign["text"])
        self.last_at: datetime = campaign["expires_at"] - LIFE_MIN
        self.closes_at: datetime | None = None  # when the first of the open places closes
        self.people = People([], [], [], None)
        self.held: dict[int, Hold] = {}  # who must wait, by place in the columns
        self.sizes: list[int] = []  # of each group that goes now, in the order of the columns
        self.waiting: dict[Hold, list[int]] = {}
        self.base = 0  # the first message's id
        self.opened: dict[int, str] | None = None
        self.parts: list[Part] = []

    @property
    def budgeted(self) -> bool:
        """Return whether money has to be set aside before anything is written."""
        return bool(self.campaign["budgeted"])

    @property
    def paced(self) -> bool:
        return self.campaign["messages_per_minute"] is not None

    def free(self) -> Sequence[int]:
        """Return the places of those whom nothing holds, as far as is known."""
        count = len(self.people.msisdns)
        return [n for n in range(count) if n not in self.held] if self.held else range(count)

    def free_msisdns(self) -> list[int]:
        people = self.people
        return people.msisdns if not self.held else [people.msisdns[n] for n in self.free()]

    def message_ids(self) -> range:
        return range(self.base, self.base + len(self.people.msisdns))

    def arrange(self, split: Split | None, ported: Mapping[int, str], ids: Ids) -> None:
        """Put who goes together side by side, and give them ids: the messages of a part are contiguous."""
        groups = self._split(split, ported)
        self.waiting = in_groups(self.held)
        self.sizes = [len(group) for group in groups]
        if len(groups) > 1 or self.waiting:
            self.people = self.people.of(list(chain(*groups, *self.waiting.values())))
        self.base = ids.block(max(len(self.people.msisdns), 1))

    def _split(self, split: Split | None, ported: Mapping[int, str]) -> Sequence[Sequence[int]]:
        """Return who goes together now; one group at least."""
        free = self.free()
        found = None if split is None or not free else split(self.free_msisdns(), ported)
        if found is None:
            return [free]
        return found if not self.held else [[free[n] for n in group] for group in found]

    def opening(self) -> Opening:
        """Return who is to get the open offer."""
        free = sum(self.sizes)
        people = self.people
        return Opening(
            self.campaign, self.message_ids()[:free], people.subscriber_ids[:free], people.msisdns[:free]
        )

    def cut(self, wait_for_answer: Hold) -> None:
        """Make one part per carrier and sender number, and parts that wait."""
        self.parts = self._going(wait_for_answer)
        start = self.base + sum(self.sizes)
        for hold, members in self.waiting.items():
            self.parts.append(Part(start, len(members), hold=hold))
            start += len(members)

    def _going(self, wait_for_answer: Hold) -> list[Part]:
        """Return one part per carrier and sender number, and what waits for an answer to another offer."""
        main = self.campaign["sender"]
        parts: list[Part] = []
        others: list[Part] = []
        start = self.base
        for size in self.sizes:
            if self.opened is None:
                parts.append(Part(start, size))
            else:
                by_sender: dict[str, list[int]] = {main: []}
                for message_id in range(start, start + size):
                    by_sender.setdefault(self.opened.get(message_id, ""), []).append(message_id)
                for sender, members in by_sender.items():
                    hold = None if sender else wait_for_answer
                    target = parts if sender == main else others
                    target.append(Part(start, size, members, hold, sender))
            start += size
        return parts + others

    def allow(self, step: int) -> int:
        """Let what goes now be written, `step` messages in all at most; return how many that are."""
        going = [part for part in self.parts if part.hold is None and part.message_ids]
        if not going or self.paced or self.budgeted:
            return 0
        for part in going:
            part.allowance = min(part.count, step // len(going))
        return sum(part.allowance for part in going)

    def claim_of(self, part: Part, no: int, ported: dict[int, str]) -> ChunkClaim:
        """Return a part of the columns that begin with message `base`."""
        msisdns, fields = self.people.msisdns, self.people.fields
        if part.members is None:
            place = slice(part.base - self.base, part.base - self.base + part.count)
            own = None if fields is None else [column[place] for column in fields]
            return self.result(part, no, list(part.message_ids), msisdns[place], own, ported)
        places = [message_id - self.base for message_id in part.members]
        own = None if fields is None else [[column[n] for n in places] for column in fields]
        return self.result(part, no, part.members, [msisdns[n] for n in places], own, ported)

    def result(
        self,
        part: Part,
        no: int,
        message_ids: list[int],
        msisdns: list[int],
        fields: list[list[str]] | None,
        ported: dict[int, str],
    ) -> ChunkClaim:
        campaign, chunk = self.campaign, self.chunk
        offer = replace(offer_of(campaign["merchant_id"], campaign), tlvs=campaign["tlvs"])
        return ChunkClaim(
            merchant_id=campaign["merchant_id"],
            campaign_id=self.campaign_id,
            chunk_no=no,
            fence=chunk["fence"] if no == chunk["no"] else 1,
            offer=replace(offer, sender=part.sender) if part.sender else offer,
            message_id_base=part.base,
            message_count=part.count,
            allowance=part.allowance,
            message_ids=message_ids,
            msisdns=msisdns,
            fields=fields,
            field_names=self.names,
            weight=campaign["sending_weight"],
            paced=self.paced,
            budgeted=self.budgeted,
            ported=ported,
            closes_at=self.closes_at,
        )


class Claim:
    """One merchant's claim of chunks that nobody had yet."""

    def __init__(
        self, connection: Connection, ids: Ids, gate: Gate, merchant_id: int, owner: int, now: datetime
    ) -> None:
        self._connection = connection
        self._ids = ids
        self._gate = gate
        self._merchant_id = merchant_id
        self._owner = owner
        self._now = now

    async def first(
        self, taken: Sequence[Taken], allowance_step: int, splits: Mapping[int, Split]
    ) -> list[ChunkClaim]:
        """Choose the recipients, open their offers, write their message rows: the durable intent to send."""
        chunks = [ClaimedChunk(*each) for each in taken]
        for chunk, people in zip(chunks, await choose(self._connection, taken), strict=True):
            chunk.people = people
        claims: list[ChunkClaim] = []
        rounds = _apart(chunks)
        if len(rounds) > 1:
            # Whoever answers holds people before open offers: nobody is locked after the first offers.
            await self._gate.reluctant(list(chain.from_iterable(chunk.people.msisdns for chunk in chunks)))
        for some in rounds:
            found = await self._first(some, allowance_step, splits)
            allowance_step -= sum(claim.allowance for claim in found)
            claims += found
        return claims

    async def _first(
        self, chunks: Sequence[ClaimedChunk], allowance_step: int, splits: Mapping[int, Split]
    ) -> list[ChunkClaim]:
        """Claim chunks of which no two have a person in common."""
        # Before the gate, which lets one claim at a time go on.
        ported = await ported_of(
            self._connection, list(chain.from_iterable(chunk.people.msisdns for chunk in chunks))
        )
        await self._hold(chunks)
        for chunk in chunks:
            chunk.arrange(splits.get(chunk.campaign_id), ported, self._ids)
        await self._open(chunks)
        await self._insert_messages(chunks)
        wait = self._gate.wait_for_answer()
        for chunk in chunks:
            chunk.cut(wait)
        counts: dict[int, dict[str, int]] = {}
        cuts: list[Cut] = []
        claims: list[ChunkClaim] = []
        for chunk in chunks:
            allowance_step -= chunk.allow(allowance_step)
            dropped = 0
            for place, part in enumerate(chunk.parts):
                no = chunk.chunk["no"] if place == 0 else self._ids.next()
                if part.hold is None:
                    claims.append(chunk.claim_of(part, no, ported))
                dropped += await self._settle_late(chunk, part)
                cuts.append((chunk.chunk, no, part))
            counts[chunk.campaign_id] = {"recipients": len(chunk.people.msisdns)}
            if dropped:
                counts[chunk.campaign_id]["not_sent"] = dropped
        await write_parts(self._connection, cuts, self._owner)
        await add_all_counters(self._connection, self._merchant_id, counts)
        return claims

    async def _hold(self, chunks: Sequence[ClaimedChunk]) -> None:
        """Find who must wait: for the hours, a cap, or because of what they said."""
        for chunk in chunks:
            people = chunk.people
            chunk.held, chunk.closes_at = self._gate.by_hours(people.places, len(people.msisdns))
        reluctant = await self._gate.reluctant(
            list(chain.from_iterable(chunk.free_msisdns() for chunk in chunks))
        )
        if reluctant:
            _hold_also(chunks, reluctant)
        free = [chunk.free_msisdns() for chunk in chunks]
        capped = await self._gate.know(list(chain.from_iterable(free)))
        if capped:
            _hold_also(chunks, capped)

    async def _open(self, chunks: Sequence[ClaimedChunk]) -> None:
        """Open the offers, of campaigns with the same sender numbers together."""
        alike: dict[tuple[str, ...], list[ClaimedChunk]] = {}
        for chunk in chunks:
            alike.setdefault(tuple(senders_of(chunk.campaign)), []).append(chunk)
        for senders, some in alike.items():
            found = await self._gate.open(senders, [chunk.opening() for chunk in some])
            for chunk, opened in zip(some, found, strict=True):
                chunk.opened = opened

    async def _settle_late(self, chunk: ClaimedChunk, part: Part) -> int:
        """Settle a part that would wait until the offer is nearly over; return how many these were."""
        if part.hold is None or part.hold.until <= chunk.last_at:
            return 0
        late, reason = list(part.message_ids), part.hold.reason
        part.hold, part.members = None, []
        await self._connection.execute(SQL["insert_not_sent"], self._merchant_id, late, reason, self._now)
        return len(late)

    async def _insert_messages(self, chunks: Sequence[ClaimedChunk]) -> None:
        chunks = [chunk for chunk in chunks if chunk.people.msisdns]
        if chunks:
            data = _MESSAGE.pack(*_message_columns(chunks), self._merchant_id, _campaigns(chunks), "offer")
            await copy_binary(self._connection, "message", _MESSAGE.columns, data)


def _message_columns(chunks: Sequence[ClaimedChunk]) -> list[Sequence[object] | None]:
    """Return the columns of the messages' rows up to the sender, a value where all have the same."""
    people = [chunk.people for chunk in chunks]
    fields: list[bytes | None] | None = None
    if any(own.fields is not None for own in people):
        fields = [
            octets
            for own in people
            for octets in (repeat(None, len(own.msisdns)) if own.fields is None else text_octets(own.fields))
        ]
    senders: str | list[str] = chunks[0].campaign["sender"]
    if len(chunks) > 1 or chunks[0].opened is not None:
        senders = [
            (chunk.opened or {}).get(message_id, chunk.campaign["sender"])
            for chunk in chunks
            for message_id in chunk.message_ids()
        ]
    return [
        list(chain.from_iterable(chunk.message_ids() for chunk in chunks)),
        list(chain.from_iterable(own.subscriber_ids for own in people)),
        list(chain.from_iterable(own.msisdns for own in people)),
        fields,
        senders,
    ]


def _campaigns(chunks: Sequence[ClaimedChunk]) -> int | list[int]:
    if len(chunks) == 1:
        return chunks[0].campaign_id
    return [chunk.campaign_id for chunk in chunks for _ in chunk.people.msisdns]


def _apart(chunks: Sequence[ClaimedChunk]) -> list[list[ClaimedChunk]]:
    """Return the chunks in groups of which nobody is in two chunks: a statement meets each person once."""
    groups: list[tuple[set[int], list[ClaimedChunk]]] = []
    for chunk in chunks:
        msisdns = chunk.people.msisdns
        for seen, members in groups:
            if seen.isdisjoint(msisdns):
                seen.update(msisdns)
                members.append(chunk)
                break
        else:
            groups.append((set(msisdns), [chunk]))
    return [members for _, members in groups]


def offer_of(merchant_id: int, row: asyncpg.Record | dict[str, Any]) -> OfferVersion:
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


def _hold_also(chunks: Sequence[ClaimedChunk], held: Mapping[int, Hold]) -> None:
    """Have whom `held` names by number wait, unless something else holds them."""
    for chunk in chunks:
        msisdns = chunk.people.msisdns
        chunk.held |= {n: held[msisdns[n]] for n in chunk.free() if msisdns[n] in held}
