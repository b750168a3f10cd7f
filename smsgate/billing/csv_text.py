"""CSV as RFC 4180 has it: CRLF, quotes only where needed, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from smsgate.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

# A spreadsheet takes a cell that begins with one of these for a formula; full-width twins are folded by some
# of them.
_FORMULA_STARTS: Final = tuple("=+-@\t\r\n＝＋－＠")


def write_csv(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """Return RFC 4180 text; cells that people wrote must have gone through `safe_cell`."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def safe_cell(text: str) -> str:
    """
    Return a text cell that no spreadsheet takes for a formula: an apostrophe goes before what looks like
    one.
    """
    cleaned = text.replace("\0", "")
    return f"'{cleaned}" if cleaned.lstrip(" ").startswith(_FORMULA_STARTS) else cleaned


def csv_table(
    columns: Sequence[str], text_columns: Collection[str], rows: Iterable[Sequence[str | int]]
) -> str:
    """
    Return a table as CSV; only cells of `text_columns`, which people wrote, get an apostrophe where needed.

    Raises:
        Invalid: code `csv_invalid`: a text column that is none, or a row of another length than the header.
    """
    if unknown := set(text_columns) - set(columns):
        raise Invalid(f"text column {min(unknown)!r} is no column", code="csv_invalid")
    guarded = [name in set(text_columns) for name in columns]
    table: list[list[str | int]] = []
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            raise Invalid(f"row {number} has {len(row)} cells, not {len(columns)}", code="csv_invalid")
        table.append(
            [safe_cell(str(cell)) if text else cell for cell, text in zip(row, guarded, strict=True)]
        )
    return write_csv(columns, table)


def count_rows(lines: Iterable[str], columns: Sequence[str], count: Callable[[dict[str, str]], None]) -> None:
    """
    Have every row of a file that was exported counted, by the names of its columns; memory does not grow.

    Raises:
        Invalid: code `export_invalid`, with the line: another header, a row that is none, or one that `count`
            refuses by an Invalid or a ValueError.
    """
    rows = csv.reader(lines, strict=True)
    try:
        header = next(rows, None)
        if header == list(columns):
            for cells in rows:
                count(_named(columns, cells))
            return
    except (csv.Error, ValueError, Invalid) as exc:
        raise Invalid(f"line {rows.line_num}: {exc}", code="export_invalid") from None
    raise Invalid(f"line 1: its header is not {','.join(columns)}", code="export_invalid")


def _named(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(columns):
        raise Invalid(f"it has {len(cells)} cells, not {len(columns)}")
    return dict(zip(columns, cells, strict=True))
