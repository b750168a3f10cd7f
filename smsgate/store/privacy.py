"""Suppression, access and erasure (implements flows.ports_privacy.PrivacyStore)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from smsgate.errors import NotFound
from smsgate.flows.commerce_records import Page
from smsgate.flows.ports_privacy import NOBODY, DataRequestRow, Lift, OfNumber, OwedErasure, Suppressed, Whom
from smsgate.security.public_ids import Kind
from smsgate.store.block_lifts import lift
from smsgate.store.catalogue import load
from smsgate.store.connection import retry_transaction
from smsgate.store.erasures import as_owner, finish, message_ids, owe, owed_erasures
from smsgate.store.messages import submitted_text
from smsgate.store.notices import publish_stop
from smsgate.store.pages import page_rows
from smsgate.store.suppression import ERASED, LOCK_KEY, block, suppressed_among

if TYPE_CHECKING:
    import asyncpg

    from smsgate.flows.commerce_records import PageAsk
    from smsgate.flows.ports import Ids
    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.connection import Connection
    from smsgate.store.order_stamps import OrderStamps
    from smsgate.store.pool import Database

_SQL: Final = load("suppressions")
# What a merchant's tables hold of a number, and of a subscriber.
BY_NUMBER: Final = (
    "erase_decisions", "erase_inbound", "erase_events", "erase_answers", "erase_told",
    "erase_import_errors", "erase_deliveries",
    "erase_sender_stops", "erase_open_offers", "erase_questions", "erase_contacts",
)  # fmt: skip
NO_MERCHANT: Final = 0  # of replies that concern none
BY_SUBSCRIBER: Final = (
    "erase_consents", "erase_consent_records", "erase_states", "erase_gone", "erase_subscriber",
)  # fmt: skip


class _Person(NamedTuple):
    msisdn: int
    subscriber_ids: list[int]  # the one there is, then those that time removed, the last first

    @property
    def id(self) -> int:
        return self.subscriber_ids[0] if self.subscriber_ids else NOBODY


class PgPrivacy:
    def __init__(self, database: Database, hashes: SuppressionHashes, ids: Ids, stamps: OrderStamps) -> None:
        self._database = database
        self._hashes = hashes
        self._ids = ids
        self._stamps = stamps

    async def suppressed(self, merchant_id: int, msisdns: Sequence[int]) -> Mapping[int, Suppressed]:
        async with self._database.transaction(merchant_id) as connection:
            return await suppressed_among(connection, self._hashes, merchant_id, msisdns)

    async def suppress(self, msisdn: int, reason: str, now: datetime) -> list[int]:
        async with self._database.bulk_transaction() as connection:
            await connection.fetch(_SQL["lock_number"], msisdn)
            found = await block(connection, self._hashes, self._ids.next, {msisdn: reason}, "operator", now)
        return [merchant_id for merchant_id, _ in found]

    async def unblock(self, msisdn: int, merchant_id: int | None, by: Lift, now: datetime) -> list[int]:
        async with self._database.bulk_transaction() as connection:
            await connection.fetch(_SQL["lock_number"], msisdn)
            return await lift(connection, self._hashes, self._ids.next, msisdn, merchant_id, by, now)

    async def unblock_subscriber(self, merchant_id: int, subscriber_id: int, by: Lift, now: datetime) -> None:
        async with self._database.transaction(merchant_id) as connection:
            msisdn = await self._number(connection, merchant_id, subscriber_id)
        await self.unblock(msisdn, merchant_id, by, now)

    async def access(
        self, merchant_id: int, whom: Whom, request_id: int, now: datetime
    ) -> tuple[DataRequestRow, Mapping[str, object]]:
        async with self._database.transaction(merchant_id) as connection:
            person = await self._person(connection, merchant_id, whom)
            msisdn, people = person.msisdn, person.subscriber_ids
            ids = await message_ids(connection, merchant_id, msisdn)
            asked: Sequence[tuple[str, str, object]] = (
                ("subscriber", "file_subscriber", people),
                ("consents", "file_consents", people),
                ("consent_states", "file_states", people),
                ("messages", "file_messages", ids),
                ("inbound_messages", "file_inbound", msisdn),
                ("orders", "file_orders", msisdn),
                ("order_messages", "file_order_messages", msisdn),
                ("order_messages", "file_consent_messages", people),
                ("open_offers", "file_open_offers", msisdn),
                ("sender_stops", "file_sender_stops", msisdn),
            )
            file: dict[str, list[object]] = {}
            for name, statement, key in asked:
                rows = await connection.fetch(_SQL[statement], merchant_id, key)
                file.setdefault(name, []).extend(map(_record, rows))
            count = sum(map(len, file.values()))
            request = DataRequestRow(request_id, "access", person.id, count, now, "done")
            await self._remember(connection, merchant_id, request)
        return request, file

    async def erase(
        self, merchant_id: int, whom: Whom, request_id: int, now: datetime
    ) -> tuple[DataRequestRow, OwedErasure]:
        if isinstance(whom, OfNumber):
            await retry_transaction(lambda: self._keep_out(merchant_id, whom, now), idempotent=True)
        return await retry_transaction(
            lambda: self._erase(merchant_id, whom, request_id, now), idempotent=False
        )

    async def _erase(
        self, merchant_id: int, whom: Whom, request_id: int, now: datetime
    ) -> tuple[DataRequestRow, OwedErasure]:
        async with as_owner(self._database, merchant_id) as connection:
            person = await self._person(connection, merchant_id, whom)
            msisdn, people = person.msisdn, person.subscriber_ids
            await connection.fetch(_SQL["lock_orders"], merchant_id, msisdn)
            # Not before: who held an order may have written a text about it.
            ids = await message_ids(connection, merchant_id, msisdn)
            hash_ = await self._suppress(connection, merchant_id, msisdn, now)
            await connection.fetch(_SQL["erase_lifts"], hash_)
            await connection.fetch(_SQL["erase_waiting"], merchant_id, ids, now)
            orders = await connection.fetch(_SQL["erase_orders"], merchant_id, msisdn, now)
            count = len(orders)
            count += await self._erase_of_orders(
                connection, merchant_id, people, [o["order_id"] for o in orders], msisdn
            )
            for statement in ("erase_submitted", "erase_messages"):
                count += len(await connection.fetch(_SQL[statement], merchant_id, ids))
            for statement in BY_NUMBER:
                count += len(await connection.fetch(_SQL[statement], merchant_id, msisdn))
            for statement in BY_SUBSCRIBER:
                count += len(await connection.fetch(_SQL[statement], merchant_id, people))
            await self._erase_of_nobody(connection, msisdn)
            erased = {row["order_id"]: now for row in orders}
            await connection.fetch(_SQL["erase_salts"], merchant_id, list(erased))
            await self._stamps.extend(connection, merchant_id, erased, erases=True)
            await publish_stop(connection, merchant_id, msisdn)
            owed = await owe(connection, merchant_id, request_id, msisdn, now)
            request = DataRequestRow(request_id, "erasure", person.id, count, now, "under_way")
            await self._remember(connection, merchant_id, request)
        return request, owed

    async def _erase_of_orders(
        self,
        connection: Connection,
        merchant_id: int,
        subscriber_ids: Sequence[int],
        order_ids: Sequence[int],
        msisdn: int,
    ) -> int:
        """Empty what is kept with orders, which stay, and events that were kept of consents."""
        encode = self._stamps.public_ids.encode
        subjects = [encode(Kind.SUBSCRIBER, each) for each in subscriber_ids]
        subjects += [encode(Kind.ORDER, each) for each in order_ids]
        steps = await connection.fetch(_SQL["erase_steps"], merchant_id, order_ids)
        messages = await connection.fetch(_SQL["erase_kept_messages"], merchant_id, order_ids)
        events = await connection.fetch(_SQL["erase_kept_events"], merchant_id, subjects, msisdn)
        return len(steps) + len(messages) + len(events)

    async def _erase_of_nobody(self, connection: Connection, msisdn: int) -> None:
        """Remove what is no merchant's: texts from before anybody knew the number, and counts of answers."""
        await connection.fetch(_SQL["erase_inbound"], NO_MERCHANT, msisdn)
        await connection.fetch(_SQL["erase_answer_counts"], msisdn)

    async def owed_erasures(self, limit: int) -> Sequence[OwedErasure]:
        return await owed_erasures(self._database, limit)

    async def finish_erasure(self, owed: OwedErasure, now: datetime, patience_s: float) -> bool:
        return await finish(self._database, owed, now, patience_s)

    async def requests(self, merchant_id: int, ask: PageAsk) -> Page[DataRequestRow]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["requests_page"], merchant_id, ask)
        return Page([DataRequestRow(*(row[name] for name in DataRequestRow.__slots__)) for row in rows], more)

    async def _person(self, connection: Connection, merchant_id: int, whom: Whom) -> _Person:
        if isinstance(whom, int):
            msisdn, people = await self._number(connection, merchant_id, whom), [whom]
        else:
            msisdn = whom.msisdn
            rows = await connection.fetch(_SQL["people_by_number"], merchant_id, msisdn)
            people = [row["subscriber_id"] for row in rows]
        hash_ = self._hashes.of(merchant_id, msisdn)
        gone = await connection.fetch(_SQL["gone_by_number"], merchant_id, hash_)
        people += [row["subscriber_id"] for row in gone]
        if not (
            people
            or await connection.fetchval(_SQL["knows_number"], merchant_id, msisdn)
            or await message_ids(connection, merchant_id, msisdn)
        ):
            raise NotFound
        return _Person(msisdn, people)

    async def _keep_out(self, merchant_id: int, whom: OfNumber, now: datetime) -> None:
        """
        Let nobody add the number any more: without a subscriber there is no row that the erasure could lock.

        A transaction of its own, of moments: until it ends nobody adds anybody, at any merchant. Whoever was
        faster is found by the erasure, which comes next.

        Raises:
            NotFound: nothing of the number.
        """
        async with as_owner(self._database, merchant_id) as connection:
            await self._person(connection, merchant_id, whom)
            await connection.execute(_SQL["lock_for_blocking"], LOCK_KEY)
            await self._suppress(connection, merchant_id, whom.msisdn, now)

    async def _suppress(self, connection: Connection, merchant_id: int, msisdn: int, now: datetime) -> bytes:
        hash_ = self._hashes.of(merchant_id, msisdn)
        await connection.execute(_SQL["suppress"], [hash_], [ERASED], now)
        return hash_

    async def _number(self, connection: Connection, merchant_id: int, subscriber_id: int) -> int:
        msisdn: int | None = await connection.fetchval(_SQL["person"], merchant_id, subscriber_id)
        if msisdn is None:
            raise NotFound
        return msisdn

    async def _remember(self, connection: Connection, merchant_id: int, request: DataRequestRow) -> None:
        await connection.execute(
            _SQL["add_request"], merchant_id, request.request_id, request.kind, request.subscriber_id,
            request.records, request.created_at,
        )  # fmt: skip


def _record(row: asyncpg.Record) -> dict[str, object]:
    """Return a record of the file; what an ESME submitted with its text, or the octets of what has none."""
    record: dict[str, object] = orjson.loads(row["record"])
    if body := row.get("submitted"):
        if text := submitted_text(body):
            record["body"] = text
        else:
            record["submitted"] = body.hex()
    return record


async def erasures_of(database: Database, merchant_id: int) -> int:
    """Return a number that is another one after each erasure of a merchant, and never comes again."""
    async with database.transaction(merchant_id) as connection:
        found: int = await connection.fetchval(_SQL["erasures"], merchant_id)
    return found
