"""I17: an exported file is held against its manifest and the ledger; each corruption of either is found."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import orjson
import pytest

from smsgate.errors import Invalid
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.documents import StoredDocument
from smsgate.flows.export_proofs import MANIFEST_SUFFIX, prove_exports, read_csv, read_export
from smsgate.flows.exporting import CsvRows, Exporting, ExportQuestion, Manifest, RowWriter
from smsgate.flows.reversals import Reversing
from smsgate.flows.verifying import Finding
from smsgate.invoicing.tables import ParquetRows, parquet_sums
from smsgate.security.public_ids import PublicIds
from smsgate.store.connection import Connection
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.offers import PgOffers
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from smsgate.store.usage_records import PgUsageRecords, PgUsageSnapshot
from tests.store.books import CLOSE_AT, OCTOBER, OTHER_ITEM, Books, some_books
from tests.store.verified_books import Corruption, made_once

SHOP = 7
FORMS: dict[str, Callable[[Path], RowWriter]] = {"csv": CsvRows, "parquet": ParquetRows}


class OfTransaction:
    """Reads what one transaction sees, uncommitted corruptions included."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def snapshot(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime
    ) -> AsyncIterator[PgUsageSnapshot]:
        yield PgUsageSnapshot(self._connection, merchant_id, starts_at, ends_at)


async def october(database: Database) -> Books:
    books = await some_books(database)
    await books.merchant(SHOP)
    for messages, how in ((7, {}), (5, {"segments": 2}), (3, {"item": (OTHER_ITEM, 90_001)})):
        ids = await books.take(SHOP, messages, **how)
        await books.write_messages(SHOP, ids)
    return books


async def export(database: Database, path: Path, form: str = "csv", *, now: datetime = CLOSE_AT) -> Manifest:
    exporting = Exporting(PgUsageRecords(database), PublicIds(bytes(32)))
    question = ExportQuestion(await PgOffers(database).merchant(SHOP), OCTOBER, "EUR")
    manifest = await exporting.write(question, path, FORMS[form], now=now)
    path.with_name(path.name + MANIFEST_SUFFIX).write_bytes(orjson.dumps(dict(manifest.values)))
    return manifest


async def no_document(number: str) -> StoredDocument:
    raise AssertionError(number)


@pytest.fixture(scope="module")
def books(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Any], Path]]:
    path = tmp_path_factory.mktemp("exports") / "october.csv"

    async def write(database: Database) -> None:
        await october(database)
        await export(database, path)
        await export(database, path.with_suffix(".parquet"), "parquet")

    with made_once(postgres_server, write) as arguments:
        yield arguments, path


async def found(arguments: dict[str, Any], path: Path, sql: str = "") -> Finding:
    """Return what is found about a file after `sql`, which is undone again."""
    file = read_export(path, parquet_sums if path.suffix == ".parquet" else read_csv)

    async def merchant(slug: str) -> MerchantProfile:
        return MerchantProfile(SHOP, "Boxman", slug, "FR", "fr", "Europe/Paris", "EUR", 1, "active")

    connection = await asyncpg.connect(**arguments)
    try:
        transaction = connection.transaction()
        await transaction.start()
        if sql:
            assert int((await connection.execute(sql)).split()[-1]) > 0, "nothing was corrupted"
        finding = await prove_exports([file], OfTransaction(connection), merchant, no_document)
        await transaction.rollback()
    finally:
        await connection.close()
    return finding


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
async def test_a_file_of_a_month_that_is_over_holds(books: tuple[dict[str, Any], Path], suffix: str) -> None:
    arguments, path = books
    assert await found(arguments, path.with_suffix(suffix)) == Finding("I17", 0, None)


