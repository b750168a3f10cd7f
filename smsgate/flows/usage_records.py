"""What billing's use cases and their store hand to each other: ledger aggregates and price lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Revenue of a time span, by campaign, direction and price item."""

    campaign_id: int | None
    campaign_external_id: str | None
    direction: str
    item_id: int
    network: str
    unit_micros: int
    messages: int
    segments: int
    amount_micros: int


@dataclass(frozen=True, slots=True)
class MonthRow:
    month: str  # 2026-11
    currency: str
    messages: int
    segments: int
    amount_micros: int


@dataclass(frozen=True, slots=True)
class MerchantPrices:
    merchant_id: int
    price_list_id: int | None
    currency: str
    slug: str
    test: bool = False  # beside another merchant: it pays nothing


@dataclass(frozen=True, slots=True)
class PriceListData:
    price_list_id: int
    name: str
    side: str
    currency: str


@dataclass(frozen=True, slots=True)
class PriceVersionData:
    price_list_id: int
    version: int
    effective_from: datetime


@dataclass(frozen=True, slots=True)
class PriceItemRow:
    item_id: int
    price_list_id: int
    version: int
    direction: str
    network: str
    unit_micros: int
    basis: str = "submit"
    ladder: str | None = None  # JSON, as `billing.tiers.ladder_from_json` reads it


@dataclass(frozen=True, slots=True)
class PriceData:
    lists: Sequence[PriceListData]
    versions: Sequence[PriceVersionData]
    items: Sequence[PriceItemRow]
