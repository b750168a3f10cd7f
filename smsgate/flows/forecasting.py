"""A month before its close: what its documents would say, and what receipts that wait may still charge."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from smsgate.billing.forecast import DELAYS, Awaited, DelayCurve, Expected, expected
from smsgate.billing.periods import Month
from smsgate.clock import Clock
from smsgate.flows.billing_records import MonthDraft
from smsgate.flows.closing import Closing

# Delays are those of messages that are older than receipts take, and not of another season.
OBSERVED: Final = timedelta(days=14)
OBSERVED_MESSAGES_MAX: Final = 50_000  # the newest of them: a share is then right to half a percent


class AwaitedOf(NamedTuple):
    currency: str
    awaited: Awaited


@dataclass(frozen=True, slots=True)
class Forecast:
    """`late`: by currency, only where receipts are awaited; `observed`: older messages it follows from."""

    month: MonthDraft
    late: Mapping[str, Expected]
    observed: int


class ForecastStore(Protocol):
    async def awaited(self, merchant_id: int, starts_at: datetime, ends_at: datetime) -> Sequence[AwaitedOf]:
        """Return the messages of delivered basis, by their acceptance, that have no final receipt."""
        ...

    async def delays(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime, messages_max: int
    ) -> DelayCurve:
        """Return how the newest messages of a time got their first final receipts."""
        ...


class Forecasting:
    """One at a time: a forecast reads all messages of the month, and waits for the one before."""

    def __init__(self, closing: Closing, store: ForecastStore, clock: Clock) -> None:
        self._closing = closing
        self._store = store
        self._clock = clock
        self._alone = asyncio.Lock()

    async def month(self, merchant_id: int, month: Month) -> Forecast:
        """Return a month that is not closed as it stands; raises as `Closing.draft` does."""
        async with self._alone:
            draft = await self._closing.draft(merchant_id, month)
            period, now = draft.period, self._clock.now()
            awaited: defaultdict[str, list[Awaited]] = defaultdict(list)
            for row in await self._store.awaited(merchant_id, period.starts_at, period.ends_at):
                awaited[row.currency].append(row.awaited)
            if not awaited:
                return Forecast(draft, {}, 0)
            ends_at = now - DELAYS[-1]
            curve = await self._store.delays(merchant_id, ends_at - OBSERVED, ends_at, OBSERVED_MESSAGES_MAX)
        late = {
            currency: expected(rows, curve, now, draft.close_at) for currency, rows in sorted(awaited.items())
        }
        return Forecast(draft, late, curve.messages)
