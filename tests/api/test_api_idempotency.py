"""What becomes of an Idempotency-Key when the database goes away in the middle of its request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from smsgate.errors import StoreUnavailable
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.idempotency import PgIdempotency
from smsgate.store.imports import PgImports
from smsgate.store.pool import Database
from smsgate.store.subscribers import PgSubscribers
from tests.api.api_server import Api, Caller, a_context, running

HASHES = SuppressionHashes(bytes(32))

NUMBER = "+33639980001"
HEADERS = {"Idempotency-Key": "k"}
ROW = (
    b'{"msisdn": "+33639980001", "consent_at": "2026-05-01T12:00:00Z", "consent_source": "form", '
    b'"wording_version": "1"}\n'
)


class Failing(PgSubscribers):
    """Does its work, and then `error` comes of it; `done` False: comes before it."""

    def __init__(self, database: Database, error: Exception | None, *, done: bool) -> None:
        super().__init__(database, HASHES)
        self._error, self._done = error, done

    async def add(self, *given: Any, **named: Any) -> Any:
        if self._done:
            await super().add(*given, **named)
        if self._error is not None:
            raise self._error
        return await super().add(*given, **named)


class Away(PgImports):
    """A database that goes away before the import's first rows are in."""

    sqlstate = "57P01"

    async def put(self, *given: Any, **named: Any) -> Any:
        raise away(self.sqlstate)


class Cut(Away):
    """One whose connection breaks, so that nobody knows what it did."""

    sqlstate = "08006"


class StillAway(PgIdempotency):
    """A database that is not back when the key is to be freed."""

    async def release(self, owner_id: int, key: str, reserved_at: datetime) -> None:
        raise away("57P03")


def away(sqlstate: str) -> StoreUnavailable:
    error = StoreUnavailable("the database is away")
    error.sqlstate = sqlstate
    return error


async def add(merchant: Caller) -> tuple[int, str]:
    answer = await merchant.post("/v1/subscribers", {"msisdn": NUMBER}, headers=HEADERS)
    return answer.status, answer.body.get("code", "")


async def import_(merchant: Caller, data: Any = ROW) -> tuple[int, str]:
    headers = {**HEADERS, "Content-Type": "application/x-ndjson"}
    answer = await merchant.post("/v1/imports", data=data, headers=headers)
    return answer.status, answer.body.get("code", "")


async def age_keys(api: Api, database: Database, age: timedelta) -> None:
    async with database.bulk() as connection:
        await connection.execute(
            "UPDATE idempotency_key SET created_at = created_at - $1::interval, "
            "abandoned_at = abandoned_at - $1::interval",
            age,
        )


@pytest.mark.parametrize("error", [away("08006"), away("57P01"), away("40003"), TimeoutError()])
async def test_a_key_stays_taken_while_it_is_unknown_whether_the_work_was_committed(
    database: Database, error: Exception
) -> None:
    context = a_context(database)
    async with running(context) as api:
        merchant = await api.merchant()
        context.subscribers = Failing(database, error, done=True)
        assert (await add(merchant))[0] == 503
        context.subscribers = PgSubscribers(database, HASHES)
        assert await add(merchant) == (409, "idempotency_in_flight")
        await age_keys(api, database, timedelta(seconds=119))
        assert await add(merchant) == (409, "idempotency_in_flight")
        await age_keys(api, database, timedelta(seconds=2))
        assert await add(merchant) == (409, "subscriber_exists"), "it runs again, as docs/api.md says"


@pytest.mark.parametrize("sqlstate", ["53300", "55P03", "40001"])
async def test_a_key_is_free_at_once_when_nothing_can_have_been_committed(
    database: Database, sqlstate: str
) -> None:
    context = a_context(database)
    async with running(context) as api:
        merchant = await api.merchant()
        context.subscribers = Failing(database, away(sqlstate), done=False)
        assert (await add(merchant))[0] == 503
        context.subscribers = PgSubscribers(database, HASHES)
        assert (await add(merchant))[0] == 201


async def test_an_imports_key_is_free_two_minutes_after_its_process_died(
    database: Database,
) -> None:
    async with running(a_context(database)) as api:
        merchant = await api.merchant()
        async with database.control() as connection:
            owner = await connection.fetchval("SELECT max(merchant_id) FROM merchant")
            await connection.execute(
                "INSERT INTO idempotency_key (merchant_id, key, fingerprint) VALUES ($1, 'k', '')", owner
            )
        await age_keys(api, database, timedelta(seconds=119))
        assert await import_(merchant) == (409, "idempotency_in_flight")
        await age_keys(api, database, timedelta(seconds=2))
        assert await import_(merchant) == (201, "")


async def test_an_import_over_a_slow_line_keeps_its_key(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsgate.api.alive.INTERVAL_S", 0.02)
    rest = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield ROW[:10]
        await rest.wait()
        yield ROW[10:]

    async with running(a_context(database)) as api:
        merchant = await api.merchant()
        importing = asyncio.create_task(import_(merchant, slow()))
        async with asyncio.timeout(30), database.control() as connection:
            while not await connection.fetchval("SELECT count(*) FROM idempotency_key"):
                await asyncio.sleep(0.01)
            await age_keys(api, database, timedelta(hours=7))
            while await connection.fetchval(
                "SELECT least(created_at, abandoned_at) < now() - interval '1 h' FROM idempotency_key"
            ):
                await asyncio.sleep(0.01)
        assert await import_(merchant) == (409, "idempotency_in_flight")
        rest.set()
        assert await importing == (201, "")
        assert await import_(merchant) == (201, "")


@pytest.mark.parametrize("imports", [Away, Cut])
async def test_an_import_that_failed_may_be_sent_again_at_once(
    database: Database, imports: type[Away]
) -> None:
    context = a_context(database)
    async with running(context) as api:
        merchant = await api.merchant()
        context.imports = imports(database, HASHES)
        assert (await import_(merchant))[0] == 503
        context.imports = PgImports(database, HASHES)
        assert await import_(merchant) == (201, "")


async def test_an_imports_key_frees_itself_where_the_database_was_away_when_it_failed(
    database: Database,
) -> None:
    context = a_context(database)
    async with running(context) as api:
        merchant = await api.merchant()
        context.imports, context.idempotency = Away(database, HASHES), StillAway(database)
        assert (await import_(merchant))[0] == 503
        context.imports, context.idempotency = PgImports(database, HASHES), PgIdempotency(database)
        assert await import_(merchant) == (409, "idempotency_in_flight")
        await age_keys(api, database, timedelta(seconds=121))
        assert await import_(merchant) == (201, "")
