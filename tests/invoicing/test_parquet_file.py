"""Parquet files that we write are what pyarrow reads: kinds, dictionaries of each width, groups, bounds."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from smsgate.invoicing.parquet_file import Column, Kind, ParquetFile

COLUMNS = (
    Column("id", Kind.TEXT, distinct=True, bounds=True),
    Column("text", Kind.TEXT),
    Column("small", Kind.INT16),
    Column("number", Kind.INT64, distinct=True),
    Column("amount", Kind.MICROS),
    Column("at", Kind.INSTANT, bounds=True),
)
Group = list[list[Any]]


def written(*groups: Group) -> io.BytesIO:
    stream = io.BytesIO()
    file = ParquetFile(stream, COLUMNS)
    for group in groups:
        file.group(group)
    file.close()
    return stream


def a_group(rows: int, distinct: int) -> Group:
    of = [row % distinct for row in range(rows)]
    return [
        [f"id-{row:06d}" for row in range(rows)],
        [f"Noël {place} \U0001f600" for place in of],
        [place % 60_000 - 30_000 for place in of],
        [-(1 << 62) + row for row in range(rows)],
        [place * 45_000 - 1 for place in of],
        [place * 1_000_003 for place in of],
    ]


@pytest.mark.parametrize(
    ("rows", "distinct"), [(1, 1), (8, 1), (9, 3), (1_000, 256), (1_000, 257), (65_536, 65_536)]
)
def test_what_was_written_is_read_again(rows: int, distinct: int) -> None:
    group = a_group(rows, distinct)
    table = parquet.read_table(written(group))
    assert table.schema == pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("text", pa.string(), nullable=False),
            pa.field("small", pa.int16(), nullable=False),
            pa.field("number", pa.int64(), nullable=False),
            pa.field("amount", pa.decimal128(18, 6), nullable=False),
            pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        ]
    )
    began = datetime(1970, 1, 1, tzinfo=UTC)
    expected = [
        *group[:4],
        [Decimal(value).scaleb(-6) for value in group[4]],
        [began + timedelta(microseconds=value) for value in group[5]],
    ]
    assert [table.column(number).to_pylist() for number in range(len(COLUMNS))] == expected


def test_groups_follow_each_other_and_tell_their_bounds() -> None:
    file = parquet.ParquetFile(written(a_group(10, 4), a_group(3, 3)))
    assert [file.metadata.row_group(number).num_rows for number in range(2)] == [10, 3]
    assert file.read().num_rows == file.metadata.num_rows == 13
    ids = file.metadata.row_group(0).column(0).statistics
    assert (ids.min, ids.max) == ("id-000000", "id-000009")
    assert not file.metadata.row_group(0).column(3).is_stats_set


def test_a_file_without_rows_is_one() -> None:
    table = parquet.read_table(written())
    assert (table.num_rows, table.column_names) == (0, [column.name for column in COLUMNS])