IN_THE_LEDGER = {
    "a charge is recorded that the file does not have": Corruption(
        "UPDATE ledger_entry SET amount_micros = amount_micros * 2, messages = messages * 2 "
        "WHERE direction = 'mt' AND item_id = 11 AND posting_id = (SELECT min(posting_id) FROM ledger_entry)",
        "I17",
        "october.csv: it has mt 15 messages, 20 segments, 1.035003, the ledger mt 22 messages",
    ),
    "a posting of the month is gone": Corruption(
        "DELETE FROM ledger_entry WHERE posting_id = (SELECT min(posting_id) FROM ledger_entry)",
        "I17",
        "the ledger mt 8 messages, 13 segments, 0.720003",
    ),
    "a charge is dated into another month": Corruption(
        "UPDATE ledger_entry SET accepted_at = accepted_at + interval '1 month' WHERE item_id = 12",
        "I17",
        "the ledger mt 12 messages",
    ),
    "a charge is a micro dearer": Corruption(
        "UPDATE ledger_entry SET amount_micros = amount_micros + sign(amount_micros) WHERE item_id = 12",
        "I17",
        "the ledger mt 15 messages, 20 segments, 1.035004",
    ),
}


@pytest.mark.parametrize("name", IN_THE_LEDGER)
async def test_a_ledger_that_says_otherwise_is_found(books: tuple[dict[str, Any], Path], name: str) -> None:
    made = IN_THE_LEDGER[name]
    finding = await found(*books, made.sql)
    assert (finding.invariant, finding.wrong) == (made.invariant, 1)
    assert made.names in (finding.first or "")


async def test_what_was_recorded_after_the_file_was_made_is_of_a_later_file(
    books: tuple[dict[str, Any], Path],
) -> None:
    late = "UPDATE ledger_entry SET at = '2026-11-05' WHERE item_id = 12"
    finding = await found(*books, late)
    assert finding.wrong  # it is in the file, so it was there before
    more = (
        "INSERT INTO ledger_entry SELECT merchant_id, posting_id + 500000, line, account, currency, "
        "amount_micros, direction, item_id, campaign_id, carrier_id, messages, segments, "
        f"'{CLOSE_AT + timedelta(seconds=1)}', accepted_at FROM ledger_entry WHERE item_id = 12"
    )
    assert await found(*books, more) == Finding("I17", 0, None)


async def test_flushes_that_cross_an_export_are_in_its_file_or_not_as_its_snapshot_had_them(
    database: Database, tmp_path: Path
) -> None:
    books = await october(database)
    path, now = tmp_path / "october.csv", CLOSE_AT - timedelta(days=3)
    moment = timedelta(seconds=0.2)
    seen = await books.take(SHOP, 2, recorded_at=now + moment)  # its clock is ahead, or it was quick
    await books.write_messages(SHOP, seen)
    manifest = await export(database, path, now=now)
    assert (manifest.rows, manifest.equal) == (17, True)
    unseen = await books.take(SHOP, 1, recorded_at=now - moment)  # it was cut before, and commits after
    await books.write_messages(SHOP, unseen)
    assert await proved(database, path) == Finding("I17", 0, None)
    await books.closing().close(SHOP, OCTOBER)
    assert await proved(database, path) == Finding("I17", 0, None)
    assert (await export(database, tmp_path / "later.csv", now=CLOSE_AT + moment)).rows == 18
    assert await proved(database, tmp_path / "later.csv") == Finding("I17", 0, None)
    # What it has is still looked for, and what is too old to have crossed it.
    for recorded_at, moved_to, names in (
        (now + moment, now + 2 * moment, "the ledger mt 15 messages"),
        (now - moment, now - timedelta(hours=1), "the ledger mt 18 messages"),
    ):
        move = "UPDATE ledger_entry SET at = $2 WHERE at = $1"
        await books.execute(move, recorded_at, moved_to)
        assert names in ((await proved(database, path)).first or "")
        await books.execute(move, moved_to, recorded_at)


async def test_a_manifest_that_names_no_flushes_is_held_to_the_instant_at_which_it_was_made(
    books: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    arguments, path = books
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    beside = path.with_name(path.name + MANIFEST_SUFFIX)
    (tmp_path / beside.name).write_bytes(beside.read_bytes())
    told(copy, ledger={"equal": True})
    assert await found(arguments, copy) == Finding("I17", 0, None)
    later = f"UPDATE ledger_entry SET at = '{CLOSE_AT}' WHERE item_id = 12"
    assert "the ledger mt 12 messages" in ((await found(arguments, copy, later)).first or "")


async def proved(database: Database, path: Path) -> Finding:
    async def merchant(_slug: str) -> MerchantProfile:
        return await PgOffers(database).merchant(SHOP)

    return await prove_exports([read_export(path)], PgUsageRecords(database), merchant, no_document)


def told(path: Path, **changes: Any) -> None:
    """Change what the manifest says of a file; its octets and SHA-256 are set right, as one who knows how."""
    beside = path.with_name(path.name + MANIFEST_SUFFIX)
    octets = path.read_bytes()
    right = {"octets": len(octets), "sha256": hashlib.sha256(octets).hexdigest()}
    beside.write_bytes(orjson.dumps({**orjson.loads(beside.read_bytes()), **right, **changes}))


def without_a_row(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))


