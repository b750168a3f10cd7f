"""What the database holds about a consent (implements flows.consent_proof.ConsentProofStore)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from smsgate.errors import NotFound
from smsgate.flows.events import first_id_of
from smsgate.flows.order_entries import ProofRows
from smsgate.security.public_ids import Kind
from smsgate.store.catalogue import load
from smsgate.store.order_stamps import with_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from smsgate.security.public_ids import PublicIds
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

_SQL: Final = load("consent_proof")
_ORDERS: Final = load("order_proof")
# A text's id is made with the event that it tells of, or in the same transaction.
TOLD_BEFORE: Final = timedelta(seconds=1)
TOLD_AFTER: Final = timedelta(seconds=10)


class PgConsentProofs:
    def __init__(self, database: Database, public_ids: PublicIds) -> None:
        self._database = database
        self._public_ids = public_ids

    async def whose(self, merchant_id: int, consent_id: int) -> tuple[int, str]:
        async with self._database.reading(merchant_id) as connection:
            found = await connection.fetchrow(_SQL["consent_of"], merchant_id, consent_id)
        if found is None:
            raise NotFound
        return found["subscriber_id"], found["purpose"]

    async def rows(self, merchant_id: int, subscriber_id: int, purpose: str) -> ProofRows:
        rows = ProofRows()
        async with self._database.reading(merchant_id) as connection:
            consents = await connection.fetch(_SQL["consents"], merchant_id, subscriber_id, purpose)
            if not consents:
                raise NotFound
            rows.consent.extend(consents)
            replies = [row["inbound_id"] for row in consents if row["inbound_id"] is not None]
            rows.reply.extend(await connection.fetch(_SQL["replies"], merchant_id, replies))
            await self._told(connection, merchant_id, subscriber_id, rows, consents)
            subject = self._public_ids.encode(Kind.SUBSCRIBER, subscriber_id)
            first = min(row["consent_id"] for row in consents)
            oldest = first_id_of(min(row["recorded_at"] for row in consents) - TOLD_BEFORE)
            events = await connection.fetch(_ORDERS["events"], merchant_id, [subject], min(first, oldest))
            rows.event.extend(row for row in events if row["type"].startswith("consent."))
        return rows

    async def _told(
        self,
        connection: Connection,
        merchant_id: int,
        subscriber_id: int,
        rows: ProofRows,
        consents: Sequence[asyncpg.Record],
    ) -> None:
        """Add the texts, and what carriers said of them."""
        times = [row["recorded_at"] for row in consents]
        texts = await connection.fetch(
            _SQL["texts"],
            merchant_id,
            [first_id_of(at - TOLD_BEFORE) for at in times],
            [first_id_of(at + TOLD_AFTER) for at in times],
            consents[-1]["msisdn"],
            subscriber_id,
        )
        if not texts:
            return
        rows.text.extend(with_time(row) for row in texts)
        ids = [row["message_id"] for row in texts]
        bounds = (merchant_id, ids, min(ids), max(ids))
        rows.submitted.extend(await connection.fetch(_ORDERS["submitted"], *bounds))
        rows.receipt.extend(await connection.fetch(_ORDERS["receipts"], *bounds))
