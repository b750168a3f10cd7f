"""Usage exports: what is in the file is what the ledger says, to the last micro, in every form."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from smsgate.billing.periods import Month, month_of
from smsgate.billing.usage_rows import UsageRow, UsageSums
from smsgate.errors import Invalid
from smsgate.flows.exporting import CsvRows, Exporting, ExportQuestion, Manifest, RowWriter
from smsgate.invoicing.tables import SHEET_ROWS_MAX, ParquetRows, XlsxSummary
from smsgate.security.public_ids import PublicIds
from smsgate.store.offers import PgOffers
from smsgate.store.pool import Database
from smsgate.store.usage_records import PgUsageRecords
from tests.flows.world import MERCHANT
from tests.store.verified_books import PEOPLE, REPLIES, write_books


async def charged(database: Database) -> int:
    """Count what must be in a file: accepted rows, of which a long text has some, and replies."""
    async with database.bulk() as connection:
        return REPLIES + int(await connection.fetchval("SELECT count(*) FROM sent WHERE status = 0"))


def this_month() -> Month:
    return month_of(datetime.now(UTC), "Europe/Paris")


async def export(
    database: Database, path: Path, writer: Callable[[Path], RowWriter], month: Month | None = None
) -> Manifest:
    exporting = Exporting(PgUsageRecords(database), PublicIds(bytes(32)))
    merchant = await PgOffers(database).merchant(MERCHANT)
    question = ExportQuestion(merchant, month or this_month(), "EUR")
    return await exporting.write(question, path, writer, now=datetime.now(UTC))


async def test_a_months_messages_are_a_row_each_with_the_sums_of_the_ledger(
    database: Database, tmp_path: Path
) -> None:
    await write_books(database)
    path = tmp_path / "usage.csv"
    manifest = await export(database, path, CsvRows)
    octets = path.read_bytes()
    expected = await charged(database)
    assert expected > PEOPLE + REPLIES + 1
    assert octets.count(b"\r\n") == octets.count(b"\n") == expected + 1
    rows = list(csv.DictReader(io.StringIO(octets.decode(), newline="")))
    assert manifest.equal, manifest.values
    assert manifest.rows == len(rows) == expected
    assert manifest.values["sha256"] == hashlib.sha256(octets).hexdigest()
    assert manifest.values["octets"] == len(octets)
    assert manifest.values["columns"] == list(rows[0])
    for row in rows:
        assert Decimal(row["unit_price"]) * int(row["segments"]) == Decimal(row["amount"])
    for told in manifest.values["sums"]:
        mine = [row for row in rows if row["direction"] == told["direction"]]
        assert sum(Decimal(row["amount"]) for row in mine) == Decimal(told["amount"])
    mt = [row for row in rows if row["direction"] == "mt"]
    assert [row["accepted_at"] for row in mt] == sorted(row["accepted_at"] for row in mt)
    assert {row["outcome"] for row in mt[:PEOPLE]} == {"delivrd"}
    assert len({(row["message"], row["part"]) for row in rows}) == expected


async def test_parquet_has_the_same_rows_and_exact_decimals(database: Database, tmp_path: Path) -> None:
    from pyarrow import parquet

    await write_books(database)
    await export(database, tmp_path / "usage.csv", CsvRows)
    manifest = await export(database, tmp_path / "usage.parquet", ParquetRows)
    table = parquet.read_table(tmp_path / "usage.parquet").to_pylist()
    with (tmp_path / "usage.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert manifest.rows == len(table) == len(rows)
    for one, other in zip(table, rows, strict=True):
        assert (one["message"], one["amount"], one["accepted_at"].isoformat()) == (
            other["message"],
            Decimal(other["amount"]),
            other["accepted_at"],
        )


def test_parquet_is_written_group_by_group_whatever_the_batches(tmp_path: Path) -> None:
    from pyarrow import parquet

    at = datetime(2026, 10, 5, tzinfo=UTC)
    row = UsageRow(
        "msg_x", 1, "mt", "", at, at, 33612345678, "36111", "20801", 1, 45_000, 45_000, "EUR", "pri_x", "",
    )  # fmt: skip
    rows_to = ParquetRows(tmp_path / "usage.parquet")
    for _ in range(7):
        rows_to.write([row] * 4_001)
    rows_to.close(UsageSums())
    groups = parquet.read_metadata(tmp_path / "usage.parquet")
    sizes = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]
    assert sizes == [5_000] * 5 + [7 * 4_001 - 25_000]


def test_a_summary_of_more_rows_than_a_sheet_is_refused_and_one_that_fills_it_is_whole(
    tmp_path: Path,
) -> None:
    from zipfile import ZipFile

    from xlsxwriter.worksheet import Worksheet

    assert SHEET_ROWS_MAX + 1 == Worksheet().xls_rowmax == 1_048_576  # with the header
    at = datetime(2026, 10, 5, tzinfo=UTC)

    def of(unit: int) -> UsageRow:
        return UsageRow(
            "msg_x", 0, "mt", "", at, at, 33612345678, "36111", "20801", 1, unit, unit, "EUR", "pri_x", "",
        )  # fmt: skip

    full, beyond = (XlsxSummary(tmp_path / name, rows_max=3) for name in ("full.xlsx", "beyond.xlsx"))
    full.write([of(unit) for unit in (1, 2, 3, 3, 1)])
    full.close(UsageSums())
    with ZipFile(tmp_path / "full.xlsx") as book:
        assert book.read("xl/worksheets/sheet1.xml").decode().count("<row ") == 4
    beyond.write([of(unit) for unit in (1, 2, 3)])
    with pytest.raises(Invalid, match="more than 3 rows: take CSV or Parquet"):
        beyond.write([of(4)])


async def test_the_spreadsheet_has_sums_and_texts_stay_texts(database: Database, tmp_path: Path) -> None:
    from zipfile import ZipFile

    await write_books(database)
    async with database.bulk_transaction() as connection:
        await connection.execute("UPDATE campaign SET external_id = '=1+1'")
    manifest = await export(database, tmp_path / "usage.xlsx", XlsxSummary)
    assert manifest.equal
    with ZipFile(tmp_path / "usage.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet  # no formula
    assert "=1+1" in sheet
    assert f"<v>{PEOPLE}</v>" in sheet


async def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(
    database: Database, tmp_path: Path
) -> None:
    await write_books(database)
    async with database.bulk_transaction() as connection:
        await connection.execute("UPDATE campaign SET external_id = E'=cmd|''/c calc''!A1,\"x'")
    await export(database, tmp_path / "usage.csv", CsvRows)
    with (tmp_path / "usage.csv").open(newline="") as file:
        campaigns = {row["campaign"] for row in csv.DictReader(file)}
    assert "'=cmd|'/c calc'!A1,\"x" in campaigns
    assert not any(campaign.startswith("=") for campaign in campaigns)


async def test_another_month_is_empty_and_equal(database: Database, tmp_path: Path) -> None:
    await write_books(database)
    manifest = await export(database, tmp_path / "usage.csv", CsvRows, Month(2025, 3))
    assert (manifest.rows, manifest.equal) == (0, True)
    assert (tmp_path / "usage.csv").read_bytes().count(b"\r\n") == 1


async def test_a_file_that_is_not_what_the_ledger_says_is_told(database: Database, tmp_path: Path) -> None:
    await write_books(database)
    connection = await database.connect("sg_admin")
    await connection.execute(
        "UPDATE sent SET sell_micros = sell_micros + 1 WHERE message_id = (SELECT min(message_id) FROM sent)"
    )
    await connection.close()
    manifest = await export(database, tmp_path / "usage.csv", CsvRows)
    assert not manifest.equal


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_months_are_the_merchants_own_by_the_instant_of_acceptance(
    database: Database, tmp_path: Path, zone: str
) -> None:
    await write_books(database)
    async with database.bulk_transaction() as connection:
        await connection.execute("UPDATE merchant SET timezone = $1", zone)
    manifest = await export(database, tmp_path / "a.csv", CsvRows, month_of(datetime.now(UTC), zone))
    assert (manifest.rows, manifest.equal) == (await charged(database), True)
