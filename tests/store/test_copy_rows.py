"""Binary COPY: what the columns say is what the table holds."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.store.connection import copy_binary, translate
from smsgate.store.copy_rows import Kind, RowFormat, micros_since_2000
from smsgate.store.pool import Database

AT = datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)

ALL_KINDS = RowFormat(
    a=Kind.INT2,
    b=(Kind.TEXT, None),
    c=Kind.INT8,
    d=Kind.TIMESTAMPTZ,
    e=(Kind.INT4, None),
    f=Kind.BYTEA,
    g=Kind.BOOL,
)


async def test_every_kind_arrives_as_it_was_given(database: Database) -> None:
    data = ALL_KINDS.pack(
        [1, -2, 32767],
        ["é€😀", None, ""],
        [2**62, 0, -(2**63)],
        [micros_since_2000(AT), 0, -1],
        [None, 7, -(2**31)],
        [b"", b"\x00\xff", b"x" * 70_000],
        [True, False, True],
    )
    async with database.bulk_transaction() as connection:
        await connection.execute(
            "CREATE TEMP TABLE t (a int2, b text, c int8, d timestamptz, e int4, f bytea, g bool)"
        )
        await copy_binary(connection, "t", ALL_KINDS.columns, data)
        rows = [tuple(row) for row in await connection.fetch("SELECT * FROM t")]
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    assert rows == [
        (1, "é€😀", 2**62, AT, None, b"", True),
        (-2, None, 0, epoch, 7, b"\x00\xff", False),
        (32767, "", -(2**63), epoch - timedelta(microseconds=1),
         -(2**31), b"x" * 70_000, True),
    ]  # fmt: skip


async def test_a_constant_stands_for_the_same_value_in_every_row(database: Database) -> None:
    rows = RowFormat(merchant=Kind.INT8, id=Kind.INT8, note=(Kind.TEXT, None), n=(Kind.INT4, None))
    async with database.bulk_transaction() as connection:
        await connection.execute("CREATE TEMP TABLE t (merchant int8, id int8, note text, n int4)")
        await copy_binary(connection, "t", rows.columns, rows.pack(9, range(1000), None, 5))
        found = await connection.fetchrow(
            "SELECT count(*), sum(merchant), sum(id), count(note), sum(n) FROM t"
        )
    assert found is not None
    assert tuple(found) == (1000, 9000, 499_500, 0, 5000)


def test_no_rows_are_header_and_trailer_alone() -> None:
    assert RowFormat(a=Kind.INT8).pack([]) == b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff"


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="different length"):
        RowFormat(a=Kind.INT8, b=Kind.INT8).pack([1, 2], [1])


@pytest.mark.parametrize(("kind", "value"), [(Kind.INT2, 2**15), (Kind.INT4, 2**31), (Kind.INT8, 2**63)])
def test_a_value_out_of_range_is_refused_and_not_cut(kind: Kind, value: int) -> None:
    with pytest.raises(struct.error):
        RowFormat(a=kind).pack([value])


async def test_a_duplicate_key_refuses_the_whole_copy(database: Database) -> None:
    from smsgate.errors import StoreError

    rows = RowFormat(
        carrier_id=Kind.INT2, fingerprint=Kind.BYTEA, session=Kind.TEXT, seen_at=Kind.TIMESTAMPTZ
    )
    data = rows.pack(1, [b"a", b"b", b"a"], ["1:1"] * 3, micros_since_2000(AT))
    with pytest.raises(StoreError) as caught:
        async with database.bulk() as connection:
            await copy_binary(connection, "mo_seen", rows.columns, data)
    assert caught.value.sqlstate == "23505"
    async with database.bulk() as connection:
        with translate():
            assert await connection.fetchval("SELECT count(*) FROM mo_seen") == 0


async def test_repeated_columns_arrive_as_they_were_given_whatever_follows_whatever(
    database: Database,
) -> None:
    rows = RowFormat(
        repeated=4,
        id=Kind.INT8,
        name=(Kind.BYTEA, None),
        n=Kind.INT4,
        at=Kind.TIMESTAMPTZ,
        why=(Kind.TEXT, None),
        on=Kind.BOOL,
    )
    later = AT + timedelta(seconds=1)
    given = [
        (1, b"a", 7, AT, None, True),
        (2, None, 7, AT, None, True),
        (3, b"", 7, later, "é", False),
        (4, b"d", 7, AT, None, True),
        (5, b"e", -1, AT, "", True),
    ]
    async with database.bulk_transaction() as connection:
        await connection.execute(
            'CREATE TEMP TABLE t (id int8, name bytea, n int4, at timestamptz, why text, "on" bool)'
        )
        columns = [list(column) for column in zip(*given, strict=True)]
        columns[3] = [micros_since_2000(at) for _, _, _, at, _, _ in given]
        await copy_binary(connection, "t", rows.columns, rows.pack(*columns))
        found = [tuple(row) for row in await connection.fetch("SELECT * FROM t ORDER BY id")]
    assert found == given


async def test_ascending_rows_come_in_the_order_of_their_first_column(database: Database) -> None:
    rows = RowFormat(repeated=1, ascending=True, id=Kind.INT8, name=(Kind.BYTEA, None), n=Kind.INT2)
    data = rows.pack([7, -1, 2**40, 7, 0], [b"first", None, b"", b"second", b"x"], [3, 1, 4, 1, 5])
    async with database.bulk_transaction() as connection:
        await connection.execute("CREATE TEMP TABLE t (id int8, name bytea, n int2)")
        await copy_binary(connection, "t", rows.columns, data)
        found = [tuple(row) for row in await connection.fetch("SELECT * FROM t ORDER BY ctid")]
    assert found == [(-1, None, 1), (0, b"x", 5), (7, b"first", 3), (7, b"second", 1), (2**40, b"", 4)]


async def test_repeated_columns_may_all_be_constants(database: Database) -> None:
    rows = RowFormat(repeated=3, id=Kind.INT8, name=Kind.TEXT, n=Kind.INT4, raw=(Kind.BYTEA, None))
    async with database.bulk_transaction() as connection:
        await connection.execute("CREATE TEMP TABLE t (id int8, name text, n int4, raw bytea)")
        await copy_binary(connection, "t", rows.columns, rows.pack([1, 2], "é", 7, b"\0"))
        await copy_binary(connection, "t", rows.columns, rows.pack([3], "", 8, None))
        found = [tuple(row) for row in await connection.fetch("SELECT * FROM t ORDER BY id")]
    assert found == [(1, "é", 7, b"\0"), (2, "é", 7, b"\0"), (3, "", 8, None)]
