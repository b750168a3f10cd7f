"""The proof file of an invoice: made from the books, checked without them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from smsgate.billing.document_proofs import Held, check_proof
from smsgate.errors import Conflict, Invalid, NotFound
from smsgate.flows.document_proof import DocumentProofs
from smsgate.flows.documents import Documents
from smsgate.flows.exporting import CsvRows, Exporting, ExportQuestion
from smsgate.security.proof_chain import Entry, ProofKey
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.document_proof import PgDocumentProofs
from smsgate.store.issued import PgDocuments
from smsgate.store.offers import PgOffers
from smsgate.store.pool import Database
from smsgate.store.usage_records import PgUsageRecords
from tests.store.books import CLOSE_AT, NOVEMBER, OCTOBER, OTHER_ITEM, SELLER, Books, some_books

SHOP = 1
KEY = ProofKey(b"k" * 32)
IDS = PublicIds(b"p" * 32)
NOVEMBERS_CLOSE = CLOSE_AT + timedelta(days=30)


def exporting(books: Books) -> Exporting:
    return Exporting(PgUsageRecords(books.database), IDS)


def proofs(books: Books) -> DocumentProofs:
    database = books.database
    return DocumentProofs(
        PgDocumentProofs(database),
        Documents(PgDocuments(database), SELLER, books.clock, lambda: next(books.ids)),
        exporting(books),
        PgOffers(database).merchant,
        IDS,
        books.clock,
        KEY,
    )


async def an_invoice(database: Database) -> tuple[Books, list[int]]:
    """F-2026-000001: 7 segments at 0.045, and 3 messages of two segments; 2 more come after the close."""
    books = await some_books(database)
    await books.merchant(SHOP)
    ids = await books.take(SHOP, 7)
    ids += await books.take(SHOP, 3, item=(OTHER_ITEM, 90_001), segments=2)
    await books.closing().close(SHOP, OCTOBER)
    ids += await books.take(SHOP, 2, recorded_at=CLOSE_AT + timedelta(hours=1))
    await books.write_messages(SHOP, ids)
    return books, ids


def altered(octets: bytes, kind: str, **change: object) -> bytes:
    """Return the file with the first entry of a kind changed, and sealed anew by the gateway itself."""
    rows = [orjson.loads(line) for line in octets.splitlines()]
    entries = [Entry(row["kind"], row["at"], row["body"]) for row in rows[:-1]]
    place = next(place for place, entry in enumerate(entries) if entry.kind == kind)
    entries[place] = entries[place]._replace(body={**entries[place].body, **change})
    return KEY.sealed(entries, rows[-1]["at"])


async def test_an_invoice_is_proved_line_by_line_and_down_to_a_message(database: Database) -> None:
    books, ids = await an_invoice(database)
    sample = IDS.encode(Kind.MESSAGE, ids[0])
    octets = await proofs(books).file("F-2026-000001", [sample])
    assert check_proof(octets, key=KEY.public) == Held(
        number="F-2026-000001", lines=2, segments=15, rows=12, samples=1, key=KEY.public
    )
    groups = [row["body"] for row in map(orjson.loads, octets.splitlines()) if row["kind"] == "records"]
    assert [(group["billed"], group["not_billed"]) for group in groups] == [
        ([["F-2026-000001", 7]], 2), ([["F-2026-000001", 6]], 0),
    ]  # fmt: skip


async def test_what_came_late_is_proved_by_the_invoice_that_bills_it(database: Database) -> None:
    books, _ids = await an_invoice(database)
    books.go_to(NOVEMBERS_CLOSE)
    (late,) = await books.closing().close(SHOP, NOVEMBER)
    octets = await proofs(books).file(late.number)
    held = check_proof(octets)
    assert (held.wrong, held.number, held.lines, held.segments) == ("", "F-2026-000002", 1, 9)
    (group,) = [row["body"] for row in map(orjson.loads, octets.splitlines()) if row["kind"] == "records"]
    assert (group["billed"], group["not_billed"]) == ([["F-2026-000001", 7], ["F-2026-000002", 2]], 0)


async def test_the_merchants_own_export_leads_to_the_same_roots_and_a_changed_one_does_not(
    database: Database, tmp_path: Path
) -> None:
    books, _ids = await an_invoice(database)
    octets = await proofs(books).file("F-2026-000001")
    merchant = await PgOffers(database).merchant(SHOP)
    assert merchant is not None
    path = tmp_path / "october.csv"
    question = ExportQuestion(merchant, OCTOBER, "EUR")
    await exporting(books).write(question, path, CsvRows, now=books.clock.now())
    lines = path.read_text("utf-8").splitlines(keepends=True)
    assert check_proof(octets, records=[lines]).rows_compared == 12
    for changed in (
        lines[:-1],
        [*lines, lines[-1]],
        [*lines[:-1], lines[-1].replace(",0.045,0.045,", ",0.04,0.04,")],
        lines[:1],
    ):
        assert check_proof(octets, records=[changed]).wrong != ""


@pytest.mark.parametrize(
    ("kind", "change", "sentence"),
    [
        ("document", {"payload": "{}"}, "the document does not have its hash"),
        ("document", {"previous_sha256": "00"}, "does not follow from the one before"),
        ("line", {"quantity": 8}, "line 1 is not what the document says"),
        ("records", {"segments": 10}, "documents and records do not count the same"),
        ("records", {"billed": []}, "its lines do not make 0"),
        ("records", {"month": "2026-09"}, "has no records"),
        ("sample", {"record": "msg_1,1"}, "the sample msg_1 does not lead to its root"),
        ("sample", {"path": "x"}, "the entries are none of an invoice's proof"),
    ],
)
async def test_a_file_that_contradicts_itself_does_not_hold_whoever_signed_it(
    database: Database, kind: str, change: dict[str, object], sentence: str
) -> None:
    books, ids = await an_invoice(database)
    octets = await proofs(books).file("F-2026-000001", [IDS.encode(Kind.MESSAGE, ids[0])])
    assert sentence in check_proof(altered(octets, kind, **change)).wrong
    assert "entry 1 does not hold" in check_proof(octets.replace(b"F-2026-000001", b"F-2026-000007")).wrong


async def test_what_cannot_be_proved_is_refused(database: Database) -> None:
    books, _ids = await an_invoice(database)
    with pytest.raises(NotFound):
        await proofs(books).file("F-2026-000009")
    with pytest.raises(NotFound, match="msg_"):
        await proofs(books).file("F-2026-000001", [IDS.encode(Kind.MESSAGE, 42)])
    documents = Documents(PgDocuments(database), SELLER, books.clock, lambda: next(books.ids))
    credit = await documents.credit(await documents.by_number("F-2026-000001"), [(1, 1)])
    with pytest.raises(Invalid, match="no messages stand behind"):
        await proofs(books).file(credit.number)
    await books.execute("DELETE FROM sent WHERE merchant_id = $1 AND segments = 2", SHOP)
    with pytest.raises(Conflict) as refused:
        await proofs(books).file("F-2026-000001")
    assert refused.value.code == "records_incomplete"
