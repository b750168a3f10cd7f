"""What the ledger says of a merchant's months, and the price lists as data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from smsgate.flows.events import first_id_of
from smsgate.flows.usage_records import (
    MerchantPrices,
    MonthRow,
    PriceData,
    PriceItemRow,
    PriceListData,
    PriceVersionData,
    UsageRow,
)
from smsgate.store.catalogue import load
from smsgate.store.pool import Database

_SQL: Final = load("usage")
MONTHS_MAX: Final = 240  # rows of the list of months: twenty years of one currency
# A message is made when its chunk is claimed and sent soon after, or not at all; ids older than this are
# in partitions that need not be looked at.
CLAIMED_BEFORE_SENT: Final = timedelta(days=40)


class PgUsage:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def months(self, merchant_id: int, zone_name: str) -> Sequence[MonthRow]:
        async with self._database.reading(merchant_id) as connection:
            rows = await connection.fetch(_SQL["statement_months"], merchant_id, zone_name, MONTHS_MAX)
        return [MonthRow(*row) for row in rows]

    async def lines(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime, currency: str
    ) -> tuple[Sequence[UsageRow], int]:
        """Return revenue by campaign and price item, and how many messages are in doubt, of one snapshot."""
        id_min, id_end = first_id_of(starts_at - CLAIMED_BEFORE_SENT), first_id_of(ends_at)
        async with self._database.reading(merchant_id) as connection:
            rows = await connection.fetch(_SQL["statement_lines"], merchant_id, starts_at, ends_at, currency)
            unknown: int = await connection.fetchval(
                _SQL["unknown_messages"], merchant_id, starts_at, ends_at, id_min, id_end
            )
        return [UsageRow(*row) for row in rows], unknown


class PgPriceData:
    """Prices and who pays by them, for `flows.pricing`: all merchants at once, by the bulk role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> tuple[object, ...]:
        """Return something that differs when any list or version was added."""
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(_SQL["pricing_version"])
        assert row is not None
        return tuple(row)

    async def merchants(self) -> Sequence[MerchantPrices]:
        async with self._database.bulk() as connection:
            rows = await connection.fetch(_SQL["merchant_prices"])
        return [MerchantPrices(*row) for row in rows]

    async def prices(self) -> PriceData:
        async with self._database.bulk_transaction() as connection:
            lists = await connection.fetch(_SQL["price_lists"])
            versions = await connection.fetch(_SQL["price_versions"])
            items = await connection.fetch(_SQL["price_items"])
        return PriceData(
            [PriceListData(*row) for row in lists],
            [PriceVersionData(*row) for row in versions],
            [PriceItemRow(*row) for row in items],
        )
