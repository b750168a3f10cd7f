"""The store's door: errors are ours, retries are bounded, sessions are what their role says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from smsgate.errors import StoreError, StoreNotReady, StoreUnavailable
from smsgate.store import pool
from smsgate.store.catalogue import load
from smsgate.store.connection import RETRY_DELAYS_S, retry_transaction, translate
from smsgate.store.dsn import Dsns
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database, PoolSizes
from tests.store.embedded_clusters import a_server


class Naps:
    """A sleep that only counts."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("08006", StoreUnavailable),
        ("40001", StoreUnavailable),
        ("40P01", StoreUnavailable),
        ("57P01", StoreUnavailable),
        ("57014", StoreUnavailable),
        ("55P03", StoreUnavailable),
        ("53300", StoreUnavailable),
        ("23505", StoreError),
        ("22012", StoreError),
        ("42501", StoreError),
        ("XX000", StoreError),
    ],
)
async def test_every_sqlstate_becomes_one_of_our_errors(
    database: Database, sqlstate: str, kind: type[StoreError]
) -> None:
    with pytest.raises(StoreError) as caught:
        async with database.bulk() as connection:
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$")
    assert type(caught.value) is kind
    assert caught.value.sqlstate == sqlstate
    assert isinstance(caught.value.__cause__, asyncpg.PostgresError)


async def test_what_postgresql_says_is_one_line(database: Database) -> None:
    with pytest.raises(StoreError) as caught:
        async with database.bulk() as connection:
            await connection.execute(
                "DO $$ BEGIN"
                " RAISE EXCEPTION 'no' USING DETAIL = E'Because of\nthis.', HINT = 'Do that.'; END $$"
            )
    assert str(caught.value) == "no. Because of this. Do that"


async def test_a_row_that_is_refused_is_not_told(database: Database) -> None:
    with pytest.raises(StoreError) as caught:
        async with database.bulk() as connection:
            await connection.execute(
                "DO $$ BEGIN CREATE TEMP TABLE one (msisdn bigint PRIMARY KEY) ON COMMIT DROP;"
                " INSERT INTO one VALUES (33612345678), (33612345678); END $$"
            )
    assert str(caught.value) == 'duplicate key value violates unique constraint "one_pkey"'


async def test_a_value_that_is_refused_is_not_told(database: Database) -> None:
    said = []
    for sql, values in (("SELECT 'a text of 33612345678'::bigint", ()), ("SELECT $1::int", ("33612345678",))):
        with pytest.raises(StoreError) as caught:
            async with database.bulk() as connection:
                await connection.execute(sql, *values)
        said.append(str(caught.value))
    assert said == ["InvalidTextRepresentationError", "DataError"]


async def test_a_wrong_argument_is_a_store_error_and_not_retryable(database: Database) -> None:
    with pytest.raises(StoreError) as caught:
        async with database.bulk() as connection:
            await connection.fetchval("SELECT $1::int", "seven")
    assert type(caught.value) is StoreError


def test_errors_that_are_not_the_databases_pass() -> None:
    with pytest.raises(KeyError):
        with translate():
            raise KeyError("x")
    with pytest.raises(asyncio.CancelledError):
        with translate():
            raise asyncio.CancelledError


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await Database.open(Dsns(f"postgresql://u@/x?host={tmp_path}"))


async def test_a_dsn_that_cannot_be_read_is_a_sentence_without_the_password() -> None:
    with pytest.raises(StoreNotReady) as caught:
        await Database.open(Dsns("postgresql://localhost:pass/word@db/x"))
    assert "pass" not in str(caught.value)


async def test_a_pool_that_is_used_up_is_unavailable_after_a_while(
    postgres_server: EmbeddedPostgres, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "ACQUIRE_TIMEOUT_S", 0.05)
    async with await Database.open(
        postgres_server, database=database_name, migrate=False, sizes=PoolSizes(api=1)
    ) as opened:
        async with opened.api():
            with pytest.raises(StoreUnavailable):
                async with opened.api():
                    pass


