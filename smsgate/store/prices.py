"""Price lists: versions are added, never changed."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from smsgate.billing.price_seals import seal
from smsgate.errors import Conflict, Invalid, NotFound, StoreError
from smsgate.flows.commerce_records import Page
from smsgate.flows.ports_api import OPERATOR, NewPrices, PriceItem, PriceListRow, PriceVersionRow
from smsgate.flows.publishing import billable, check_ladders
from smsgate.store.catalogue import load
from smsgate.store.notices import publish_prices
from smsgate.store.pages import page_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from smsgate.flows.commerce_records import PageAsk
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

_SQL: Final = load("prices")


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
            if exc.is_duplicate:
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
        prices: Sequence[NewPrices],
        *,
        source_sha256: bytes,
        now: datetime,
        not_before: datetime,
        last_version: int | None = None,
    ) -> Sequence[PriceVersionRow]:
        try:
            async with self._database.api() as connection, connection.transaction():
                prices_of = await connection.fetchrow(_SQL["price_list"], price_list_id)
                if prices_of is None:
                    raise NotFound
                await connection.execute(_SQL["lock_list"], price_list_id)
                published = await connection.fetchrow(_SQL["published"], price_list_id)
                assert published is not None
                last: int = published["last_version"]
                if last_version not in {None, last}:
                    raise Conflict(
                        f"Version {last} was published meanwhile: look at the differences again.",
                        code="prices_changed",
                    )
                for place, version in enumerate(prices):
                    if last:
                        _check_start(version.effective_from, not_before, published["begins_at"])
                    await _insert(connection, prices_of, last + 1 + place, version, source_sha256, now)
                await publish_prices(connection)
        except StoreError as exc:
            if exc.is_duplicate:
                raise Conflict(
                    "A version from this instant exists.",
                    code="effective_from_taken",
                    pointer="/effective_from",
                ) from exc
            raise
        return [
            PriceVersionRow(
                price_list_id, last + 1 + place, version.effective_from, now, tuple(version.items)
            )
            for place, version in enumerate(prices)
        ]

    async def versions(self, price_list_id: int, limit: int) -> Sequence[PriceVersionRow]:
        async with self._database.api() as connection, connection.transaction():
            if await connection.fetchrow(_SQL["price_list"], price_list_id) is None:
                raise NotFound
            rows = await connection.fetch(_SQL["versions"], price_list_id, limit)
            items: defaultdict[int, list[PriceItem]] = defaultdict(list)
            numbers = [row["version"] for row in rows]
            for row in await connection.fetch(_SQL["items_of"], price_list_id, numbers):
                items[row["version"]].append(_item(row))
        return [
            PriceVersionRow(
                price_list_id,
                row["version"],
                row["effective_from"],
                row["published_at"],
                tuple(items[row["version"]]),
            )
            for row in rows
        ]


def _check_start(at: datetime, not_before: datetime, begins_at: datetime) -> None:
    """
    Refuse prices that would be others than those by which messages were charged.

    `begins_at`: of the list's first version, which holds before that, too (`flows.rates`).
    """
    if at < not_before:
        why = (
            "Prices cannot change in the past, nor before every node knows of it: from "
            f"{not_before.isoformat(timespec='seconds')} on. Only a list's first version may."
        )
    elif at < begins_at:
        why = (
            f"The list begins at {begins_at.isoformat(timespec='seconds')}, and what is sent before that has "
            "the prices of its first version. Publish these to another list."
        )
    else:
        return
    raise Invalid(why, code="effective_from_past", pointer="/effective_from")


async def _insert(
    connection: Connection,
    prices: asyncpg.Record,
    number: int,
    version: NewPrices,
    source_sha256: bytes,
    now: datetime,
) -> None:
    items, list_id = version.items, prices["price_list_id"]
    check_ladders(prices["side"], any(item.ladder is not None for item in items))
    judged = billable(items, version.item_id_base)
    sealed = seal(prices["side"], prices["currency"], version.effective_from, judged)
    await connection.execute(
        _SQL["insert_version"], list_id, number, version.effective_from, source_sha256, now, sealed
    )
    await connection.execute(
        _SQL["insert_items"], list_id, number, version.item_id_base,
        [item.direction for item in items], [item.network for item in items],
        [item.unit_micros for item in items], [item.basis for item in items], [item.ladder for item in items],
    )  # fmt: skip


def _item(row: asyncpg.Record) -> PriceItem:
    return PriceItem(row["direction"], row["network"], row["unit_micros"], row["basis"], row["ladder"])


def _list(row: asyncpg.Record) -> PriceListRow:
    return PriceListRow(row["price_list_id"], row["name"], row["side"], row["currency"], row["created_at"])
