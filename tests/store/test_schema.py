"""A migrated database, looked at through its own catalogue: keys, row-level security, rights."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
import pytest

from smsgate.errors import StoreError
from smsgate.store import catalogue, distribution
from smsgate.store.connection import Connection
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.housekeeping import AS_OWNER, statement_name
from smsgate.store.pool import Database

INSERT_ONLY = (
    "message", "sent", "receipt", "ledger_entry", "consent_event", "order_event", "order_stamp", "event",
)  # fmt: skip
RUN_TIME_ROLES = ("sg_api", "sg_bulk", "sg_report", "sg_audit")


async def tables_with_merchant(
    connection: Connection,
) -> list[asyncpg.Record]:
    return await connection.fetch(
        """SELECT c.oid, c.relname AS name, c.relrowsecurity, c.relforcerowsecurity, c.relispartition
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'merchant_id'
           WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 2"""
    )


async def test_the_manifest_names_every_table_and_no_other(database: Database) -> None:
    async with database.control() as connection:
        rows = await connection.fetch(
            """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
               AND relkind IN ('r', 'p') AND NOT relispartition"""
        )
    assert {row["relname"] for row in rows} - {"schema_migration"} == set(distribution.load())


async def test_every_unique_index_holds_the_distribution_column(database: Database) -> None:
    manifest = distribution.load()
    async with database.control() as connection:
        rows = await connection.fetch(
            """SELECT t.relname AS table, i.relname AS index, array_agg(a.attname::text) AS columns
               FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
               JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (x.indkey::smallint[])
               WHERE t.relnamespace = 'public'::regnamespace AND x.indisunique AND NOT t.relispartition
               GROUP BY 1, 2"""
        )
    keys = {name: table.key for name, table in manifest.items() if table.key}
    assert [
        row["index"] for row in rows if keys.get(row["table"], row["columns"][0]) not in row["columns"]
    ] == []


async def test_a_table_with_merchant_id_is_distributed_by_it_or_says_by_what(database: Database) -> None:
    manifest = distribution.load()
    async with database.control() as connection:
        names = [row["name"] for row in await tables_with_merchant(connection) if not row["relispartition"]]
    assert all(manifest[name].kind != "local" for name in names)


async def test_every_table_with_merchant_id_has_forced_row_level_security_and_no_trigger(
    database: Database,
) -> None:
    async with database.control() as connection:
        tables = await tables_with_merchant(connection)
        triggers = await connection.fetch("SELECT tgname FROM pg_trigger")
    assert any(row["relispartition"] for row in tables)
    assert [row["name"] for row in tables if not (row["relrowsecurity"] and row["relforcerowsecurity"])] == []
    assert triggers == []


async def test_the_api_role_sees_no_row_without_a_merchant_and_its_own_with_one(database: Database) -> None:
    async with database.bulk() as connection:
        await connection.execute(
            "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country) "
            "VALUES (1, 10, 33600000001, 'fr', 'FR'), (2, 20, 33600000002, 'fr', 'FR')"
        )
    async with database.api() as connection:
        for row in await tables_with_merchant(connection):
            if row["relispartition"]:
                continue
            assert await connection.fetchval(f"SELECT count(*) FROM {row['name']}") == 0
    async with database.transaction(1) as connection:
        assert await connection.fetchval("SELECT array_agg(subscriber_id) FROM subscriber") == [10]
        assert (
            await connection.execute("UPDATE subscriber SET language = 'en' WHERE subscriber_id = 20")
            == "UPDATE 0"
        )
    async with database.api() as connection:
        assert await connection.fetchval("SELECT count(*) FROM subscriber") == 0


async def test_the_api_role_writes_no_row_of_another_merchant(database: Database) -> None:
    with pytest.raises(StoreError) as caught:
        async with database.transaction(1) as connection:
            await connection.execute(
                "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country) "
                "VALUES (2, 1, 33600000001, 'fr', 'FR')"
            )
    assert caught.value.sqlstate == "42501"


async def test_a_lent_connection_comes_back_clean(database: Database) -> None:
    """Whatever a user did to the session, the next one has the role and no merchant."""
    for _ in range(6):
        async with database.api() as connection:
            assert await connection.fetchval("SELECT current_user") == "sg_api"
            assert not await connection.fetchval("SELECT current_setting('app.merchant', true)")
            await connection.execute("SELECT set_config('app.merchant', '7', false)")


async def test_the_api_connection_cannot_become_another_role(database: Database) -> None:
    for role in ("sg_owner", "sg_bulk", "sg_admin"):
        with pytest.raises(StoreError) as caught:
            async with database.api() as connection:
                await connection.execute(f"SET ROLE {role}")
        assert caught.value.sqlstate == "42501"


@pytest.mark.parametrize("table", INSERT_ONLY)
async def test_nobody_at_run_time_changes_what_was_written(database: Database, table: str) -> None:
    async with database.control() as connection:
        rights = await connection.fetch(
            "SELECT role, kind FROM unnest($1::text[]) role, unnest($2::text[]) kind "
            "WHERE has_table_privilege(role, $3, kind)",
            list(RUN_TIME_ROLES),
            ["UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES"],
            table,
        )
        columns = await connection.fetch(
            "SELECT role FROM unnest($1::text[]) role WHERE has_any_column_privilege(role, $2, 'UPDATE')",
            list(RUN_TIME_ROLES),
            table,
        )
    assert rights == []
    # The one exception: a late answer takes the place of "unknown"; whose message it is cannot change.
    assert [row["role"] for row in columns] == (["sg_bulk"] if table == "sent" else [])


async def test_run_time_roles_make_no_tables(database: Database) -> None:
    async with database.control() as connection:
        assert not await connection.fetchval(
            "SELECT bool_or(has_schema_privilege(role, 'public', 'CREATE')) FROM unnest($1::text[]) role",
            list(RUN_TIME_ROLES),
        )
        owners = await connection.fetch(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = "
            "'public'::regnamespace"
        )
    assert [row[0] for row in owners] == ["sg_owner"]


async def test_the_report_role_reads_all_and_writes_nothing(database: Database) -> None:
    async with database.report() as connection:
        assert await connection.fetchval("SELECT count(*) FROM ledger_entry") == 0
    for statement in ("INSERT INTO carrier (carrier_id, name) VALUES (1, 'x')", "SELECT * FROM api_key"):
        with pytest.raises(StoreError):
            async with database.report() as connection:
                await connection.execute(statement)


async def test_every_right_survives_a_second_run_of_the_grants(
    database: Database, postgres_server: EmbeddedPostgres, database_name: str
) -> None:
    query = (
        "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    async with database.control() as connection:
        before = await connection.fetch(query)
    async with await Database.open(postgres_server, database=database_name) as again:
        assert list(again.migrated) == []
        async with again.control() as connection:
            assert await connection.fetch(query) == before


async def test_the_bulk_role_reaches_partitions_through_their_parent_only(database: Database) -> None:
    name = f"message_p{datetime.now(UTC):%Y%m%d}"
    async with database.bulk() as connection:
        assert await connection.fetchval("SELECT count(*) FROM message") == 0
        assert not await connection.fetchval("SELECT has_table_privilege($1, 'INSERT')", name)


async def test_every_statement_of_the_catalogue_fits_the_schema_and_some_roles_rights(
    database: Database,
) -> None:
    """EXPLAIN analyses names and types and checks rights, and runs nothing."""
    roles = {"control": ["sg_owner"], "report": ["sg_report", "sg_bulk", "sg_api"]}
    as_owner = {
        f"housekeeping.{statement_name(job, part)}"
        for job in AS_OWNER
        for part in ("owners", "delete", "last", "records")
    }
    refused: dict[str, list[str]] = {}
    connections = {
        role: await database.connect(role) for role in ("sg_owner", "sg_report", "sg_bulk", "sg_api")
    }
    for name, statement in catalogue.load_all().items():
        problems = []
        # Erasure and retention change what nobody may at run time: as the owner, and of one merchant
        # (store.privacy, store.housekeeping).
        erases = name.startswith("suppressions.erase_") or name in as_owner
        owner = ["sg_owner"] if erases else []
        for role in roles.get(statement.scope, ["sg_bulk", "sg_api"]) + owner:
            try:
                await connections[role].execute(f"EXPLAIN (GENERIC_PLAN) {statement.sql}")
            except asyncpg.PostgresError as exc:
                problems.append(f"{role}: {exc}")
            else:
                break
        else:
            refused[name] = problems
    for connection in connections.values():
        await connection.close()
    assert refused == {}
