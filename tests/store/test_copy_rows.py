"""Binary COPY: what the columns say is what the table holds."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.store.connection import copy_binary, translate
from smsgate.store.copy_rows import STEPPED_MAX, Kind, RowFormat, micros_since_2000
from smsgate.store.pool import Database

AT = datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)

ALL_KINDS = RowFormat(
    a=Kind.INT2,
    b=(Kind.TEXT, None),
    c=Kind.INT8,
    d=Kind.TIMESTAMPTZ,
    e=(Kind.INT4, None),
    f=Kind.BYTEA,
)


async def test_every_kind_arrives_as_it_was_given(database: Database) -> None:
    data = ALL_KINDS.pack(
        [1, -2, 32767],
        ["é€😀", None, ""],
        [2**62, 0, -(2**63)],
        [micros_since_2000(AT), 0, -1],
        [None, 7, -(2**31)],
        [b"", b"\x00\xff", b"x" * 70_000],
    )
    async with database.bulk_transaction() as connection:
        await connection.execute(
            "CREATE TEMP TABLE t (a int2, b text, c int8, d timestamptz, e int4, f bytea)"
        )
        await copy_binary(connection, "t", ALL_KINDS.columns, data)
        rows = [tuple(row) for row in await connection.fetch("SELECT * FROM t")]
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    assert rows == [
        (1, "é€😀", 2**62, AT, None, b""),
        (-2, None, 0, epoch, 7, b"\x00\xff"),
        (32767, "", -(2**63), epoch - timedelta(microseconds=1), -(2**31), b"x" * 70_000),
    ]


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


@pytest.mark.parametrize(("kind", "bits"), [(Kind.INT2, 15), (Kind.INT4, 31), (Kind.INT8, 63)])
def test_a_value_out_of_range_is_refused_and_not_cut(kind: Kind, bits: int) -> None:
    for value in (2**bits, -(2**bits) - 1):
        for column in ([value], [value, value], [1, value], [value, 1]):
            with pytest.raises(struct.error):
                RowFormat(a=kind).pack(column)


def naive(layout: RowFormat, kinds: Sequence[Kind], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return what the manual says, field by field."""
    stream = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    for row in rows:
        stream += struct.pack(">h", len(layout.columns))
        for kind, value in zip(kinds, row, strict=True):
            if value is None:
                stream += struct.pack(">i", -1)
                continue
            octets = value.encode() if kind is Kind.TEXT else value
            if kind.format:
                octets = struct.pack(f">{kind.format}", value)
            stream += struct.pack(">i", len(octets)) + octets
    return stream + struct.pack(">h", -1)


VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.INT2: st.integers(-(2**15), 2**15 - 1),
    Kind.INT4: st.integers(-(2**31), 2**31 - 1),
    Kind.INT8: st.integers(-(2**63), 2**63 - 1),
    Kind.TIMESTAMPTZ: st.integers(8 * 10**14, 8 * 10**14 + 300),
    Kind.TEXT: st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6),
    Kind.BYTEA: st.binary(max_size=4) | st.binary(min_size=STEPPED_MAX - 1, max_size=STEPPED_MAX + 1),
    Kind.ARRAY: st.binary(min_size=3, max_size=3),
}


@given(st.data())
def test_every_layout_is_written_as_the_manual_says(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=7))
    nullable = [data.draw(st.booleans()) for _ in kinds]
    # Few different values, so that columns are often the same in all rows, or as long in all.
    columns: list[Any] = []
    count = data.draw(st.integers(1, 12))
    for kind, may_be_none in zip(kinds, nullable, strict=True):
        few = st.sampled_from(data.draw(st.lists(VALUES[kind], min_size=1, max_size=3)))
        columns.append(
            data.draw(st.lists(few | st.none() if may_be_none else few, min_size=count, max_size=count))
        )
    ascending = data.draw(st.booleans()) and not nullable[0]
    layout = RowFormat(
        ascending=ascending,
        **{
            f"c{n}": (kind, None) if may_be_none else kind
            for n, (kind, may_be_none) in enumerate(zip(kinds, nullable, strict=True))
        },
    )
    rows = list(zip(*columns, strict=True))
    if ascending:
        rows.sort(key=lambda row: row[0])
    assert layout.pack(*columns) == naive(layout, kinds, rows)


