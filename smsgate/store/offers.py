"""Offers and their versions; also what the commerce use cases need to know of a merchant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import asyncpg

from smsgate.campaigns.offer_states import Drop
from smsgate.campaigns.orders import OrderTerms
from smsgate.errors import Conflict, NotFound, StoreError
from smsgate.flows.commerce_records import MerchantProfile, OfferChange, Page, PageAsk
from smsgate.flows.offer_records import NewOffer, OfferRecord
from smsgate.flows.records import OfferVersion
from smsgate.store.array_octets import ids_text, numbers_text, texts_text
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.events import insert_events
from smsgate.store.notices import publish_ended
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database

_SQL: Final = load("offers")
WITHDRAWN: Final = "withdrawn"  # `offer.state`; else 'live': what time and stock make of it is not stored


class PgOffers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def merchant(self, merchant_id: int) -> MerchantProfile:
        async with self._database.reading(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["merchant_profile"], merchant_id)
        if row is None:
            raise NotFound
        return MerchantProfile(*row)

    async def create(self, record: OfferRecord) -> None:
        """
        Write an offer with its first version.

        Raises:
            Conflict: code `external_id_taken`.
        """
        try:
            async with self._database.transaction(record.offer.merchant_id) as connection:
                await insert_offers(connection, record.offer.merchant_id, [record.as_new()])
        except StoreError as exc:
            raise taken(exc, record.external_id) from exc

    async def get(self, merchant_id: int, offer_id: int, version: int | None = None) -> OfferRecord:
        async with self._database.reading(merchant_id) as connection:
            if version is None:
                row = await connection.fetchrow(_SQL["offer"], merchant_id, offer_id)
            else:
                row = await connection.fetchrow(_SQL["offer_version"], merchant_id, offer_id, version)
        if row is None:
            raise NotFound
        return _record(row)

    async def page(self, merchant_id: int, ask: PageAsk, external_id: str | None = None) -> Page[OfferRecord]:
        async with self._database.reading(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["offers_page"], merchant_id, ask, external_id)
        return Page([_record(row) for row in rows], more)

    async def versions(self, merchant_id: int, offer_id: int, limit: int) -> list[OfferRecord]:
        """Return the newest versions, the newest first."""
        async with self._database.reading(merchant_id) as connection:
            rows = await connection.fetch(_SQL["versions"], merchant_id, offer_id, limit)
        if not rows:
            raise NotFound
        return [_record(row) for row in rows]

    async def owner(self, offer_id: int) -> int | None:
        """Return the merchant whose offer it is, for the operator."""
        async with self._database.bulk() as connection:
            found: int | None = await connection.fetchval(_SQL["offer_owner"], offer_id)
        return found

    async def change(
        self, merchant_id: int, offer_id: int, judge: Callable[[OfferRecord], OfferChange | None]
    ) -> tuple[OfferRecord, Sequence[int]]:
        """
        Do what `judge` says of the offer as it is under its lock; None changes nothing.

        Return the offer, and the campaigns of which nothing more may leave. Acceptances come before or after
        it, never between. What `judge` raises leaves all as it was.
        """
        async with self._database.transaction(merchant_id) as connection:
            # Read by a statement of its own: the locking one would see the version before it waited.
            await connection.fetchval(_SQL["lock_offer"], merchant_id, offer_id)
            row = await connection.fetchrow(_SQL["offer"], merchant_id, offer_id)
            if row is None:
                raise NotFound
            before = _record(row)
            change = judge(before)
            if change is None:
                return before, ()
            ended: Sequence[int] = ()
            after, offer = change.after, change.after.offer
            if offer.version != before.offer.version:
                await _insert_versions(
                    connection, merchant_id, [after.as_new()._replace(created_at=change.at)]
                )
            await connection.execute(
                _SQL["change_offer"], merchant_id, offer_id, offer.version,
                WITHDRAWN if after.withdrawn else "live", after.stock, after.stock_remaining,
            )  # fmt: skip
            if change.drop is not None:
                ended = await _end_campaigns(connection, change, change.drop)
            await insert_events(connection, change.events)
        return after, ended


def taken(error: StoreError, external_id: str | None) -> StoreError | Conflict:
    """Return what a refused insert means: `external_id` exists already, or `error` itself."""
    if error.is_duplicate and external_id is not None:
        return Conflict(
            f"external_id {external_id!r} exists already", code="external_id_taken", pointer="/external_id"
        )
    return error


async def insert_offers(connection: Connection, merchant_id: int, offers: Sequence[NewOffer]) -> None:
    """
    Write offers of one merchant, each with its first version.

    In the order of their external ids: two groups with the same ones never wait for each other in a circle.
    """
    offers = sorted(offers, key=lambda offer: offer.external_id or "")
    await connection.execute(
        _SQL["insert_offers"], merchant_id, ids_text([offer.offer_id for offer in offers]),
        texts_text([offer.external_id for offer in offers]),
        ids_text([offer.like.version for offer in offers]), numbers_text([offer.stock for offer in offers]),
        [offer.created_at for offer in offers],
    )  # fmt: skip
    await _insert_versions(connection, merchant_id, offers)


async def _insert_versions(connection: Connection, merchant_id: int, new: Sequence[NewOffer]) -> None:
    offers = [offer.like for offer in new]
    await connection.execute(
        _SQL["insert_offer_versions"], merchant_id, ids_text([offer.offer_id for offer in new]),
        ids_text([offer.version for offer in offers]),
        texts_text([offer.text for offer in offers]), texts_text([offer.shop_name for offer in offers]),
        texts_text([offer.item for offer in offers]), ids_text([offer.unit_price_minor for offer in offers]),
        texts_text([offer.currency for offer in offers]), ids_text([offer.quantity_max for offer in offers]),
        texts_text([offer.language for offer in offers]), texts_text([offer.country for offer in offers]),
        texts_text([offer.sender for offer in offers]), [offer.expires_at for offer in new],
        [offer.created_at for offer in new], texts_text([texts_text(offer.sender_pool) for offer in offers]),
        numbers_text([offer.ask_above_minor for offer in offers]), [offer.withdrawal for offer in offers],
        [offer.tlvs for offer in offers], ids_text([offer.terms.cancel_window_s for offer in offers]),
        ids_text([offer.terms.shop_answer_s for offer in offers]),
        [offer.terms.confirm_by_sms for offer in offers],
    )  # fmt: skip


async def _end_campaigns(connection: Connection, change: OfferChange, drop: Drop) -> list[int]:
    """End what still sends of the offer, in every process with the commit; drafts are of the new version."""
    offer = change.after.offer
    key = (offer.merchant_id, offer.offer_id)
    if not change.after.withdrawn:
        await connection.execute(_SQL["move_drafts"], *key, offer.version)
    below = offer.version + change.after.withdrawn
    rows = await connection.fetch(_SQL["end_campaigns"], *key, below, drop.value, change.at)
    for row in rows:
        await publish_ended(connection, offer.merchant_id, row["campaign_id"], drop)
    return [row["campaign_id"] for row in rows]


def _record(row: asyncpg.Record) -> OfferRecord:
    offer = OfferVersion(
        merchant_id=row["merchant_id"],
        offer_id=row["offer_id"],
        version=row["version"],
        text=row["text"],
        shop_name=row["shop_name"],
        item=row["item"],
        unit_price_minor=row["unit_price_minor"],
        currency=row["currency"],
        quantity_max=row["quantity_max"],
        language=row["language"],
        country=row["country"],
        sender=row["sender"],
        expires_at=row["expires_at"],
        sender_pool=tuple(row["sender_pool"]),
        ask_above_minor=row["ask_above_minor"],
        withdrawal=row["withdrawal"],
        tlvs=row["tlvs"],
        terms=OrderTerms(*(row[name] for name in OrderTerms._fields)),
    )
    return OfferRecord(
        offer,
        row["external_id"],
        row["stock"],
        row["stock_remaining"],
        row["offer_created_at"],
        withdrawn=row["state"] == WITHDRAWN,
    )
