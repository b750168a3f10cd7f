"""What the driver is told of types: the server's own are asked for once, those of a database each time."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from smsgate.store.connection import Connection
from smsgate.store.pool import Database

ASKED = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%typeinfo' || '_tree%'"
AT = datetime(2026, 11, 28, 12, 0, 0, 1, tzinfo=UTC)
ARRAYS = {
    "bigint": [1, None, -(2**63)], "int": [7], "smallint": [], "text": ["a", ""], "bytea": [b"\0"],
    "timestamptz": [AT], "numeric": [Decimal("1.50")], "boolean": [True, False],
}  # fmt: skip


async def _read(connection: Connection) -> dict[str, object]:
    return {
        kind: await connection.fetchval(f"SELECT $1::{kind}[]", values) for kind, values in ARRAYS.items()
    }


async def test_the_second_connection_knows_the_servers_types_and_reads_the_same(database: Database) -> None:
    async with database.bulk() as first, database.bulk() as second:
        assert await _read(first) == ARRAYS
        assert await _read(second) == ARRAYS
        assert first.get_server_pid() != second.get_server_pid()
        assert await second.fetchval(ASKED) == 0


async def test_types_of_a_database_are_asked_for_in_each_connection(database: Database) -> None:
    async with database.bulk() as first, database.bulk() as second:
        for connection, kind in ((first, "own_one"), (second, "own_two")):
            async with database.control() as owner:
                await owner.execute(f"CREATE TYPE {kind} AS (a bigint, b text)")
            assert await connection.fetchval(f"SELECT ARRAY[(1, 'x')::{kind}]") == [(1, "x")]
            assert await connection.fetchval(ASKED) == 1


async def test_types_that_initdb_numbers_are_asked_for_in_each_connection(database: Database) -> None:
    """Another build of the same major version gives the same number to another type."""
    async with database.bulk() as first, database.bulk() as second:
        for connection in (first, second):
            found = await connection.fetchval("SELECT '{a}'::information_schema.sql_identifier[]")
            assert found == ["a"]
            assert await connection.fetchval(ASKED) == 1
