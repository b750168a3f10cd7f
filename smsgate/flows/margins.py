"""What is left of what merchants pay, from the entries that bill them; and prices that lose money."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from smsgate.billing.periods import Month
from smsgate.clock import Clock
from smsgate.errors import Invalid
from smsgate.flows.price_watch import Loss, losses_at
from smsgate.flows.pricing import Pricing

ROWS_MAX: Final = 100_000  # merchants x campaigns x carriers of a month in one report: some 50 MB


class By(StrEnum):
    MERCHANT = "merchant"
    CAMPAIGN = "campaign"
    CARRIER = "carrier"


class MarginRow(NamedTuple):
    """
    One merchant, campaign (None: outside any), carrier and currency; both sides of its ledger entries.

    `uncosted_segments` went to phones, and what they cost is not known, or in another currency: then they are
    in rows of their own.
    """

    merchant_id: int
    merchant: str
    campaign_id: int | None
    external_id: str
    carrier: str
    currency: str
    messages: int
    segments: int
    revenue_micros: int
    cost_micros: int
    uncosted_segments: int


@dataclass(slots=True)
class Margin:
    merchant: str
    campaign_id: int | None
    external_id: str
    carrier: str
    currency: str
    messages: int = 0
    segments: int = 0
    revenue_micros: int = 0
    cost_micros: int = 0
    uncosted_segments: int = 0

    @property
    def margin_micros(self) -> int:
        return self.revenue_micros - self.cost_micros

    @property
    def loses(self) -> bool:
        return self.margin_micros < 0


@dataclass(frozen=True, slots=True)
class MarginReport:
    month: Month
    by: By
    margins: Sequence[Margin]
    losses: Sequence[Loss]


class MarginStore(Protocol):
    async def margins(self, month: Month, merchant_id: int | None, rows_max: int) -> Sequence[MarginRow]:
        """Return a month of each merchant's own zone, from one snapshot."""
        ...


_KEYS: Final[dict[By, Callable[[MarginRow], tuple[str, int | None, str, str]]]] = {
    By.MERCHANT: lambda row: (row.merchant, None, "", ""),
    By.CAMPAIGN: lambda row: (row.merchant, row.campaign_id, row.external_id, ""),
    By.CARRIER: lambda row: ("", None, "", row.carrier),
}


class Margins:
    """`cost_lists` are those of carriers that are configured now: another one costs nobody anything."""

    def __init__(
        self, store: MarginStore, pricing: Pricing, clock: Clock, cost_lists: Callable[[], Collection[str]]
    ) -> None:
        self._store = store
        self._pricing = pricing
        self._clock = clock
        self._cost_lists = cost_lists

    async def report(self, month: Month, by: By, merchant_id: int | None = None) -> MarginReport:
        """
        Add the month up by `by`, the smallest margin first; currencies are never added.

        Raises:
            Invalid: code `report_too_large`: ask for one merchant at a time.
        """
        rows = await self._store.margins(month, merchant_id, ROWS_MAX + 1)
        if len(rows) > ROWS_MAX:
            raise Invalid(
                f"the report has more than {ROWS_MAX} rows: name a merchant", code="report_too_large"
            )
        await self._pricing.refresh()
        losses = losses_at(self._clock.now(), self._pricing, self._cost_lists())
        return MarginReport(month, by, added_up(rows, by), losses)


def added_up(rows: Sequence[MarginRow], by: By) -> list[Margin]:
    """Return the rows' sums by merchant, campaign or carrier, and currency; what loses most comes first."""
    sums: defaultdict[tuple[str, int | None, str, str, str], list[MarginRow]] = defaultdict(list)
    for row in rows:
        sums[*_KEYS[by](row), row.currency].append(row)
    margins = [
        Margin(
            *key,
            messages=sum(row.messages for row in group),
            segments=sum(row.segments for row in group),
            revenue_micros=sum(row.revenue_micros for row in group),
            cost_micros=sum(row.cost_micros for row in group),
            uncosted_segments=sum(row.uncosted_segments for row in group),
        )
        for key, group in sums.items()
    ]
    return sorted(
        margins,
        key=lambda margin: (margin.margin_micros, margin.merchant, margin.campaign_id or 0, margin.carrier),
    )
