"""Suppression, access and erasure (implements flows.ports_privacy.PrivacyStore)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from smsgate.errors import NotFound
from smsgate.flows.commerce_records import Page
from smsgate.flows.ports_privacy import DataRequestRow, Lift, Suppressed
from smsgate.security.public_ids import Kind
from smsgate.store.block_lifts import lift
from smsgate.store.catalogue import load
from smsgate.store.messages import submitted_text
from smsgate.store.notices import publish_stop
from smsgate.store.pages import page_rows
from smsgate.store.suppression import block, suppressed_among

if TYPE_CHECKING:
    import asyncpg

    from smsgate.flows.commerce_records import PageAsk
    from smsgate.flows.ports import Ids
    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.connection import Connection
    from smsgate.store.order_stamps import OrderStamps
    from smsgate.store.pool import Database

log = structlog.get_logger(__name__)

_SQL: Final = load("suppressions")
# What a merchant's tables hold of a number, and of a subscriber.
BY_NUMBER: Final = (
    "erase_decisions", "erase_inbound", "erase_events", "erase_answers", "erase_told",
    "erase_import_errors", "erase_deliveries",
    "erase_sender_stops", "erase_open_offers", "erase_questions", "erase_contacts",
)  # fmt: skip
WRITTEN_BY_CLAIMS: Final = ("erase_open_offers", "erase_contacts")
# Claims and texts are transactions of milliseconds; a request of the API must not wait much longer.
CROSSING_S: Final = 10.0
CROSSING_POLL_S: Final = 0.02
NO_MERCHANT: Final = 0  # of replies that concern none
BY_SUBSCRIBER: Final = ("erase_consents", "erase_consent_records", "erase_states", "erase_subscriber")


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
        self, merchant_id: int, subscriber_id: int, request_id: int, now: datetime
    ) -> tuple[DataRequestRow, Mapping[str, object]]:
        async with self._database.transaction(merchant_id) as connection:
            msisdn = await self._number(connection, merchant_id, subscriber_id)
            ids = await self._message_ids(connection, merchant_id, msisdn)
            asked: dict[str, tuple[str, object]] = {
                "subscriber": ("file_subscriber", subscriber_id),
                "consents": ("file_consents", subscriber_id),
                "consent_states": ("file_states", subscriber_id),
                "messages": ("file_messages", ids),
                "inbound_messages": ("file_inbound", msisdn),
                "orders": ("file_orders", msisdn),
                "order_messages": ("file_order_messages", msisdn),
                "open_offers": ("file_open_offers", msisdn),
                "sender_stops": ("file_sender_stops", msisdn),
            }
            file: dict[str, object] = {}
            for name, (statement, key) in asked.items():
                rows = await connection.fetch(_SQL[statement], merchant_id, key)
                file[name] = [_record(row) for row in rows]
            count = sum(len(records) for records in file.values() if isinstance(records, list))
            request = DataRequestRow(request_id, "access", subscriber_id, count, now)
            await self._remember(connection, merchant_id, request)
        return request, file

    async def erase(
        self, merchant_id: int, subscriber_id: int, request_id: int, now: datetime
    ) -> tuple[DataRequestRow, int]:
        async with self._as_owner(merchant_id) as connection:
            msisdn = await self._number(connection, merchant_id, subscriber_id)
            await connection.fetch(_SQL["lock_orders"], merchant_id, msisdn)
            ids = await self._message_ids(connection, merchant_id, msisdn)
            own = [self._hashes.of(merchant_id, msisdn)]
            await connection.execute(_SQL["suppress"], own, ["erased"], now)
            await connection.fetch(_SQL["erase_lifts"], own[0])
            await connection.fetch(_SQL["erase_waiting"], merchant_id, ids, now)
            orders = await connection.fetch(_SQL["erase_orders"], merchant_id, msisdn, now)
            count = len(orders)
            count += await self._erase_of_orders(
                connection, merchant_id, subscriber_id, [o["order_id"] for o in orders], msisdn
            )
            for statement in ("erase_submitted", "erase_messages"):
                count += len(await connection.fetch(_SQL[statement], merchant_id, ids))
            for statement in BY_NUMBER:
                count += len(await connection.fetch(_SQL[statement], merchant_id, msisdn))
            for statement in BY_SUBSCRIBER:
                count += len(await connection.fetch(_SQL[statement], merchant_id, subscriber_id))
            erased = {row["order_id"]: now for row in orders}
            await connection.fetch(_SQL["erase_salts"], merchant_id, list(erased))
            await self._stamps.extend(connection, merchant_id, erased, erases=True)
            await publish_stop(connection, merchant_id, msisdn)
            request = DataRequestRow(request_id, "erasure", subscriber_id, count, now)
            await self._remember(connection, merchant_id, request)
            own = await connection.fetchval(_SQL["own_transaction"])
        await self._erase_what_crossed(merchant_id, msisdn, own, now)
        await self._erase_of_nobody(msisdn)
        return request, msisdn

    async def _erase_of_orders(
        self,
        connection: Connection,
        merchant_id: int,
        subscriber_id: int,
        order_ids: Sequence[int],
        msisdn: int,
    ) -> int:
        """Empty what is kept with orders, which stay, and events that were kept of consents."""
        encode = self._stamps.public_ids.encode
        subjects = [encode(Kind.SUBSCRIBER, subscriber_id), *(encode(Kind.ORDER, each) for each in order_ids)]
        steps = await connection.fetch(_SQL["erase_steps"], merchant_id, order_ids)
        messages = await connection.fetch(_SQL["erase_kept_messages"], merchant_id, order_ids)
        events = await connection.fetch(_SQL["erase_kept_events"], merchant_id, subjects, msisdn)
        return len(steps) + len(messages) + len(events)

    async def _erase_of_nobody(self, msisdn: int) -> None:
        """Remove what is no merchant's: texts from before anybody knew the number, and counts of answers."""
        async with self._as_owner(NO_MERCHANT) as connection:
            await connection.fetch(_SQL["erase_inbound"], NO_MERCHANT, msisdn)
            await connection.fetch(_SQL["erase_answer_counts"], msisdn)

    async def _erase_what_crossed(self, merchant_id: int, msisdn: int, own: str, now: datetime) -> None:
        """Remove what a claim wrote that had chosen the person before, and was not committed yet."""
        await self._until_older_are_over(own)
        async with self._as_owner(merchant_id) as connection:
            ids = await self._message_ids(connection, merchant_id, msisdn)
            await connection.fetch(_SQL["erase_waiting"], merchant_id, ids, now)
            await connection.fetch(_SQL["erase_messages"], merchant_id, ids)
            for statement in WRITTEN_BY_CLAIMS:
                await connection.fetch(_SQL[statement], merchant_id, msisdn)
        await self._erase_bounds(merchant_id, msisdn)

    async def _erase_bounds(self, merchant_id: int, msisdn: int) -> None:
        """
        Take the number out of the ranges of chunks, which led to the ids.

        Twice: a claim that read a bound before writes it into other chunks.
        """
        for _ in range(2):
            async with self._as_owner(merchant_id) as connection:
                await connection.fetch(_SQL["erase_bounds"], merchant_id, msisdn)
                own = await connection.fetchval(_SQL["own_transaction"])
            await self._until_older_are_over(own)

    async def _until_older_are_over(self, own: str) -> None:
        async with self._database.control() as connection:
            for _ in range(int(CROSSING_S / CROSSING_POLL_S)):
                if await connection.fetchval(_SQL["older_are_over"], own):
                    return
                await asyncio.sleep(CROSSING_POLL_S)
        log.warning("erasure_not_waited_for", waited_s=CROSSING_S)

    async def requests(self, merchant_id: int, ask: PageAsk) -> Page[DataRequestRow]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["requests_page"], merchant_id, ask)
        return Page([DataRequestRow(*(row[name] for name in DataRequestRow.__slots__)) for row in rows], more)

    @asynccontextmanager
    async def _as_owner(self, merchant_id: int) -> AsyncIterator[Connection]:
        """Open a transaction that may change what nobody may at run time, of this merchant alone."""
        async with self._database.control() as connection, connection.transaction():
            await connection.execute("SELECT set_config('app.merchant', $1, true)", str(merchant_id))
            yield connection

    async def _number(self, connection: Connection, merchant_id: int, subscriber_id: int) -> int:
        msisdn: int | None = await connection.fetchval(_SQL["person"], merchant_id, subscriber_id)
        if msisdn is None:
            raise NotFound
        return msisdn

    async def _message_ids(self, connection: Connection, merchant_id: int, msisdn: int) -> list[int]:
        rows = await connection.fetch(_SQL["message_ids"], merchant_id, msisdn)
        return [row["message_id"] for row in rows]

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
