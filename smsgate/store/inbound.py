"""One transaction for a group of MOs (implements flows.ports_inbound.InboundStore)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from smsgate.flows.inbound_records import (
    InboundContext,
    InboundWrites,
    Joined,
    OpenOffer,
    PartOctets,
    joined_text,
)
from smsgate.flows.mo_header import MoHeader
from smsgate.flows.records import MobileOriginated
from smsgate.ids import first_id_at
from smsgate.security.suppression import SuppressionHashes
from smsgate.store import catalogue
from smsgate.store.answer_counts import count_answers
from smsgate.store.connection import Connection
from smsgate.store.esme_mos import write_esmes
from smsgate.store.events import add_events
from smsgate.store.flushing import insert_postings
from smsgate.store.inbound_arrivals import Arrivals, arrivals
from smsgate.store.inbound_consents import add_consents, read_writers, write_consent_states
from smsgate.store.inbound_offers import AnsweredOffers
from smsgate.store.inbound_orders import add_orders, move_orders, stamped_orders
from smsgate.store.inbound_rows import add_replies
from smsgate.store.inbound_standing import lock_people, standing
from smsgate.store.join_keywords import add_subscribers, read_keywords
from smsgate.store.notices import publish_taken_back
from smsgate.store.order_stamps import OrderStamps
from smsgate.store.pool import Database
from smsgate.store.questions import put_questions
from smsgate.store.suppression import block, note_stops
from smsgate.store.system_messages import add_system_messages
from smsgate.store.together import Together

SQL = catalogue.load("inbound")
SENDING = catalogue.load("sending")


class StoredInbound:
    def __init__(
        self,
        database: Database,
        next_id: Callable[[], int],
        hashes: SuppressionHashes,
        stamps: OrderStamps,
    ) -> None:
        self._database = database
        self._next_id = next_id
        self._hashes = hashes
        self._stamps = stamps

    @asynccontextmanager
    async def group(self) -> AsyncIterator[StoredGroup]:
        """Open the transaction of one group; leaving it without an error commits."""
        async with self._database.bulk_transaction() as connection:
            yield StoredGroup(connection, self._next_id, self._hashes, self._stamps)

    async def carriers_of_parts(self) -> list[int]:
        async with self._database.bulk() as connection:
            return [row["carrier_id"] for row in await connection.fetch(SQL["carriers_of_parts"])]


class StoredGroup:
    def __init__(
        self,
        connection: Connection,
        next_id: Callable[[], int],
        hashes: SuppressionHashes,
        stamps: OrderStamps,
    ) -> None:
        self._connection = connection
        self._next_id = next_id
        self._hashes = hashes
        self._stamps = stamps
        self._offers = AnsweredOffers(connection)
        self._arrived = Arrivals()

    async def arrive(
        self, mos: Sequence[MobileOriginated], fingerprints: Sequence[bytes], process: str
    ) -> Arrivals:
        """Note what has come, and read whom it is from; without fingerprints nothing is noted."""
        self._arrived = await arrivals(self._connection, mos, fingerprints, process)
        return self._arrived

    async def add_part(self, mo: MobileOriginated) -> list[Joined]:
        """
        Keep one part of a long MO; return the texts that are ready for it: usually none, or the whole one.

        Other octets in the place of a part mean that the sender uses the reference again: the old text comes
        out as it stands.
        """
        self._arrived = Arrivals()  # who waited here for another process reads anew whom texts are from
        key = (mo.carrier_id, mo.sender, mo.destination, mo.ref, mo.total)
        ready: list[Joined] = []
        there = {row["part"]: row["raw"] for row in await self._connection.fetch(SQL["parts"], *key)}
        if there.get(mo.part, mo.raw) != mo.raw:
            ready.append(await self._take(*key))
            there = {}
        await self._connection.execute(
            SQL["add_part"], *key, mo.part, mo.msisdn, mo.received_at, mo.raw, mo.data_coding, mo.codec,
            *mo.header,
        )  # fmt: skip
        if there.keys() | {mo.part} == set(range(1, mo.total + 1)):
            ready.append(await self._take(*key))
        return ready

    async def take_parts(self, carrier_id: int, newest_before: datetime, skip: int) -> Joined | None:
        """Take one set of parts that is complete, or whose newest part is older; `skip` the oldest sets."""
        due = await self._connection.fetchrow(SQL["due_parts"], carrier_id, newest_before, skip)
        return None if due is None else await self._take(carrier_id, *due.values())

    async def _take(self, carrier_id: int, sender: str, destination: str, ref: int, total: int) -> Joined:
        """Take the parts that are there out of the table, as one MO."""
        rows = await self._connection.fetch(SQL["take_parts"], carrier_id, sender, destination, ref, total)
        parts = {row["part"]: PartOctets(row["raw"], row["codec"]) for row in rows}
        newest = max(rows, key=lambda row: row["received_at"])
        mo = MobileOriginated(
            carrier_id=carrier_id,
            msisdn=newest["source"],
            source=sender,
            destination=destination,
            text=joined_text(parts, total),
            raw=b"".join(parts[part].raw for part in sorted(parts)),
            data_coding=newest["data_coding"],
            received_at=newest["received_at"],
            codec=newest["codec"],
            header=_joined(sorted(rows, key=lambda row: row["part"])),
        )
        return Joined(mo, complete=parts.keys() == set(range(1, total + 1)))

    async def context(
        self,
        mos: Sequence[MobileOriginated],
        order_numbers: Sequence[tuple[int, str]],
        mentioning: Sequence[int],
        since: datetime,
        *,
        of_anybody: Sequence[MobileOriginated] = (),
        users: Mapping[str, Collection[str] | None] | None = None,
    ) -> InboundContext:
        """Read and lock what these MOs may concern."""
        msisdns = {mo.msisdn for mo in mos}
        if not msisdns <= self._arrived.msisdns:
            await self.arrive(mos, (), "")
        people = [each for each in self._arrived.people if each.msisdn in msisdns]
        held = await lock_people(self._connection, people)
        context, opened = await standing(self._connection, mos, people, held)
        context.ported = self._arrived.ported
        await read_writers(self._connection, self._hashes, context, of_anybody, users or {})
        await read_keywords(self._connection, self._hashes, context, of_anybody)
        known = sorted({each.merchant_id for each in people})
        named = await self._named(known, order_numbers)
        mine: dict[int, list[int]] = defaultdict(list)
        for each in people if mentioning else ():
            if each.msisdn in mentioning:
                mine[each.merchant_id].append(each.subscriber_id)
        named += await self._of_people(mine, since, {(row["msisdn"], row["number"]) for row in named})
        await self._answerable(context, opened, [dict(row) for row in named])
        return context

    async def _named(
        self, merchant_ids: Sequence[int], order_numbers: Sequence[tuple[int, str]]
    ) -> list[asyncpg.Record]:
        """Return the orders that texts may name; each only to the number that placed it."""
        rows: list[asyncpg.Record] = []
        for merchant_id in merchant_ids if order_numbers else ():
            rows += await self._connection.fetch(
                SQL["named_orders"],
                merchant_id,
                [msisdn for msisdn, _ in order_numbers],
                [number for _, number in order_numbers],
            )
        return rows

    async def _of_people(
        self,
        subscribers: Mapping[int, Sequence[int]],
        since: datetime,
        known: AbstractSet[tuple[int, str]],
    ) -> list[asyncpg.Record]:
        """Return the orders of these people, by merchant, that are not known yet."""
        oldest = first_id_at(int(since.timestamp() * 1000))
        rows: list[asyncpg.Record] = []
        for merchant_id, ids in sorted(subscribers.items()):
            rows += await self._connection.fetch(SQL["orders_of_people"], merchant_id, ids, oldest)
        return [row for row in rows if (row["msisdn"], row["number"]) not in known]

    async def _answerable(
        self, context: InboundContext, opened: Sequence[dict[str, Any]], named: Sequence[dict[str, Any]]
    ) -> None:
        """Lock the offers and orders that these open offers and named orders concern."""
        by_merchant: dict[int, list[int]] = defaultdict(list)
        messages: dict[int, list[int]] = defaultdict(list)
        for row in (*opened, *named):
            by_merchant[row["merchant_id"]].append(row["offer_id"])
            messages[row["merchant_id"]].append(row["message_id"])
        answered = self._offers
        for merchant_id in sorted(by_merchant):
            await answered.read(
                context,
                merchant_id,
                sorted(set(by_merchant[merchant_id])),
                list(dict.fromkeys(messages[merchant_id])),
            )
        offers = [
            OpenOffer(
                offer=answered.versions[row["merchant_id"], row["offer_id"], row["offer_version"]],
                campaign_id=row["campaign_id"],
                message_id=row["message_id"],
                subscriber_id=row["subscriber_id"],
                offer_live=answered.live[row["merchant_id"], row["offer_id"]],
            )
            for row in (*opened, *named)
        ]
        for row, offer in zip(opened, offers, strict=False):
            offer.answered_at = row["answered_at"]
            context.open_offers[row["msisdn"], row["sender"]] = offer
        for row, offer in zip(named, offers[len(opened) :], strict=True):
            for order in context.orders[row["merchant_id"], row["message_id"]]:
                if order.number == row["number"]:
                    context.named[row["msisdn"], row["number"]] = (offer, order)

    async def write(self, writes: InboundWrites) -> None:
        """
        Write everything that was decided; one row that the database refuses refuses the group.

        Raises:
            StoreUnavailable: 40001, an offer that was answered has ended meanwhile: decide again.
        """
        connection, ending = self._connection, Together()
        async with stamped_orders(connection, self._stamps, writes, ending):
            await self._write_about_orders(writes)
        await write_esmes(connection, writes.esmes, self._next_id)
        await count_answers(connection, writes.answers_read, writes.answers)
        await self._offers.hold(writes.ordered_from)
        if writes.counters:  # last, as flushes and claims do it
            keys = sorted(writes.counters)
            ending.write(
                SENDING["add_counters"],
                [key[0] for key in keys],
                [key[1] for key in keys],
                [key[2] for key in keys],
                [writes.counters[key] for key in keys],
            )
        await ending.run(connection)

    async def _write_about_orders(self, writes: InboundWrites) -> None:
        """Write what a stamp of an order may hold, and what is decided with it."""
        connection, rows = self._connection, Together()
        await add_subscribers(connection, self._hashes, writes.subscribers)
        add_replies(rows, writes)
        add_consents(rows, writes)
        add_orders(rows, writes)
        texts = add_system_messages(rows, writes.messages, writes.claim)
        add_events(rows, writes.events)
        await rows.run(connection)
        if writes.claim is not None:
            writes.claim.message_ids = {message_id for message_id, owner in texts.rows if owner is not None}
        await write_consent_states(connection, writes)
        await put_questions(connection, writes.questions_asked, replacing=True)
        if writes.blocked:
            at = max(row.mo.received_at for row in writes.rows)
            await block(connection, self._hashes, self._next_id, writes.blocked, "sms", at)
        joined = {row.subscriber_id for row in writes.subscribers}
        await note_stops(connection, self._hashes, self._next_id, writes.number_stops, joined)
        await move_orders(connection, writes)
        if writes.answered:
            await connection.execute(
                SQL["answered"],
                [msisdn for msisdn, _ in writes.answered],
                [sender for _, sender in writes.answered],
                [message_id for message_id, _ in writes.answered.values()],
                [at for _, at in writes.answered.values()],
            )
        if writes.closed:
            await connection.execute(
                SQL["close_offers"],
                [merchant_id for merchant_id, _ in writes.closed],
                [msisdn for _, msisdn in writes.closed],
            )
        if writes.postings:
            await insert_postings(connection, writes.postings)
        await publish_taken_back(connection, writes.taken_back)


def _joined(rows: Sequence[asyncpg.Record]) -> MoHeader:
    """Return the header of a long text from the rows of its parts, in their order."""
    header = MoHeader(*(rows[0][name] for name in MoHeader._fields))
    return header._replace(tlvs=None if header.tlvs is None else b"".join(row["tlvs"] or b"" for row in rows))
