"""What becomes of an Idempotency-Key when the database goes away in the middle of its request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smsgate.errors import StoreUnavailable
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.pool import Database
from smsgate.store.subscribers import PgSubscribers
from tests.api.api_server import Api, Caller, a_context, running

HASHES = SuppressionHashes(bytes(32))

NUMBER = "+33639980001"
HEADERS = {"Idempotency-Key": "k"}


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


def away(sqlstate: str) -> StoreUnavailable:
    error = StoreUnavailable("the database is away")
    error.sqlstate = sqlstate
    return error


async def add(merchant: Caller) -> tuple[int, str]:
    answer = await merchant.post("/v1/subscribers", {"msisdn": NUMBER}, headers=HEADERS)
    return answer.status, answer.body.get("code", "")


async def age_keys(api: Api, database: Database, age: timedelta) -> None:
    async with database.bulk() as connection:
        await connection.execute("UPDATE idempotency_key SET created_at = created_at - $1::interval", age)


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
