"""Stamps of orders: written in the transaction in which something happened to the order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from smsgate.flows.order_entries import Entries, ProofRows, instant
from smsgate.ids import first_id_at, made_at, unix_ms_of
from smsgate.security.proof_stamps import OCTETS, Fact, Stamp, signed, unsigned
from smsgate.security.public_ids import Kind
from smsgate.store.array_octets import ids_text, texts_text
from smsgate.store.catalogue import load
from smsgate.store.messages import rendered
from smsgate.store.together import Together

if TYPE_CHECKING:
    import asyncpg

    from smsgate.clock import Clock
    from smsgate.security.proof_chain import ProofKey
    from smsgate.security.proof_stamps import Content
    from smsgate.security.public_ids import PublicIds
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

_SQL: Final = load("order_proof")
# Deliveries, withdrawals and disputes; what is told later is not looked for.
TEXTS_WITHIN_MS: Final = 200 * 86_400_000
TERMS: Final = ("cancel_window_s", "shop_answer_s", "confirm_by_sms")  # of an offer's version, for its orders
STAMPED_IN_A_ROW: Final = 25  # some 40 us each: what the database answers meanwhile waits for a millisecond
# Columns of the statements of these names.
_OFFERS: Final = (
    "offer_id", "version", "text", "shop", "item", "price_minor", "currency", "quantity_max",
    "ask_above_minor", "withdrawal", "language", "country", "sender", "expires_at", "created_at", *TERMS,
)  # fmt: skip
_OFFER_MESSAGES: Final = ("message_id", "msisdn", "sender", "fields")
_CONSENTS: Final = (
    "of_order", "consent_id", "purpose", "event", "state_after", "wording_version", "source", "evidence",
    "inbound_id", "occurred_at", "recorded_at",
)  # fmt: skip
UNSTAMPED_MAX: Final = 200  # orders from before of one transaction: milliseconds


@dataclass(frozen=True, slots=True)
class OrderStamps:
    key: ProofKey
    public_ids: PublicIds

    async def extend(
        self,
        connection: Connection,
        merchant_id: int,
        times: Mapping[int, datetime],
        *,
        new: bool = False,
        erases: bool = False,
    ) -> None:
        """
        Stamp what the database holds about these orders and no stamp has, in the caller's transaction.

        `times` are the orders and when it happened. The caller holds their locks, and has written everything.
        `new` orders have no stamp yet, and their next one takes up what carriers said of their messages;
        `erases`: what an erasure left is taken up once more.
        """
        if not times:
            return
        order_ids = list(times)
        orders = await connection.fetch(_SQL["orders"], merchant_id, order_ids)
        found = await rows_of(connection, merchant_id, orders, self.public_ids, outcomes=not new)
        before = {} if new else await stamps_of(connection, merchant_id, order_ids, self.public_ids)
        stamps = await self.stamps(found, times, before, erases=erases)
        together = Together()
        add_stamps(together, [(merchant_id, order_id) for order_id in found], stamps, erases=erases)
        await together.run(connection)
        if any(order["unstamped"] for order in orders):
            await connection.execute(_SQL["stamped"], merchant_id, order_ids)

    async def stamps(
        self,
        found: Mapping[int, ProofRows],
        times: Mapping[int, datetime],
        before: Mapping[int, Sequence[Stamp]],
        *,
        erases: bool = False,
    ) -> list[Stamp]:
        """Return the next stamp of each order; the loop gets a turn between some of them."""
        entries, drafts, orders = Entries(self.public_ids), list[Stamp](), list(found.items())
        for first in range(0, len(orders), STAMPED_IN_A_ROW):
            if first:
                await asyncio.sleep(0)
            some = orders[first : first + STAMPED_IN_A_ROW]
            contents = entries.contents([rows for _, rows in some])
            drafts += [
                _next(mine, before.get(order_id, []), times[order_id], erases=erases)
                for (order_id, _), mine in zip(some, contents, strict=True)
            ]
        return signed(self.key, drafts)


def add_stamps(
    together: Together,
    order_keys: Sequence[tuple[int, int]],
    stamps: Sequence[Stamp],
    *,
    erases: bool = False,
) -> None:
    """Have the stamps of these orders (merchant, order) written with what else the caller writes."""
    if not stamps:
        return
    together.write(
        _SQL["insert_stamps"],
        ids_text([merchant_id for merchant_id, _ in order_keys]),
        ids_text([order_id for _, order_id in order_keys]),
        ids_text([stamp.no for stamp in stamps]),
        texts_text([stamp.at for stamp in stamps]),
        erases,
        texts_text([orjson.dumps(list(map(list, stamp.facts))).decode() for stamp in stamps]),
        *(texts_text([getattr(stamp, name) for stamp in stamps]) for name in OCTETS),
    )


def _next(contents: Sequence[Content], before: Sequence[Stamp], at: datetime, *, erases: bool) -> Stamp:
    """Return the stamp that follows: of the order and what no stamp has, after an erasure of all."""
    subject = next(content.id for content in contents if content.kind == "order")
    if before and not erases:
        known = {(fact.kind, fact.id) for stamp in before for fact in stamp.facts}
        contents = [each for each in contents if each.kind == "order" or (each.kind, each.id) not in known]
    return unsigned(subject, before[-1] if before else None, instant(at), contents, erases=erases)


class OldOrders:
    """Orders from before there were stamps: one is made for each, of what the database holds of it now."""

    def __init__(self, database: Database, stamps: OrderStamps, clock: Clock) -> None:
        self._database = database
        self._stamps = stamps
        self._clock = clock

    async def step(self) -> bool:
        """One step of a loop; True: there may be more."""
        async with self._database.bulk_transaction() as connection:
            unstamped = await connection.fetch(_SQL["unstamped"], UNSTAMPED_MAX)
            by_merchant: defaultdict[int, list[int]] = defaultdict(list)
            for row in unstamped:
                by_merchant[row["merchant_id"]].append(row["order_id"])
            for merchant_id, order_ids in by_merchant.items():
                locked = await connection.fetch(_SQL["lock_orders"], merchant_id, order_ids)
                now = self._clock.now()
                mine = {row["order_id"]: now for row in locked if row["unstamped"]}
                await self._stamps.extend(connection, merchant_id, mine)
        return len(unstamped) == UNSTAMPED_MAX


async def stamps_of(
    connection: Connection, merchant_id: int, order_ids: Sequence[int], public_ids: PublicIds
) -> dict[int, list[Stamp]]:
    """Return the stamps of each order, the first one first."""
    found: dict[int, list[Stamp]] = {}
    for row in await connection.fetch(_SQL["stamps"], merchant_id, order_ids):
        octets = {name: row[name].hex() for name in OCTETS}
        facts = [Fact(*fact) for fact in orjson.loads(row["facts"])]
        stamp = Stamp(
            subject=public_ids.encode(Kind.ORDER, row["order_id"]),
            no=row["no"],
            at=instant(row["at"]),
            erases=row["erases"],
            facts=facts,
            **octets,
        )
        found.setdefault(row["order_id"], []).append(stamp)
    return found


async def rows_of(
    connection: Connection,
    merchant_id: int,
    orders: Sequence[asyncpg.Record],
    public_ids: PublicIds,
    *,
    outcomes: bool = True,
) -> dict[int, ProofRows]:
    """
    Return what the database holds about each of these `orders` (rows of the statement of that name).

    Without `outcomes` what carriers said of their messages is left out.
    """
    found = {row["order_id"]: ProofRows([row]) for row in orders}
    of_message = await add_ground(connection, merchant_id, found)
    ids = list(found)
    oldest = first_id_at(unix_ms_of(min(ids)) - 1_000)
    newest = first_id_at(unix_ms_of(max(ids)) + TEXTS_WITHIN_MS)

    async def about(statement: str, *args: object) -> Sequence[asyncpg.Record]:
        return await connection.fetch(_SQL[statement], merchant_id, *args)

    replies = [row["inbound_id"] for row in orders]
    for row in await about("replies", ids, replies, [row["msisdn"] for row in orders]):
        found[row["of_order"]].reply.append(row)
    for row in await about("steps", ids):
        found[row["of_order"]].order_step.append(row)
    for row in await about("texts", ids, oldest, newest):
        found[row["of_order"]].text.append(with_time(row))
        of_message[row["message_id"]].append(found[row["of_order"]])
    bounds = (list(of_message), min(of_message), max(of_message))
    for row in await about("submitted", *bounds) if outcomes else ():
        for rows in of_message[row["message_id"]]:
            rows.submitted.append(row)
    for row in await about("receipts", *bounds) if outcomes else ():
        for rows in of_message[row["message_id"]]:
            rows.receipt.append(row)
    subjects = {public_ids.encode(Kind.ORDER, order_id): rows for order_id, rows in found.items()}
    for row in await about("events", list(subjects), oldest):
        subjects[row["subject"]].event.append(row)
    return found


async def add_ground(
    connection: Connection, merchant_id: int, found: Mapping[int, ProofRows]
) -> dict[int, list[ProofRows]]:
    """
    Add what there was before each of these orders: the offer, its message and what the person agreed to.

    Return the orders by the message that each answers.
    """
    orders = [row for rows in found.values() for row in rows.order]
    messages = list({row["message_id"] for row in orders})
    offers, versions = zip(*{(row["offer_id"], row["offer_version"]) for row in orders}, strict=True)
    people = [row["subscriber_id"] for row in orders]
    reads = Together()
    terms = reads.read(_SQL["offers"], _OFFERS, merchant_id, offers, versions)
    texts = reads.read(
        _SQL["offer_messages"], _OFFER_MESSAGES, merchant_id, messages, min(messages), max(messages)
    )
    consents = reads.read(_SQL["consents"], _CONSENTS, merchant_id, list(found), people)
    await reads.run(connection)
    version_of = {(row["offer_id"], row["version"]): _parted(row) for row in terms.dicts()}
    of_message: defaultdict[int, list[ProofRows]] = defaultdict(list)
    for rows in found.values():
        (order,) = rows.order
        if version := version_of.get((order["offer_id"], order["offer_version"])):
            rows.offer.append(version[0])
            rows.offer_terms.append(version[1])
        of_message[order["message_id"]].append(rows)
    for row in texts.dicts():
        values = orjson.loads(row["fields"] or "[]")
        for rows in of_message[row["message_id"]]:
            text = rendered(str(rows.offer[0]["text"]) if rows.offer else "", values)
            rows.offer_message.append(with_time(row, text=text))
    for row in consents.dicts():
        found[row["of_order"]].consent.append(row)
    return of_message


def _parted(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return an offer's version, and its terms apart.

    Stamps from before there were terms hold the version without them; what they held must hold for ever.
    """
    columns = row.copy()
    terms = {name: columns.pop(name) for name in TERMS}
    return columns, {name: columns[name] for name in ("offer_id", "version", "created_at")} | terms


def with_time(row: asyncpg.Record | dict[str, Any], **more: str) -> dict[str, object]:
    """Return a message's row, and when the message was made: its id holds that."""
    return {**row, **more, "at": made_at(row["message_id"])}
