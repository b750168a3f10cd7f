"""I17 against documents: exported files have what lines bill, and a document's records what its own do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import orjson
import pytest

from smsgate.errors import Invalid
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.document_exports import DocumentExports
from smsgate.flows.documents import StoredDocument
from smsgate.flows.export_proofs import (
    MANIFEST_SUFFIX,
    files_in,
    prove_exports,
    prove_offline,
    read_export,
)
from smsgate.flows.verifying import Finding
from smsgate.security.public_ids import PublicIds
from smsgate.store.connection import Connection
from smsgate.store.document_records import PgDocumentRecords
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.issued import stored_document
from smsgate.store.pool import Database
from tests.store.books import OCTOBER, Books
from tests.store.test_credits import documents_of
from tests.store.test_verify_exports import SHOP, OfTransaction, export, october
from tests.store.verified_books import Corruption, made_once

MONTH, DOCUMENT = "october.csv", "F-2026-000001.csv"


async def export_document(books: Books, number: str, path: Path) -> None:
    exports = DocumentExports(PgDocumentRecords(books.database, PublicIds(bytes(32)).encode))
    file = await exports.make(await documents_of(books).by_number(number), books.clock.now())
    path.write_bytes(file.octets)
    path.with_name(path.name + MANIFEST_SUFFIX).write_bytes(orjson.dumps(file.manifest))


@pytest.fixture(scope="module")
def books(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Any], Path]]:
    """October with 7, 5 and 3 messages, exported before its close; what came late; its invoice, exported."""
    directory = tmp_path_factory.mktemp("exports")

    async def write(database: Database) -> None:
        books = await october(database)
        await export(database, directory / MONTH)
        await books.closing().close(SHOP, OCTOBER)
        books.clock.advance(60)
        ids = await books.take(SHOP, 2, recorded_at=books.clock.now())
        await books.write_messages(SHOP, ids)
        await export_document(books, "F-2026-000001", directory / DOCUMENT)

    with made_once(postgres_server, write) as arguments:
        yield arguments, directory


async def found(arguments: dict[str, Any], path: Path, sql: str = "") -> Finding:
    """Return what is found about a file after `sql`, which is undone again."""
    connection: Connection = await asyncpg.connect(**arguments)

    async def merchant(slug: str) -> MerchantProfile:
        return MerchantProfile(SHOP, "Boxman", slug, "FR", "fr", "Europe/Paris", "EUR", 1, "active")

    async def document(number: str) -> StoredDocument:
        sql = "SELECT document_id FROM document WHERE series || '-' || lpad(number::text, 6, '0') = $1"
        return await stored_document(connection, SHOP, await connection.fetchval(sql, number))

    try:
        transaction = connection.transaction()
        await transaction.start()
        if sql:
            # Documents cannot be changed as they are.
            await connection.execute("SET LOCAL session_replication_role = replica")
            assert int((await connection.execute(sql)).split()[-1]) > 0, "nothing was corrupted"
        finding = await prove_exports([read_export(path)], OfTransaction(connection), merchant, document)
        await transaction.rollback()
    finally:
        await connection.close()
    return finding


@pytest.mark.parametrize("name", [MONTH, DOCUMENT])
async def test_files_of_a_closed_month_hold(books: tuple[dict[str, Any], Path], name: str) -> None:
    arguments, directory = books
    assert await found(arguments, directory / name) == Finding("I17", 0, None)


IN_THE_LINES = {
    (MONTH, "a line bills a segment more"): Corruption(
        "UPDATE document_line SET quantity = quantity + 1 WHERE item_id = 11",
        "I17",
        "october.csv: it has mt 20 segments, 1.035003; lines of documents, and what is on none yet, "
        "21 segments, 1.080003",
    ),
    (MONTH, "a line is of another month"): Corruption(
        "UPDATE document_line SET origin = '2026-09-01' WHERE item_id = 12",
        "I17",
        "lines of documents, and what is on none yet, 17 segments, 0.765",
    ),
    (MONTH, "a line is gone"): Corruption(
        "DELETE FROM document_line WHERE item_id = 11", "I17", "3 segments, 0.270003"
    ),
    (DOCUMENT, "a line bills a segment more"): Corruption(
        "UPDATE document_line SET quantity = quantity + 1 WHERE item_id = 11",
        "I17",
        "F-2026-000001.csv: line 1 has 18 segments and 0.77, its rows 17 and 0.77",
    ),
    (DOCUMENT, "a line has a cent more"): Corruption(
        "UPDATE document_line SET net_minor = net_minor + 1 WHERE item_id = 12",
        "I17",
        "line 2 has 3 segments and 0.28, its rows 3 and 0.27",
    ),
    (DOCUMENT, "a line is gone"): Corruption(
        "DELETE FROM document_line WHERE item_id = 12",
        "I17",
        "it has rows of line 2, and the document 1 lines",
    ),
}


@pytest.mark.parametrize("name", IN_THE_LINES)
async def test_lines_that_bill_something_else_are_found(
    books: tuple[dict[str, Any], Path], name: tuple[str, str]
) -> None:
    arguments, directory = books
    made = IN_THE_LINES[name]
    finding = await found(arguments, directory / name[0], made.sql)
    assert (finding.invariant, finding.wrong) == (made.invariant, 1)
    assert made.names in (finding.first or ""), finding.first


class Change(NamedTuple):
    before: bytes
    after: bytes
    manifest: dict[str, Any]  # what it is made to say besides the file's true size and SHA-256
    names: str


IN_THE_FILE = {
    "a row is not its price x segments": Change(
        b",0.045,0.765,", b",0.045,0.865,", {}, "0.045 x 17 is not 0.865"
    ),
    "a rounding is another": Change(
        b",-0.000003,", b",-0.000004,", {}, "its sums are rounding 0 messages, 0 segments"
    ),
    "a row is of another document": Change(
        b"F-2026-000001,2,", b"F-2026-000009,2,", {}, "not of F-2026-000001"
    ),
    "the manifest tells another net": Change(b"", b"", {"net": "1.05"}, "its net are 1.04"),
    "the header is another": Change(
        b"document,lines", b"paper,lines", {}, "its header is not document,lines"
    ),
}


@pytest.mark.parametrize("name", IN_THE_FILE)
def test_a_directory_is_proved_without_a_database_and_a_changed_file_named(
    books: tuple[dict[str, Any], Path], tmp_path: Path, name: str
) -> None:
    for path in books[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert [path.name for path in files_in(tmp_path)] == [DOCUMENT, MONTH]
    assert prove_offline([read_export(path) for path in files_in(tmp_path)]) == Finding("I17", 0, None)
    made, path = IN_THE_FILE[name], tmp_path / DOCUMENT
    assert made.before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(made.before, made.after, 1))
    beside = tmp_path / (DOCUMENT + MANIFEST_SUFFIX)
    octets = path.read_bytes()
    right = {"octets": len(octets), "sha256": hashlib.sha256(octets).hexdigest()}
    beside.write_bytes(orjson.dumps({**orjson.loads(beside.read_bytes()), **right, **made.manifest}))
    finding = prove_offline([read_export(path) for path in files_in(tmp_path)])
    assert (finding.wrong, made.names in (finding.first or "")) == (1, True), finding


def test_a_file_that_is_gone_is_named_and_a_directory_without_manifests_refused(
    books: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match="has no manifest"):
        files_in(tmp_path)
    beside = DOCUMENT + MANIFEST_SUFFIX
    (tmp_path / beside).write_bytes((books[1] / beside).read_bytes())
    finding = prove_offline([read_export(path) for path in files_in(tmp_path)])
    assert finding == Finding("I17", 1, f"{DOCUMENT}: its manifest is here, and the file is not")


@pytest.mark.parametrize("sums", [[7], [{}], [{"direction": "mt"}], "nothing", {"direction": "mt"}, None])
def test_a_manifest_whose_sums_are_none_is_found_out(
    books: tuple[dict[str, Any], Path], tmp_path: Path, sums: object
) -> None:
    for name in (DOCUMENT, MONTH):
        manifest = orjson.loads((books[1] / (name + MANIFEST_SUFFIX)).read_bytes())
        (tmp_path / name).write_bytes((books[1] / name).read_bytes())
        (tmp_path / (name + MANIFEST_SUFFIX)).write_bytes(orjson.dumps({**manifest, "sums": sums}))
    (tmp_path / MANIFEST_SUFFIX).write_bytes(b"{}")  # beside no file
    finding = prove_offline([read_export(path) for path in files_in(tmp_path)])
    assert (finding.wrong, f"{DOCUMENT}: its sums are " in (finding.first or "")) == (2, True), finding


@pytest.mark.parametrize(
    "wrong", [{"made_at": "x"}, {"made_at": 7}, {"made_at": "2026-11-02T00:00:00"}, {"month": 7}]
)
async def test_a_manifest_without_a_time_is_refused(
    books: tuple[dict[str, Any], Path], tmp_path: Path, wrong: dict[str, object]
) -> None:
    manifest = orjson.loads((books[1] / (MONTH + MANIFEST_SUFFIX)).read_bytes())
    (tmp_path / MONTH).write_bytes((books[1] / MONTH).read_bytes())
    (tmp_path / (MONTH + MANIFEST_SUFFIX)).write_bytes(orjson.dumps({**manifest, **wrong}))
    with pytest.raises(Invalid, match="has no time"):
        await found(books[0], tmp_path / MONTH)
