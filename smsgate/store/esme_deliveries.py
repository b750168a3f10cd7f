"""Receipts and MOs that wait for their ESMEs (implements flows.ports_esmes.EsmeDeliveryStore)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from smsgate.flows.esme_records import EsmeDelivery
from smsgate.store.catalogue import load
from smsgate.store.pool import Database

_SQL: Final = load("esme_traffic")


class PgEsmeDeliveries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, accounts: Sequence[tuple[int, int]], now: datetime) -> list[tuple[int, int]]:
        async with self._database.bulk() as connection:
            rows = await connection.fetch(
                _SQL["accounts_due"],
                [merchant_id for merchant_id, _ in accounts],
                [account_id for _, account_id in accounts],
                now,
            )
        return [(row["merchant_id"], row["account_id"]) for row in rows]

    async def claim(
        self, merchant_id: int, account_id: int, limit: int, *, now: datetime, again_at: datetime
    ) -> list[EsmeDelivery]:
        async with self._database.bulk_transaction() as connection:
            rows = await connection.fetch(
                _SQL["claim_deliveries"], merchant_id, account_id, now, again_at, limit
            )
            ids = [row["message_id"] for row in rows if row["message_id"] is not None]
            found = await connection.fetch(_SQL["submitted"], merchant_id, ids) if ids else []
        submitted = {row["message_id"]: row for row in found}
        deliveries = []
        for row in sorted(rows, key=lambda row: int(row["delivery_id"])):
            message = submitted.get(row["message_id"])
            deliveries.append(
                EsmeDelivery(
                    **dict(row),
                    msisdn=0 if message is None else message["msisdn"],
                    sender="" if message is None else message["sender"],
                    submitted=b"" if message is None else message["body"],
                )
            )
        return deliveries

    async def settle(
        self,
        done: Mapping[int, Sequence[int]],
        later: Mapping[int, Sequence[int]],
        again: Mapping[int, Sequence[int]],
        *,
        now: datetime,
    ) -> None:
        async with self._database.bulk_transaction() as connection:
            for merchant_id, ids in sorted(done.items()):
                await connection.execute(_SQL["delivered"], merchant_id, ids)
            for merchant_id, ids in sorted(later.items()):
                await connection.execute(_SQL["deliver_later"], merchant_id, ids, now)
            for merchant_id, ids in sorted(again.items()):
                await connection.execute(_SQL["deliver_again"], merchant_id, ids, now)

    async def backlog(self) -> int:
        async with self._database.bulk() as connection:
            return int(await connection.fetchval(_SQL["deliveries_waiting"]))