def with_another_sender(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b",36111,", b",36112,", 1))


class Change(NamedTuple):
    """What is done to a file, what its manifest is made to say (None: nothing), and what is found."""

    change: Callable[[Path], None]
    manifest: dict[str, Any] | None
    names: str


SUMS_OF_14 = [{"direction": "mt", "messages": 14, "segments": 19, "amount": "0.945002"}]
IN_THE_FILE = {
    "an octet of a text is another": Change(with_another_sender, None, "its sha256 are"),
    "a row is gone": Change(without_a_row, None, "its octets are"),
    "a row is gone, and size and SHA-256 are set right": Change(
        without_a_row, {}, "its rows are 14, the manifest has 15"
    ),
    "a row is gone, and its count too": Change(
        without_a_row,
        {"rows": 14},
        "its sums are mt 14 messages, 19 segments, 0.945002, the manifest has mt 15 messages",
    ),
    "a row is gone, and the manifest knows nothing of it": Change(
        without_a_row,
        {"rows": 14, "sums": SUMS_OF_14},
        "it has mt 14 messages, 19 segments, 0.945002, the ledger mt 15 messages, 20 segments, 1.035003",
    ),
}


@pytest.mark.parametrize("name", IN_THE_FILE)
async def test_a_file_that_was_changed_is_found(
    books: tuple[dict[str, Any], Path], tmp_path: Path, name: str
) -> None:
    arguments, path = books
    copy = tmp_path / path.name
    for suffix in ("", MANIFEST_SUFFIX):
        (tmp_path / (path.name + suffix)).write_bytes(path.with_name(path.name + suffix).read_bytes())
    made = IN_THE_FILE[name]
    made.change(copy)
    if made.manifest is not None:
        told(copy, **made.manifest)
    finding = await found(arguments, copy)
    assert (finding.wrong, made.names in (finding.first or "")) == (1, True), finding


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (b",0.045,0.045,", b",0.045,0.046,", "line 2: 0.045 x 1 is not 0.046"),
        (b",0.045,0.045,", b",0.045,x,", "line 2: 'x' is not an amount"),
        (b"message,part", b"message,parts", "line 1: its header is not message,part"),
        (b",EUR,", b",", "line 2: it has 14 cells, not 15"),
    ],
)
async def test_a_row_that_cannot_be_read_is_named(
    books: tuple[dict[str, Any], Path], tmp_path: Path, before: bytes, after: bytes, said: str
) -> None:
    arguments, path = books
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes().replace(before, after, 1))
    beside = path.with_name(path.name + MANIFEST_SUFFIX)
    (tmp_path / beside.name).write_bytes(beside.read_bytes())
    finding = await found(arguments, copy)
    assert (finding.wrong, said in (finding.first or "")) == (1, True), finding


def test_a_file_without_its_manifest_is_refused_and_one_of_another_kind_found(
    books: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    path = books[1]
    with pytest.raises(Invalid, match="is no manifest"):
        read_export(tmp_path / "a.csv")
    assert read_export(path, parquet_sums).unreadable.startswith("no Parquet of usage records: ")
    assert read_export(path.with_suffix(".parquet")).unreadable.startswith("line ")


async def test_what_is_given_back_is_no_row_any_more_and_the_ledger_agrees(
    database: Database, tmp_path: Path
) -> None:
    books = await october(database)
    given = await books.value("SELECT min(message_id) FROM sent")
    reversing = Reversing(PgReversals(database, lambda: next(books.ids)), books.clock)
    assert await reversing.reverse(SHOP, [given], "sent by mistake") == 1
    manifest = await export(database, tmp_path / "october.csv")
    assert (manifest.rows, manifest.equal) == (14, True)
