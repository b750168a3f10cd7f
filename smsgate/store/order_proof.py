"""What the database holds about an order, for its proof file (implements flows.order_proof.ProofStore)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smsgate.flows.order_proof import ProofRows, Row
from smsgate.ids import first_id_at, unix_ms_of
from smsgate.store.catalogue import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    import asyncpg

    from smsgate.flows.order_records import OrderRecord
    from smsgate.store.pool import Database

_SQL: Final = load("order_proof")
# Deliveries, withdrawals and disputes; what is told later is not looked for.
TEXTS_WITHIN_MS: Final = 200 * 86_400_000


class PgOrderProofs:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def owner(self, order_id: int) -> int | None:
        """Return the merchant whose order it is."""
        async with self._database.bulk() as connection:
            found: int | None = await connection.fetchval(_SQL["order_owner"], order_id)
        return found

    async def rows(self, order: OrderRecord, subject: str) -> ProofRows:
        made_ms = unix_ms_of(order.order_id)
        oldest, newest = first_id_at(made_ms - 1_000), first_id_at(made_ms + TEXTS_WITHIN_MS)
        merchant_id = order.merchant_id
        async with self._database.transaction(merchant_id) as connection:
            consents = await connection.fetch(
                _SQL["consents"], merchant_id, order.subscriber_id, order.order_id
            )
            texts = _with_times(
                await connection.fetch(_SQL["texts"], merchant_id, order.order_id, oldest, newest)
            )
            message_ids = [order.message_id, *(row["message_id"] for row in texts)]
            events = await connection.fetch(_SQL["events"], merchant_id, subject, oldest)
            return ProofRows(
                consents=_plain(consents),
                texts=texts,
                submitted=_plain(await connection.fetch(_SQL["submitted"], merchant_id, message_ids)),
                receipts=_plain(await connection.fetch(_SQL["receipts"], merchant_id, message_ids)),
                replies=_plain(
                    await connection.fetch(
                        _SQL["replies"], merchant_id, order.inbound_id, order.msisdn, order.order_id
                    )
                ),
                events=_plain(events),
                deliveries=_plain(
                    await connection.fetch(
                        _SQL["deliveries"], merchant_id, [row["event_id"] for row in events]
                    )
                ),
            )


def _plain(rows: Iterable[asyncpg.Record]) -> list[Row]:
    return [dict(row) for row in rows]


def _with_times(rows: Sequence[asyncpg.Record]) -> list[Row]:
    """A message was made at the time that its id holds."""
    return [
        {**dict(row), "at": datetime.fromtimestamp(unix_ms_of(row["message_id"]) / 1000, UTC)} for row in rows
    ]