async def test_a_connection_that_the_server_ended_is_unavailable_and_the_next_one_works(
    database: Database,
) -> None:
    async def use_a_connection_that_is_ended() -> None:
        async with database.bulk_transaction() as connection:
            victim = await connection.fetchval("SELECT pg_backend_pid()")
            admin = await database.connect("sg_admin")
            await admin.execute("SELECT pg_terminate_backend($1, 5000)", victim)
            await admin.close()
            await connection.fetchval("SELECT 1")

    with pytest.raises(StoreUnavailable) as caught:
        await use_a_connection_that_is_ended()
    assert caught.value.retryable
    async with database.bulk() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_serialization_failure_is_retried_until_it_works(database: Database) -> None:
    """Two transactions that read what the other writes: PostgreSQL lets one of them commit."""
    async with database.control() as connection:
        await connection.execute("CREATE TABLE stock (n int); INSERT INTO stock VALUES (0)")
    met, tries = asyncio.Barrier(2), 0

    async def add() -> None:
        nonlocal tries
        tries += 1
        first = tries <= 2
        async with database.control() as connection, connection.transaction(isolation="serializable"):
            n = await connection.fetchval("SELECT n FROM stock")
            if first:
                await met.wait()
            await connection.execute("UPDATE stock SET n = $1", n + 1)

    naps = Naps()
    await asyncio.gather(*(retry_transaction(add, idempotent=False, sleep=naps) for _ in range(2)))
    async with database.control() as connection:
        assert await connection.fetchval("SELECT n FROM stock") == 2
    assert naps.taken == [RETRY_DELAYS_S[0]]


@pytest.mark.parametrize(
    ("sqlstate", "idempotent", "attempts"),
    [
        ("40001", False, 6),
        ("55P03", False, 6),
        ("08006", True, 6),
        ("57P01", True, 6),
        ("XX000", True, 6),
        ("08006", False, 1),  # whether the commit took effect is not known
        ("57P01", False, 1),
        ("40003", False, 1),
        ("XX000", False, 1),
        ("23505", True, 1),
        ("57014", True, 1),
        ("", True, 1),
    ],
)
async def test_what_may_help_is_tried_again_and_not_for_ever(
    sqlstate: str, idempotent: bool, attempts: int
) -> None:
    naps, calls = Naps(), 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        error = StoreError("no")
        error.sqlstate = sqlstate
        raise error

    with pytest.raises(StoreError):
        await retry_transaction(work, idempotent=idempotent, sleep=naps)
    assert calls == attempts
    assert naps.taken == list(RETRY_DELAYS_S[: attempts - 1])


