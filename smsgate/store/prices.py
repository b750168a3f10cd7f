"""Price lists: versions are added, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsgate.errors import Conflict, Invalid, NotFound, StoreError
from smsgate.flows.commerce_records import Page
from smsgate.flows.ports_api import OPERATOR, PriceItem, PriceListRow, PriceVersionRow
from smsgate.store.catalogue import load
from smsgate.store.notices import publish_prices
from smsgate.store.pages import page_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from smsgate.flows.commerce_records import PageAsk
    from smsgate.store.pool import Database

_SQL: Final = load("prices")
DUPLICATE_KEY: Final = "23505"


class PgPrices:
    """Implements `ports_api.PriceStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_list(
        self, price_list_id: int, name: str, side: str, currency: str, now: datetime
    ) -> PriceListRow:
        try:
            async with self._database.api() as connection:
                await connection.execute(_SQL["insert_list"], price_list_id, name, side, currency, now)
        except StoreError as exc:
            if exc.sqlstate == DUPLICATE_KEY:
                raise Conflict(f"The name {name!r} is taken.", code="name_taken", pointer="/name") from exc
            raise
        return PriceListRow(price_list_id, name, side, currency, now)

    async def lists(self, ask: PageAsk) -> Page[PriceListRow]:
        async with self._database.api() as connection:
            rows, more = await page_rows(connection, _SQL["lists_page"], OPERATOR, ask)
        return Page([_list(row) for row in rows], more)

    async def publish(
        self,
        price_list_id: int,
        effective_from: datetime,
        items: Sequence[PriceItem],
        *,
        item_id_base: int,
        source_sha256: bytes,
        now: datetime,
        not_before: datetime,
    ) -> PriceVersionRow:
        try:
            async with self._database.api() as connection, connection.transaction():
                if await connection.fetchrow(_SQL["price_list"], price_list_id) is None:
                    raise NotFound("No such object.")
                await connection.execute(_SQL["lock_list"], price_list_id)
                last = await connection.fetchval(_SQL["last_version"], price_list_id)
                if last and effective_from < not_before:
                    raise Invalid(
                        "Prices cannot change in the past; only a list's first version may start there.",
                        code="effective_from_past",
                        pointer="/effective_from",
                    )
                version = last + 1
                await connection.execute(
                    _SQL["insert_version"], price_list_id, version, effective_from, source_sha256, now
                )
                await connection.execute(
                    _SQL["insert_items"], price_list_id, version, item_id_base,
                    [item.direction for item in items], [item.network for item in items],
                    [item.unit_micros for item in items],
                )  # fmt: skip
                await publish_prices(connection)
        except StoreError as exc:
            if exc.sqlstate == DUPLICATE_KEY:
                raise Conflict(
                    "A version from this instant exists.",
                    code="effective_from_taken",
                    pointer="/effective_from",
                ) from exc
            raise
        return PriceVersionRow(price_list_id, version, effective_from, now, tuple(items))


def _list(row: asyncpg.Record) -> PriceListRow:
    return PriceListRow(row["price_list_id"], row["name"], row["side"], row["currency"], row["created_at"])
