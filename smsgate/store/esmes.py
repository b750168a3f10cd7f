"""Accounts of other companies' ESMEs (implements flows.ports_esmes.EsmeAccountStore)."""

from __future__ import annotations

from typing import Final

import asyncpg

from smsgate.errors import Conflict, NotFound, StoreError
from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.esme_records import AccountDraft, EsmeAccount, Purpose
from smsgate.store.catalogue import load
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database

_SQL: Final = load("esmes")
_MERCHANTS: Final = load("merchants")


class PgEsmeAccounts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, draft: AccountDraft) -> EsmeAccount:
        try:
            async with self._database.transaction(draft.merchant_id) as connection:
                if await connection.fetchrow(_MERCHANTS["merchant"], draft.merchant_id) is None:
                    raise NotFound
                await connection.execute(
                    _SQL["insert_account"], draft.merchant_id, draft.account_id, draft.system_id,
                    draft.purpose.value, draft.password_mac, list(draft.senders), draft.binds_max,
                    draft.window_max, draft.rate_per_s, draft.queue_max, draft.daily_max,
                    draft.allow_binary, draft.join_mo,
                )  # fmt: skip
                await connection.execute(
                    _SQL["insert_numbers"], draft.merchant_id, draft.account_id, list(draft.numbers)
                )
        except StoreError as exc:
            if exc.is_duplicate:
                raise Conflict(
                    f"The system_id {draft.system_id!r}, or one of the numbers, belongs to another account.",
                    code="name_taken",
                ) from exc
            raise
        return await self._found(draft.account_id)

    async def all(self) -> list[EsmeAccount]:
        async with self._database.bulk() as connection:
            return [_account(row) for row in await connection.fetch(_SQL["accounts"], None, None)]

    async def by_system_id(self, system_id: str) -> EsmeAccount | None:
        async with self._database.bulk() as connection:  # whose it is, only this row tells
            row = await connection.fetchrow(_SQL["accounts"], system_id, None)
        return None if row is None else _account(row)

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[EsmeAccount]:
        async with self._database.transaction(merchant_id) as connection:
            if await connection.fetchrow(_MERCHANTS["merchant"], merchant_id) is None:
                raise NotFound
            rows, more = await page_rows(connection, _SQL["accounts_page"], merchant_id, ask)
        return Page([_account(row) for row in rows], more)

    async def set_password(self, account_id: int, password_mac: bytes) -> EsmeAccount:
        async with self._database.bulk() as connection:  # the operator's view: no single merchant's
            if await connection.fetchval(_SQL["set_password"], account_id, password_mac) is None:
                raise NotFound
        return await self._found(account_id)

    async def set_active(self, account_id: int, *, active: bool) -> EsmeAccount:
        async with self._database.bulk() as connection:
            state = "active" if active else "disabled"
            if await connection.fetchval(_SQL["set_state"], account_id, state) is None:
                raise NotFound
        return await self._found(account_id)

    async def _found(self, account_id: int) -> EsmeAccount:
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(_SQL["accounts"], None, account_id)
        assert row is not None
        return _account(row)


def _account(row: asyncpg.Record) -> EsmeAccount:
    return EsmeAccount(
        merchant_id=row["merchant_id"],
        account_id=row["account_id"],
        system_id=row["system_id"],
        purpose=Purpose(row["purpose"]),
        active=row["active"],
        password_mac=bytes(row["password_mac"]),
        senders=tuple(row["senders"]),
        numbers=tuple(row["numbers"]),
        binds_max=row["binds_max"],
        window_max=row["window_max"],
        rate_per_s=row["rate_per_s"],
        queue_max=row["queue_max"],
        daily_max=row["daily_max"],
        allow_binary=row["allow_binary"],
        join_mo=row["join_mo"],
        slug=row["slug"],
        created_at=row["created_at"],
    )
