"""Usage as Parquet and as an XLSX summary, by libraries that are an extra: `pip install smsgate[exports]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from smsgate.billing.usage_rows import COLUMNS, UsageSums
from smsgate.errors import Invalid
from smsgate.money import MICROS_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.billing.usage_rows import UsageRow

SHEET_ROWS_MAX: Final = 1_048_575  # of an XLSX sheet, without its header
EXTRA: Final = "it needs smsgate[exports]: pip install 'smsgate[exports]'"
GROUP_ROWS: Final = 10_000  # of a Parquet row group: some 2 MB as columns before it is written
PAGE_OCTETS: Final = 1 << 16  # of a column in a row group, encoded, before it is compressed
DISTINCT_COLUMNS: Final = frozenset(
    {"message", "accepted_at", "charged_at", "number"}
)  # no value comes again
STATISTICS_COLUMNS: Final = ("message", "accepted_at")  # what readers look for; each costs memory per group


class ParquetRows:
    """
    One file, written in groups of rows; amounts are decimal(18, 6), instants UTC in microseconds.

    Raises:
        Invalid: code `export_unavailable`: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415  # an extra, and 40 MB of memory
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError:
            raise Invalid(f"Parquet: {EXTRA}.", code="export_unavailable") from None
        self._arrow = pa
        amount = pa.decimal128(18, 6)
        kinds = {
            "part": pa.int16(),
            "accepted_at": pa.timestamp("us", tz="UTC"),
            "charged_at": pa.timestamp("us", tz="UTC"),
            "number": pa.int64(),
            "segments": pa.int16(),
            "unit_price": amount,
            "amount": amount,
        }
        self._schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
        self._writer = parquet.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            use_dictionary=[name for name in COLUMNS if name not in DISTINCT_COLUMNS],
            write_statistics=list(STATISTICS_COLUMNS),
            data_page_size=PAGE_OCTETS,
        )
        self._batches: list[Any] = []
        self._rows = 0

    def write(self, rows: Sequence[UsageRow]) -> None:
        if not rows:
            return
        arrays = [
            self._amounts(column)
            if name in {"unit_price", "amount"}
            else self._arrow.array(column, self._schema.field(name).type)
            for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True)
        ]
        self._batches.append(self._arrow.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += len(rows)
        if self._rows >= GROUP_ROWS:
            self._flush()

    def close(self, sums: UsageSums) -> None:
        del sums
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        """Write what waits as one row group."""
        if self._rows:
            table = self._arrow.Table.from_batches(self._batches, self._schema)
            self._writer.write_table(table, row_group_size=self._rows)
            self._batches, self._rows = [], 0
            self._arrow.default_memory_pool().release_unused()

    def _amounts(self, micros: Sequence[int]) -> Any:
        """Return micros as decimals with six places: the same integers, with their scale."""
        octets = b"".join([value.to_bytes(16, "little", signed=True) for value in micros])
        return self._arrow.Array.from_buffers(
            self._arrow.decimal128(18, 6), len(micros), [None, self._arrow.py_buffer(octets)]
        )


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
