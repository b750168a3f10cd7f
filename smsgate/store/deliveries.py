"""Deliveries of events to shops' endpoints: claimed by owner, settled in batches, per merchant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import orjson

from smsgate.flows.commerce_records import EventRecord
from smsgate.flows.ports_webhooks import ClaimedDelivery, DeliveryResult, DueEndpoint, EndpointAnswers
from smsgate.store.catalogue import load
from smsgate.store.node_lease import ended
from smsgate.store.shop_reach import note_answers

if TYPE_CHECKING:
    from smsgate.store.pool import Database

_SQL: Final = load("deliveries")
_RESULT_COLUMNS: Final = tuple(
    attrgetter(name)
    for name in (
        "event_id",
        "endpoint_id",
        "state",
        "attempts",
        "next_attempt_at",
        "last_status",
        "last_error",
        "delivered_at",
    )
)


class PgDeliveries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, now: datetime, limit: int) -> list[DueEndpoint]:
        async with self._database.bulk() as connection:
            return [DueEndpoint(*row) for row in await connection.fetch(_SQL["due_endpoints"], now, limit)]

    async def claim(
        self, merchant_id: int, endpoint_id: int, *, owner: int, limit: int, now: datetime
    ) -> list[ClaimedDelivery]:
        async with self._database.bulk_transaction() as connection:
            rows = await connection.fetch(_SQL["claim"], merchant_id, endpoint_id, owner, now, limit)
            attempts = {row["event_id"]: row["attempts"] for row in rows}
            if not attempts:
                return []
            events = await connection.fetch(_SQL["claimed_events"], merchant_id, list(attempts))
            lost = attempts.keys() - {row["event_id"] for row in events}
            if lost:
                await connection.execute(
                    _SQL["fail_without_event"], merchant_id, endpoint_id, list(lost), owner
                )
        records = [
            EventRecord(
                row["event_id"], row["type"], row["subject"], orjson.loads(row["data"]), row["created_at"]
            )
            for row in events
        ]
        return [
            ClaimedDelivery(merchant_id, endpoint_id, attempts[record.event_id], record)
            for record in sorted(records, key=attrgetter("event_id"))
        ]

    async def settle(
        self,
        results: Sequence[DeliveryResult],
        answers: Sequence[EndpointAnswers],
        *,
        owner: int,
        at: datetime,
    ) -> None:
        by_merchant: dict[int, list[DeliveryResult]] = defaultdict(list)
        for result in results:
            by_merchant[result.merchant_id].append(result)
        async with self._database.bulk() as connection:
            for merchant_id, group in by_merchant.items():
                columns = [[get(result) for result in group] for get in _RESULT_COLUMNS]
                await connection.execute(_SQL["settle"], merchant_id, owner, *columns)
            await note_answers(connection, answers, at)

    async def disable(self, merchant_id: int, endpoint_id: int, reason: str) -> None:
        async with self._database.bulk() as connection:
            await connection.execute(_SQL["disable_endpoint"], merchant_id, endpoint_id, reason)

    async def release_forgotten(self, held: Collection[ClaimedDelivery], *, owner: int) -> int:
        """Give back what is the owner's and not among `held`; return how many these were."""
        known = {(claim.merchant_id, claim.endpoint_id, claim.event.event_id) for claim in held}
        async with self._database.bulk() as connection:
            ours = {tuple(row) for row in await connection.fetch(_SQL["claims_of_owner"], owner)}
        await self._release(sorted(ours - known), owner)
        return len(ours - known)

    async def release(self, claims: Sequence[ClaimedDelivery], *, owner: int) -> None:
        keys = [(claim.merchant_id, claim.endpoint_id, claim.event.event_id) for claim in claims]
        await self._release(keys, owner)

    async def _release(self, keys: Sequence[tuple[int, ...]], owner: int) -> None:
        """Give back claims, told by merchant, endpoint and event."""
        by_merchant: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        for key in keys:
            by_merchant[key[0]].append(key)
        async with self._database.bulk() as connection:
            for merchant_id, group in by_merchant.items():
                events, endpoints = [key[2] for key in group], [key[1] for key in group]
                await connection.execute(_SQL["release"], merchant_id, owner, events, endpoints)

    async def release_orphans(self) -> int:
        async with self._database.bulk() as connection:
            held = await connection.fetch(_SQL["owners"])
        dead = await ended(self._database, {row["owner"] for row in held})
        released = 0
        async with self._database.bulk() as connection:
            for merchant_id in sorted({row["merchant_id"] for row in held if row["owner"] in dead}):
                released += len(await connection.fetch(_SQL["release_orphans"], merchant_id, dead))
        return released

    async def backlog(self, now: datetime) -> tuple[int, float]:
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(_SQL["backlog"], now)
        assert row is not None
        return int(row["waiting"]), float(row["oldest_s"])