async def test_a_server_below_the_floor_is_refused(
    postgres_server: EmbeddedPostgres, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SERVER_MIN", 190_000)
    with pytest.raises(StoreNotReady, match="needs 19 or later"):
        await Database.open(postgres_server, database=database_name)


async def test_sessions_are_named_in_utc_and_polite_to_citus(database: Database) -> None:
    async with database.bulk() as connection:
        assert await connection.fetchval("SHOW application_name") == "smsgate sg_bulk"
        assert await connection.fetchval("SHOW timezone") == "UTC"
        assert await connection.fetchval("SHOW citus.max_adaptive_executor_pool_size") == "1"


async def test_by_dsn_the_role_is_the_sessions_default_and_survives_a_reset(
    postgres_server: EmbeddedPostgres, database_name: str
) -> None:
    dsns = Dsns(postgres_server.dsn("sg_admin", database_name))
    async with await Database.open(dsns, sizes=PoolSizes(api=1)) as opened:
        async with opened.api() as connection:
            await connection.execute("SET ROLE sg_bulk")
        async with opened.api() as connection:
            assert await connection.fetchval("SELECT current_user") == "sg_api"
            await connection.execute("RESET ALL")
            assert await connection.fetchval("SELECT current_user") == "sg_api"
        async with opened.transaction(3) as connection:
            assert await connection.fetchval("SELECT current_setting('app.merchant')") == "3"
            assert await connection.fetchval("SELECT current_user") == "sg_api"


async def test_what_one_left_on_a_session_of_the_api_the_next_does_not_find(
    postgres_server: EmbeddedPostgres, database_name: str
) -> None:
    dsns = Dsns(postgres_server.dsn("sg_admin", database_name))

    async def fail(leave: str) -> None:
        async with opened.transaction(3) as connection:
            await connection.execute(leave)
            await connection.execute("SELECT 1/0")

    async with await Database.open(dsns, sizes=PoolSizes(api=1)) as opened:
        for leave in ("SELECT set_config('app.merchant', '7', false)", "SET ROLE sg_bulk", "BEGIN"):
            async with opened.api() as connection:
                await connection.execute(leave)
            async with opened.api() as connection:
                assert not await connection.fetchval("SELECT current_setting('app.merchant', true)")
                assert await connection.fetchval("SELECT current_user") == "sg_api"
                await connection.execute(leave)
            async with opened.transaction(3) as connection:
                assert await connection.fetchval("SELECT current_setting('app.merchant')") == "3"
                assert await connection.fetchval("SELECT current_user") == "sg_api"
            async with opened.reading(5) as connection:
                assert await connection.fetchval("SELECT current_setting('app.merchant')") == "5"
                assert await connection.fetchval("SELECT current_user") == "sg_api"
            with pytest.raises(StoreError, match="zero"):
                await fail(leave)
            async with opened.transaction(4) as connection, connection.transaction():
                assert await connection.fetchval("SELECT current_setting('app.merchant')") == "4"
                assert await connection.fetchval("SELECT current_user") == "sg_api"


async def test_the_whole_way_from_nothing_to_an_open_database(reachable_dir: Path) -> None:
    async with a_server(reachable_dir) as server, await Database.open(server) as opened:
        assert opened.migrated
        async with opened.report() as connection:
            assert await connection.fetchval("SELECT count(*) FROM message") == 0


async def test_a_statement_that_is_planned_once_is_not_planned_for_each_message(database: Database) -> None:
    """As PgMessages.get reads: a plan that knows the id has one partition of many, and is made anew."""
    counts = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
    sql = load("messages")["message"]
    async with database.transaction(7, planned_once=True) as connection:
        for message_id in range(6):
            assert await connection.fetchrow(sql, 7, message_id, [2]) is None
        assert tuple(await connection.fetchrow(counts, sql) or ()) == (6, 0)
    async with database.transaction(7) as connection:
        assert await connection.fetchval("SHOW plan_cache_mode") == "auto"


async def test_who_reads_sees_one_snapshot_of_one_merchant_and_writes_nothing(database: Database) -> None:
    sql = "SELECT current_setting('app.merchant'), pg_current_snapshot()::text"

    async def write() -> None:
        async with database.reading(7) as connection:
            await connection.execute("DELETE FROM offer WHERE merchant_id = 7")

    async with database.reading(7) as connection:
        first = await connection.fetchrow(sql)
        async with database.control() as another:
            await another.execute("CREATE TABLE made_meanwhile (n int)")
        assert await connection.fetchrow(sql) == first
        assert first is not None
        assert first[0] == "7"
    with pytest.raises(StoreError) as caught:
        await write()
    assert caught.value.sqlstate == "25006"  # read_only_sql_transaction


async def test_the_connection_of_who_reads_comes_back_however_the_reading_ended(
    postgres_server: EmbeddedPostgres, database_name: str
) -> None:
    """There is one: whoever left it in a transaction, or kept it, would be met by the next."""
    dsns = Dsns(postgres_server.dsn("sg_admin", database_name))

    async def read(sql: str) -> object:
        async with opened.reading(3) as connection:
            return await connection.fetchval(sql)

    async def dies() -> None:
        async with opened.reading(3) as connection:
            victim = await connection.fetchval("SELECT pg_backend_pid()")
            admin = await opened.connect("sg_admin")
            await admin.execute("SELECT pg_terminate_backend($1, 5000)", victim)
            await admin.close()

    async with await Database.open(dsns, sizes=PoolSizes(api=1)) as opened:
        for _ in range(3):
            assert await asyncio.gather(*(read("SELECT 1") for _ in range(5))) == [1] * 5
            with pytest.raises(StoreError, match="zero"):
                await read("SELECT 1/0")
            sleeping = asyncio.create_task(read("SELECT pg_sleep(60)"))
            await asyncio.sleep(0.1)
            sleeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sleeping
            await dies()  # after its answer: nobody hears of it
            async with opened.transaction(4) as connection:
                assert await connection.fetchval("SELECT current_setting('app.merchant')") == "4"
                assert await connection.fetchval("SHOW transaction_read_only") == "off"
        assert not opened._ending
