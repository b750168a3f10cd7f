"""Merchants, and the API keys of merchants and operator."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from smsgate.errors import Conflict, NotFound, StoreError
from smsgate.flows.commerce_records import Page
from smsgate.flows.ports_api import OPERATOR, KeyDraft, MerchantChange, MerchantDraft, MerchantRow, Principal
from smsgate.flows.test_mode import TEST_SUFFIX, PhoneBlock
from smsgate.security.api_keys import Mode
from smsgate.store.catalogue import load
from smsgate.store.notices import publish_key, publish_prices
from smsgate.store.pages import page_rows

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from smsgate.flows.commerce_records import PageAsk
    from smsgate.store.pool import Database

_SQL: Final = load("merchants")
_PRICES: Final = load("prices")
_MERCHANT_FIELDS: Final = tuple(field.name for field in fields(MerchantRow))
TEST_BLOCKS_LOCK: Final = (
    0x736D7367_00000007  # "smsg", 7: one test merchant takes a block of numbers at a time
)


class PgApiKeys:
    """Implements `ports_api.ApiKeyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, public_id: str) -> Principal | None:
        # Whose key it is, only this row tells: so no merchant's row-level security can apply yet.
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(_SQL["key_by_public_id"], public_id)
        return _principal(row) if row is not None else None

    async def touch(self, key_id: int, at: datetime) -> None:
        async with self._database.api() as connection:
            await connection.execute(_SQL["touch_key"], key_id, at)

    async def add(self, draft: KeyDraft, *, per_name_max: int, now: datetime) -> Principal:
        if draft.mode == Mode.TEST:
            await self._add_test_merchant(draft)
        async with self._database.transaction(draft.owner_id) as connection:
            if (
                draft.owner_id != OPERATOR
                and await connection.fetchrow(_SQL["operated_merchant"], draft.owner_id) is None
            ):
                raise NotFound
            await connection.execute(_SQL["lock_key_name"], draft.owner_id, draft.name)
            if (
                await connection.fetchval(_SQL["keys_of_name"], draft.owner_id, draft.name, now)
                >= per_name_max
            ):
                raise Conflict(
                    f"{per_name_max} keys of this name are in force: revoke one first.",
                    code="keys_of_name_max",
                )
            await connection.execute(
                _SQL["insert_key"], draft.key_id, draft.public_id, draft.owner_id, draft.mac, draft.name,
                draft.mode, list(draft.scopes), now, draft.expires_at,
            )  # fmt: skip
        found = await self.find(draft.public_id)
        assert found is not None
        return found

    async def _add_test_merchant(self, draft: KeyDraft) -> None:
        """Have a test merchant beside the key's owner, under the key's own id, which is as new as any."""
        async with (
            self._database.bulk_transaction() as connection
        ):  # numbers are given out among all merchants
            await connection.execute(_SQL["lock_test_blocks"], TEST_BLOCKS_LOCK)
            await connection.execute(_SQL["insert_test_merchant"], draft.owner_id, draft.key_id, TEST_SUFFIX)

    async def list(self, owner_id: int, ask: PageAsk) -> Page[Principal]:
        async with self._database.transaction(owner_id) as connection:
            if (
                owner_id != OPERATOR
                and await connection.fetchrow(_SQL["operated_merchant"], owner_id) is None
            ):
                raise NotFound
            rows, more = await page_rows(connection, _SQL["keys_page"], owner_id, ask)
        return Page([_principal(row) for row in rows], more)

    async def revoke(self, key_id: int, at: datetime) -> Principal:
        async with self._database.api() as connection, connection.transaction():
            row = await connection.fetchrow(_SQL["revoke_key"], key_id, at)
            if row is None:
                raise NotFound
            await publish_key(connection, row["public_id"])
        return _principal(row)


class PgMerchants:
    """Implements `ports_api.MerchantStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, draft: MerchantDraft) -> MerchantRow:
        try:
            async with self._database.transaction(draft.merchant_id) as connection:
                row = await connection.fetchrow(
                    _SQL["insert_merchant"], draft.merchant_id, draft.name, draft.slug, draft.country,
                    draft.language, draft.timezone, draft.currency, draft.contact,
                )  # fmt: skip
        except StoreError as exc:
            if exc.is_duplicate:
                raise Conflict(
                    f"The slug {draft.slug!r} is taken.", code="name_taken", pointer="/slug"
                ) from exc
            raise
        assert row is not None
        return _merchant(row)

    async def get(self, merchant_id: int) -> MerchantRow:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["merchant"], merchant_id)
        if row is None:
            raise NotFound
        return _merchant(row)

    async def operated(self, merchant_id: int) -> MerchantRow:
        """Return a merchant that the operator has made."""
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["operated_merchant"], merchant_id)
        if row is None:
            raise NotFound
        return _merchant(row)

    async def by_slug(self, slug: str) -> MerchantRow | None:
        """Return the merchant by the operator's handle; the operator's view, as `list`."""
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(_SQL["merchant_by_slug"], slug)
        return None if row is None else _merchant(row)

    async def list(self, ask: PageAsk) -> Page[MerchantRow]:
        async with self._database.bulk() as connection:  # the operator's view: no single merchant's
            rows, more = await page_rows(connection, _SQL["merchants_page"], OPERATOR, ask)
        return Page([_merchant(row) for row in rows], more)

    async def change(self, merchant_id: int, change: MerchantChange) -> MerchantRow:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(
                _SQL["change_merchant"],
                merchant_id,
                change.name,
                change.contact,
                change.state,
                change.sending_weight,
            )
            if row is None:
                raise NotFound
            if change.state is not None:
                for key in await connection.fetch(_SQL["public_ids_in_force"], merchant_id):
                    await publish_key(connection, key["public_id"])
        async with self._database.bulk() as connection:
            await connection.execute(_SQL["change_test_merchant"], merchant_id)
        return _merchant(row)

    async def set_price_list(self, merchant_id: int, price_list_id: int) -> MerchantRow:
        async with self._database.transaction(merchant_id) as connection:
            merchant = await connection.fetchrow(_SQL["operated_merchant"], merchant_id)
            prices = await connection.fetchrow(_PRICES["price_list"], price_list_id)
            if merchant is None or prices is None:
                raise NotFound
            if prices["side"] != "sell":
                raise Conflict("This list holds costs, not selling prices.", code="price_list_side")
            if prices["currency"] != merchant["currency"]:
                raise Conflict(
                    f"The list is in {prices['currency']}, the merchant in {merchant['currency']}.",
                    code="price_list_currency",
                )
            row = await connection.fetchrow(_SQL["set_price_list"], merchant_id, price_list_id)
            await publish_prices(connection)
        assert row is not None
        return _merchant(row)


def _principal(row: asyncpg.Record) -> Principal:
    block = row.get("test_block")
    phones = None if block is None else PhoneBlock(block, row["test_country"])
    return Principal(
        key_id=row["key_id"],
        public_id=row["public_id"],
        owner_id=row["owner_id"],
        mac=bytes(row["mac"]),
        name=row["name"],
        mode=row["mode"],
        scopes=frozenset(row["scopes"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        suspended=row["suspended"],
        phones=phones,
    )


def _merchant(row: asyncpg.Record) -> MerchantRow:
    return MerchantRow(*(row[name] for name in _MERCHANT_FIELDS))
