"""The store's side of housekeeping: as the owner where nobody else may change rows, else as the bulk role."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from smsgate.flows.events import first_id_of
from smsgate.security.public_ids import Kind
from smsgate.store import partitions
from smsgate.store.catalogue import load
from smsgate.store.retired import horizon, keep_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.security.public_ids import PublicIds
    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

_SQL: Final = load("housekeeping")
_SUPPRESSIONS: Final = load("suppressions")
# Their border is a time-ordered id.
_BY_ID: Final = frozenset({
    "webhook_delivery", "import_error", "data_request", "campaign_chunk", "reply_text", "reply_number",
    "order", "order_record",
})  # fmt: skip
# Of rows that nobody may change at run time.
AS_OWNER: Final = frozenset({
    "data_request", "reply_text", "reply_number", "person", "consent_evidence", "order",
    "order_record",
})  # fmt: skip
# About replies, whose rows stay: one pair of statements, which take the rule.
OF_REPLIES: Final = frozenset({"reply_text", "reply_number"})
# Whose rows of orders and consents are taken along; of messages first, by which the others are found.
_KEPT_OF_ORDERS: Final = frozenset({"message", "sent", "receipt", "event"})


class PgHousekeeping:
    def __init__(self, database: Database, hashes: SuppressionHashes, public_ids: PublicIds) -> None:
        self._database = database
        self._hashes = hashes
        self._public_ids = public_ids

    async def make_partitions(self, now: datetime, days: int) -> int:
        async with self._database.control() as connection:
            return len(await partitions.make_ahead(connection, now, days))

    async def drop_partitions(self, table: str, before: datetime) -> int:
        async def keep(connection: Connection, day: date) -> None:
            if table in _KEPT_OF_ORDERS:
                await connection.execute(_SQL[f"keep_{table}"], *partitions.borders(day))
            if table == "sent":
                await keep_sums(connection, day)

        async with self._database.control() as connection:
            return len(await partitions.drop_older(connection, table, before, keep=keep))

    async def choices(self, rule: str) -> Mapping[int, int]:
        async with self._database.bulk() as connection:
            return {row["merchant_id"]: row["days"] for row in await connection.fetch(_SQL["choices"], rule)}

    async def delete_older(
        self, job: str, before: datetime, rows_max: int, own: Mapping[int, datetime] | None = None
    ) -> int:
        if job == "budget_charge":
            before = min(before, await self._first_kept())
        borders = own or {}
        latest = max([before, *borders.values()])
        deleted = 0
        lend = self._database.control if job in AS_OWNER else self._database.bulk
        async with lend() as connection:
            owners = await connection.fetch(
                _SQL[statement_name(job, "owners")], _border(job, latest), *_rule(job)
            )
        for row in owners:
            # Only where merchants choose: the owners of other rules may be lists of numbers.
            border = borders.get(row["owner"], before) if borders else before
            async with self._worker(job, row["owner"]) as connection:
                deleted += await self._delete(connection, job, row["owner"], border, rows_max - deleted)
            if deleted >= rows_max:
                break
        return deleted

    async def trim_receipts(self, kept: int, rows_max: int) -> int:
        deleted = 0
        async with self._database.bulk() as connection:
            for owner, border in await connection.fetch(_SQL["receipts_beyond"], kept):
                deleted += len(await connection.fetch(_SQL["trim_receipts"], owner, border, rows_max))
        return deleted

    async def _first_kept(self) -> datetime:
        """Return from when on message rows are kept: a day whose time is over may wait for who reads it."""
        async with self._database.bulk() as connection:
            return (await horizon(connection))[1]

    @asynccontextmanager
    async def _worker(self, job: str, owner: object) -> AsyncIterator[Connection]:
        """Open a transaction of the role that may change the job's rows."""
        if job in AS_OWNER:
            async with self._database.control() as connection, connection.transaction():
                await connection.execute("SELECT set_config('app.merchant', $1, true)", str(owner))
                yield connection
        else:
            async with self._database.bulk_transaction() as connection:
                yield connection

    async def _delete(
        self, connection: Connection, job: str, owner: int, border: datetime, rows_max: int
    ) -> int:
        if job == "person":
            return await self._forget_people(connection, owner, border, rows_max)
        rows = await connection.fetch(
            _SQL[statement_name(job, "delete")], owner, _border(job, border), rows_max, *_rule(job)
        )
        if job == "consent_evidence" and rows:
            ids = [row["subscriber_id"] for row in rows]
            await connection.fetch(_SQL["consent_evidence_records"], owner, ids, self._subjects(ids))
        return len(rows)

    def _subjects(self, subscriber_ids: Sequence[int]) -> list[str]:
        """Return people as events name them."""
        return [self._public_ids.encode(Kind.SUBSCRIBER, each) for each in subscriber_ids]

    async def _forget_people(
        self, connection: Connection, merchant_id: int, border: datetime, rows_max: int
    ) -> int:
        """Remove people; when their consent ended stays with a hash, so that no old list brings them back."""
        people = await connection.fetch(_SQL["person_last"], merchant_id, border, rows_max)
        if not people:
            return 0
        hashes = [self._hashes.of(merchant_id, row["msisdn"]) for row in people]
        ended = [row["ended_at"] for row in people]
        objected = [row["offers_state"] in {"unsubscribed", "blocked"} for row in people]
        await connection.execute(_SUPPRESSIONS["note_stops"], hashes, ended, objected)
        ids, last = [row["subscriber_id"] for row in people], [row["last_at"] for row in people]
        await connection.execute(_SQL["person_records"], merchant_id, self._subjects(ids))
        return len(await connection.fetch(_SQL["person_delete"], merchant_id, ids, hashes, last))


def _border(job: str, before: datetime) -> datetime | int:
    if job == "budget_charge":  # with the rows of its messages, which go by whole days
        return partitions.borders(before.astimezone(UTC).date())[0]
    return first_id_of(before) if job in _BY_ID else before


def statement_name(job: str, part: str) -> str:
    return f"{'reply' if job in OF_REPLIES else job}_{part}"


def _rule(job: str) -> tuple[str, ...]:
    return (job,) if job in OF_REPLIES else ()
