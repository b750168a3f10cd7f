"""What is written as an array of PostgreSQL is read as what it was."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from smsgate.store.array_octets import ids_text, numbers_text, text_octets, texts_text
from smsgate.store.connection import copy_binary
from smsgate.store.copy_rows import Kind, RowFormat
from smsgate.store.pool import Database

VALUES = ["", "NULL", "Zoé", 'a "quoted" \\ one', "{a,b}", " spaces ", "a,b", "\\", '"', "line\nend", "'"]
ROWS = RowFormat(n=Kind.INT8, texts=(Kind.ARRAY, None))


async def test_any_array_arrives_as_it_was(database: Database) -> None:
    one, three = [*VALUES, "same", "same"], [VALUES, VALUES[::-1], ["same"] * len(VALUES)]
    texts = [[value] for value in one] + [list(row) for row in zip(*three, strict=True)]
    octets: list[bytes | None] = [*text_octets([one]), *text_octets(three), None]
    data = ROWS.pack(range(len(octets)), octets)
    async with database.bulk_transaction() as connection:
        await connection.execute("CREATE TEMP TABLE t (n int8, texts text[])")
        await copy_binary(connection, "t", ROWS.columns, data)
        found = await connection.fetch("SELECT texts FROM t ORDER BY n")
        literal = await connection.fetchval("SELECT array_dims(texts) FROM t WHERE n = 0")
    assert [row["texts"] for row in found] == [*texts, None]
    assert literal == "[1:1]"


async def test_ids_as_a_text_are_the_same_ids(database: Database) -> None:
    async with database.bulk() as connection:
        for ids in ([], [7], [33_612_345_678, -1, 2**63 - 1], range(3)):
            assert await connection.fetchval("SELECT $1::text::bigint[]", ids_text(ids)) == list(ids)


async def test_numbers_with_gaps_as_a_text_are_the_same_numbers(database: Database) -> None:
    async with database.bulk() as connection:
        for numbers in ([], [None], [5, None, -(2**63)]):
            assert await connection.fetchval("SELECT $1::text::bigint[]", numbers_text(numbers)) == numbers


async def test_texts_as_a_text_are_the_same_texts(database: Database) -> None:
    controls = [chr(n) for n in range(1, 32)] + ["\x7f", "\u2028", "a\\n", "\\u0041", "😀"]
    samples: list[list[str | None]] = [[], ["one"], [None, "null", "NULL", None], [*VALUES, None]]
    samples += [[control] for control in controls]
    async with database.bulk() as connection:
        for texts in samples:
            assert await connection.fetchval("SELECT $1::text::text[]", texts_text(texts)) == texts


@given(st.lists(st.tuples(st.text(), st.text())), st.lists(st.text()))
@example([("a", "b")], ["a,b", "ab"])
def test_rows_that_differ_are_written_differently(pairs: list[tuple[str, str]], singles: list[str]) -> None:
    columns = [[first for first, _ in pairs], [second for _, second in pairs]]
    written = text_octets(columns) + text_octets([singles])
    assert len(set(written)) == len(set(pairs)) + len(set(singles))
