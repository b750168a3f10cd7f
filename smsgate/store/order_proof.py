"""What the database holds about an order, for its proof file (implements flows.order_proof.ProofStore)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsgate.errors import NotFound
from smsgate.store.catalogue import load
from smsgate.store.order_stamps import rows_of, stamps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.clock import Clock
    from smsgate.flows.order_entries import ProofRows
    from smsgate.security.proof_stamps import Stamp
    from smsgate.store.order_stamps import OrderStamps
    from smsgate.store.pool import Database

_SQL: Final = load("order_proof")


class PgOrderProofs:
    def __init__(self, database: Database, stamps: OrderStamps, clock: Clock) -> None:
        self._database = database
        self._stamps = stamps
        self._clock = clock

    async def owner(self, order_id: int) -> int | None:
        """Return the merchant whose order it is."""
        async with self._database.bulk() as connection:
            found: int | None = await connection.fetchval(_SQL["order_owner"], order_id)
        return found

    async def rows(self, merchant_id: int, order_id: int) -> tuple[ProofRows, Sequence[Stamp]]:
        """Return its rows and its stamps; an order from before there were stamps gets its first one now."""
        ids, public_ids = [order_id], self._stamps.public_ids
        async with self._database.transaction(merchant_id) as connection:
            # Locked: a step between two of the statements would be a stamp without its rows.
            locked = await connection.fetchrow(_SQL["lock_orders"], merchant_id, ids)
            if locked is None:
                raise NotFound
            if locked["unstamped"]:
                await self._stamps.extend(connection, merchant_id, {order_id: self._clock.now()})
            orders = await connection.fetch(_SQL["orders"], merchant_id, ids)
            found = await rows_of(connection, merchant_id, orders, public_ids)
            rows, stamps = found[order_id], await stamps_of(connection, merchant_id, ids, public_ids)
            events = [row["event_id"] for row in rows.event]
            rows.delivery.extend(map(dict, await connection.fetch(_SQL["deliveries"], merchant_id, events)))
        return rows, stamps.get(order_id, [])