@pytest.mark.parametrize("wrong", [None, "1", 1.5])
@pytest.mark.parametrize("kind", [Kind.INT2, Kind.INT4, Kind.INT8, Kind.TIMESTAMPTZ])
def test_what_is_no_number_of_the_column_is_refused(kind: Kind, wrong: Any) -> None:
    for column in ([wrong], [wrong, wrong], [1, wrong], [wrong, 1]):
        with pytest.raises(struct.error):
            RowFormat(a=kind).pack(column)


@pytest.mark.parametrize("column", [[3], [3, 3], [b"a", 3]])
def test_what_are_no_octets_is_refused(column: list[Any]) -> None:
    with pytest.raises(struct.error):
        RowFormat(a=Kind.BYTEA).pack(column)


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


async def test_columns_that_are_often_the_same_arrive_as_they_were_given(
    database: Database,
) -> None:
    rows = RowFormat(
        id=Kind.INT8,
        name=(Kind.BYTEA, None),
        n=Kind.INT4,
        at=Kind.TIMESTAMPTZ,
        why=(Kind.TEXT, None),
    )
    later = AT + timedelta(seconds=1)
    given = [
        (1, b"a", 7, AT, None),
        (2, None, 7, AT, None),
        (3, b"", 7, later, "é"),
        (4, b"d", 7, AT, None),
        (5, b"e", -1, AT, ""),
    ]
    async with database.bulk_transaction() as connection:
        await connection.execute(
            "CREATE TEMP TABLE t (id int8, name bytea, n int4, at timestamptz, why text)"
        )
        columns = [list(column) for column in zip(*given, strict=True)]
        columns[3] = [micros_since_2000(at) for _, _, _, at, _ in given]
        await copy_binary(connection, "t", rows.columns, rows.pack(*columns))
        found = [tuple(row) for row in await connection.fetch("SELECT * FROM t ORDER BY id")]
    assert found == given


async def test_ascending_rows_come_in_the_order_of_their_first_column(database: Database) -> None:
    rows = RowFormat(ascending=True, id=Kind.INT8, name=(Kind.BYTEA, None), n=Kind.INT2)
    data = rows.pack([7, -1, 2**40, 7, 0], [b"first", None, b"", b"second", b"x"], [3, 1, 4, 1, 5])
    async with database.bulk_transaction() as connection:
        await connection.execute("CREATE TEMP TABLE t (id int8, name bytea, n int2)")
        await copy_binary(connection, "t", rows.columns, data)
        found = [tuple(row) for row in await connection.fetch("SELECT * FROM t ORDER BY ctid")]
    assert found == [(-1, None, 1), (0, b"x", 5), (7, b"first", 3), (7, b"second", 1), (2**40, b"", 4)]


async def test_all_columns_but_one_may_be_constants(database: Database) -> None:
    rows = RowFormat(id=Kind.INT8, name=Kind.TEXT, n=Kind.INT4, raw=(Kind.BYTEA, None))
    async with database.bulk_transaction() as connection:
        await connection.execute("CREATE TEMP TABLE t (id int8, name text, n int4, raw bytea)")
        await copy_binary(connection, "t", rows.columns, rows.pack([1, 2], "é", 7, b"\0"))
        await copy_binary(connection, "t", rows.columns, rows.pack([3], "", 8, None))
        found = [tuple(row) for row in await connection.fetch("SELECT * FROM t ORDER BY id")]
    assert found == [(1, "é", 7, b"\0"), (2, "é", 7, b"\0"), (3, "", 8, None)]
