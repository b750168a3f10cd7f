"""Receipts that are awaited, and how long they took before (implements flows.forecasting.ForecastStore)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from smsgate.billing.forecast import DELAYS, Awaited, DelayCurve
from smsgate.flows.events import first_id_of
from smsgate.flows.forecasting import AwaitedOf
from smsgate.protocol.receipt_states import FINAL
from smsgate.store.catalogue import load
from smsgate.store.pool import Database

_SQL: Final = load("forecast")
_FINALS: Final = sorted(FINAL)


class PgForecasts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def awaited(self, merchant_id: int, starts_at: datetime, ends_at: datetime) -> Sequence[AwaitedOf]:
        async with self._database.report() as connection:
            rows = await connection.fetch(
                _SQL["awaited"], merchant_id, first_id_of(starts_at), first_id_of(ends_at), _FINALS
            )
        return [AwaitedOf(currency, Awaited(*row)) for currency, *row in rows]

    async def delays(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime, messages_max: int
    ) -> DelayCurve:
        async with self._database.report() as connection:
            rows = await connection.fetch(
                _SQL["delays"], merchant_id, first_id_of(starts_at), first_id_of(ends_at), messages_max,
                _FINALS, list(DELAYS),
            )  # fmt: skip
        delivered, final = [0] * (len(DELAYS) + 1), [0] * (len(DELAYS) + 1)
        for row in rows:
            if row["place"] is not None:
                final[row["place"]] += row["messages"]
                delivered[row["place"]] += row["messages"] if row["delivered"] else 0
        return DelayCurve(sum(row["messages"] for row in rows), delivered, final)
