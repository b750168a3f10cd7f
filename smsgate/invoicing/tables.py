"""
Usage as Parquet and as an XLSX summary. The spreadsheet, and reading Parquet, are by libraries that are an
extra: `pip install smsgate[exports]`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from smsgate.billing.usage_rows import COLUMNS, UsageSums
from smsgate.errors import Invalid
from smsgate.invoicing.parquet_file import Column, Kind, ParquetFile
from smsgate.money import MICROS_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.billing.usage_rows import UsageRow

SHEET_ROWS_MAX: Final = 1_048_575  # of an XLSX sheet, without its header
EXTRA: Final = "it needs smsgate[exports]: pip install 'smsgate[exports]'"
GROUP_ROWS: Final = 5_000  # of a Parquet row group: some 5 MB as rows before it is written
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_KINDS: Final = {
    "message": Column("message", Kind.TEXT, distinct=True, bounds=True),
    "part": Column("part", Kind.INT16),
    "accepted_at": Column("accepted_at", Kind.INSTANT, distinct=True, bounds=True),
    "charged_at": Column("charged_at", Kind.INSTANT, distinct=True),
    "number": Column("number", Kind.INT64, distinct=True),
    "segments": Column("segments", Kind.INT16),
    "unit_price": Column("unit_price", Kind.MICROS),
    "amount": Column("amount", Kind.MICROS),
}


class ParquetRows:
    """One file, written in groups of rows; amounts are decimal(18, 6), instants UTC in microseconds."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        columns = [_KINDS.get(name, Column(name, Kind.TEXT)) for name in COLUMNS]
        self._file = ParquetFile(self._stream, columns)
        self._waiting: list[UsageRow] = []

    def write(self, rows: Sequence[UsageRow]) -> None:
        self._waiting += rows
        while len(self._waiting) >= GROUP_ROWS:
            self._flush(GROUP_ROWS)

    def close(self, sums: UsageSums) -> None:
        del sums
        if self._waiting:
            self._flush(len(self._waiting))
        self._file.close()
        self._stream.close()

    def _flush(self, rows: int) -> None:
        columns: list[Any] = list(zip(*self._waiting[:rows], strict=True))
        del self._waiting[:rows]
        for place, name in enumerate(COLUMNS):
            if name in {"accepted_at", "charged_at"}:
                columns[place] = [(at - _EPOCH) // _MICROSECOND for at in columns[place]]
        self._file.group(columns)


def parquet_sums(path: Path) -> UsageSums:
    """
    Add up a file that `ParquetRows` wrote, group by group.

    Raises:
        Invalid: code `export_unavailable`: pyarrow is not installed; `export_invalid`: the file is none.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  # an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise Invalid(f"Parquet: {EXTRA}.", code="export_unavailable") from None
    sums = UsageSums()
    names = ["currency", "direction", "segments", "unit_price", "amount"]
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(GROUP_ROWS, columns=names):
                for currency, direction, segments, price, amount in zip(
                    *(batch.column(name).to_pylist() for name in names), strict=True
                ):
                    if price * segments != amount:
                        raise Invalid(f"{price} x {segments} is not {amount}", code="export_invalid")
                    sums.count(currency, direction, segments, int(amount * MICROS_PER_UNIT))
    except (pa.ArrowInvalid, KeyError) as exc:
        raise Invalid(f"no Parquet of usage records: {exc}", code="export_invalid") from None
    return sums


class XlsxSummary:
    """
    Sums by campaign, direction, network and price; message rows do not belong into a spreadsheet.

    More than `rows_max` sums are refused, never cut: a sheet has no more rows.

    Raises:
        Invalid: code `export_unavailable`, or `export_too_large` when the sums have more rows than a sheet.
    """

    HEADER: Final = (
        "campaign", "direction", "network", "price item", "messages", "segments", "unit price", "amount",
        "currency",
    )  # fmt: skip

    def __init__(self, path: Path, rows_max: int = SHEET_ROWS_MAX) -> None:
        try:
            import xlsxwriter  # noqa: PLC0415  # an extra
        except ImportError:
            raise Invalid(f"XLSX: {EXTRA}.", code="export_unavailable") from None
        # Texts stay texts: a campaign called "=1+1" or "0012" is written as it is.
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(str(path), options)
        self._rows_max = rows_max
        self._sums: dict[tuple[str, str, str, str, int, str], list[int]] = {}

    def write(self, rows: Sequence[UsageRow]) -> None:
        for row in rows:
            key = (row.campaign, row.direction, row.network, row.price_item, row.unit_micros, row.currency)
            found = self._sums.setdefault(key, [0, 0, 0])
            found[0] += 1
            found[1] += row.segments
            found[2] += row.amount_micros
        if len(self._sums) > self._rows_max:
            raise Invalid(
                f"The summary has more than {self._rows_max} rows: take CSV or Parquet.",
                code="export_too_large",
            )

    def close(self, sums: UsageSums) -> None:
        del sums
        sheet = self._book.add_worksheet("usage")
        bold = self._book.add_format({"bold": True})
        money = self._book.add_format({"num_format": "0.000000"})
        sheet.write_row(0, 0, self.HEADER, bold)
        place = 0
        for place, (key, (messages, segments, micros)) in enumerate(sorted(self._sums.items()), 1):
            campaign, direction, network, item, unit_micros, currency = key
            for column, text in enumerate((campaign, direction, network, item)):
                sheet.write_string(place, column, text)
            sheet.write_number(place, 4, messages)
            sheet.write_number(place, 5, segments)
            # A spreadsheet's numbers are floats: these have at most 15 digits, which a float keeps.
            sheet.write_number(place, 6, unit_micros / MICROS_PER_UNIT, money)
            sheet.write_number(place, 7, micros / MICROS_PER_UNIT, money)
            sheet.write_string(place, 8, currency)
        if place:
            sheet.autofilter(0, 0, place, len(self.HEADER) - 1)
        self._book.close()
