"""What is written as PostgreSQL's text[] is read as what it was."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from smsgate.store.array_texts import array_texts
from smsgate.store.pool import Database

VALUES = ["", "NULL", "Zoé", 'a "quoted" \\ one', "{a,b}", " spaces ", "a,b", "\\", '"', "line\nend", "'"]


async def test_any_text_arrives_as_it_was(database: Database) -> None:
    rows = [[value] for value in VALUES] + [VALUES, ["same"], ["same"]]
    async with database.bulk() as connection:
        found = await connection.fetch(
            "SELECT t.one::text[] AS read FROM unnest($1::text[]) WITH ORDINALITY AS t (one, n) ORDER BY n",
            array_texts(rows),
        )
    assert [row["read"] for row in found] == rows


@given(st.lists(st.lists(st.text(), min_size=1, max_size=3)))
@example([["a", "b"], ["a,b"]])
def test_rows_that_differ_are_written_differently(rows: list[list[str]]) -> None:
    written = array_texts(rows)
    assert len(set(written)) == len({tuple(row) for row in rows})
