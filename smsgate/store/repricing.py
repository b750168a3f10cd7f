"""A month's messages and replies, streamed with what another price list asks of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from smsgate.flows.events import first_id_of
from smsgate.flows.repricing import SentRow
from smsgate.protocol.receipt_states import FINAL
from smsgate.store.catalogue import load
from smsgate.store.closing import PgClosing

_SQL: Final = load("repricing")
_FINALS: Final = sorted(FINAL)
BATCH_ROWS: Final = 5_000  # some 1 MB of Python objects at once


class PgRepricing(PgClosing):
    """Implements `repricing.RepricingStore`."""

    async def sent(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime
    ) -> AsyncIterator[Sequence[SentRow]]:
        async with self._database.report() as connection:
            cursor = await connection.cursor(
                _SQL["sent_of_span"], merchant_id, first_id_of(starts_at), first_id_of(ends_at), _FINALS
            )
            while rows := await cursor.fetch(BATCH_ROWS):
                yield [SentRow(*row) for row in rows]

    async def received(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime
    ) -> AsyncIterator[Sequence[tuple[int, int]]]:
        async with self._database.report() as connection:
            cursor = await connection.cursor(_SQL["received_of_span"], merchant_id, starts_at, ends_at)
            while rows := await cursor.fetch(BATCH_ROWS):
                yield [(row["msisdn"], row["segments"]) for row in rows]
