"""The records of one document add up to its net, to the last micro."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from smsgate.billing.tiers import Ladder, LadderMode, Step, ladder_to_json
from smsgate.flows.document_exports import DocumentExports, DocumentFile
from smsgate.flows.reversals import Reversing
from smsgate.security.public_ids import PublicIds
from smsgate.store.document_records import PgDocumentRecords
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from tests.store.books import CLOSE_AT, ITEM, NOVEMBER, OCTOBER, OTHER_ITEM, Books, some_books
from tests.store.test_credits import documents_of

SHOP = 7
LATER = CLOSE_AT + timedelta(seconds=1)
LADDER = Ladder(LadderMode.VOLUME, (Step(1, 90_001), Step(11, 80_000)))


async def a_year(database: Database) -> Books:
    """
    Close October, November and December.

    October has usage of two prices, one with steps, and a minimum. November has what came late of October and
    changes its step. December gives back what November billed.
    """
    books = await some_books(database, now=CLOSE_AT - timedelta(seconds=1))
    await books.merchant(SHOP)
    await books.execute(
        "UPDATE price_item SET ladder = $2::text::jsonb WHERE item_id = $1",
        OTHER_ITEM,
        ladder_to_json(LADDER),
    )
    await books.execute(
        "INSERT INTO billing_commitment (merchant_id, version, currency, first_month, last_month, "
        "minimum_minor) VALUES ($1, 1, 'EUR', '2026-10-01', '2026-10-01', 250)",
        SHOP,
    )
    reversing = Reversing(PgReversals(database, lambda: next(books.ids)), books.clock)
    ids = await books.take(SHOP, 7, campaign_id=None)
    await books.take(SHOP, 3, item=(OTHER_ITEM, 90_001), segments=3)
    assert await reversing.reverse(SHOP, ids[:2], "sent twice") == 2
    books.go_to(CLOSE_AT)
    await books.closing().close(SHOP, OCTOBER)
    late = await books.take(SHOP, 33, recorded_at=LATER)
    await books.take(SHOP, 2, item=(OTHER_ITEM, 90_001), segments=3, recorded_at=LATER)
    await books.take(SHOP, 1, accepted_at=LATER)
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    await books.closing().close(SHOP, NOVEMBER)
    assert await reversing.reverse(SHOP, late, "sent twice") == 33
    books.go_to(datetime(2027, 1, 5, tzinfo=UTC))
    await books.closing().close(SHOP, NOVEMBER.next())
    return books


async def exported(books: Books, number: str) -> tuple[DocumentFile, list[dict[str, str]], int]:
    """Return the file of a document, its rows, and its net in cents."""
    exports = DocumentExports(PgDocumentRecords(books.database, PublicIds(bytes(32)).encode))
    document = await documents_of(books).by_number(number)
    file = await exports.make(document, books.clock.now())
    rows = list(csv.DictReader(io.StringIO(file.octets.decode(), newline=""), strict=True))
    return file, rows, document.row.net_minor


async def test_the_rows_of_each_document_have_its_net_as_their_sum(database: Database) -> None:
    books = await a_year(database)
    documents = await books.rows("SELECT series || '-' || lpad(number::text, 6, '0'), doc_type FROM document")
    assert [doc_type for _number, doc_type in documents] == ["380", "380", "381"]
    for number, _doc_type in documents:
        file, rows, net_minor = await exported(books, number)
        assert sum(Fraction(row["amount"]) for row in rows) * 100 == net_minor
        assert (file.equal, file.manifest["rows"], file.manifest["octets"]) == (
            True, len(rows), len(file.octets),
        )  # fmt: skip
        assert {row["document"] for row in rows} == {number}
        for row in rows:  # segments x price, but for what is no usage
            if row["kind"] == "usage":
                assert Fraction(row["unit_price"]) * int(row["segments"]) == Fraction(row["amount"])


def shown(rows: list[dict[str, str]]) -> list[tuple[Any, ...]]:
    names = ("lines", "kind", "for_month", "messages", "segments", "amount")
    return [tuple(row[name] for name in names) for row in rows]


async def test_late_units_steps_minimums_and_roundings_have_rows_of_their_own(database: Database) -> None:
    books = await a_year(database)
    _file, october, _net = await exported(books, "F-2026-000001")
    assert set(shown(october)) == {
        ("1", "commitment", "2026-10", "0", "0", "1.46"),
        ("2", "usage", "2026-10", "5", "5", "0.225"),
        ("2", "rounding", "2026-10", "0", "0", "0.005"),
        ("3", "usage", "2026-10", "3", "9", "0.810009"),
        ("3", "rounding", "2026-10", "0", "0", "-0.000009"),
    }
    _file, november, _net = await exported(books, "F-2026-000002")
    kinds = {(row["kind"], row["for_month"]) for row in november}
    assert ("steps", "2026-10") in kinds
    assert {("usage", "2026-10"), ("usage", "2026-11"), ("commitment", "2026-10")} <= kinds


async def test_a_credit_by_hand_is_its_lines(database: Database) -> None:
    books = await a_year(database)
    documents = documents_of(books)
    invoice = await documents.by_number("F-2026-000001")
    place = next(at for at, line in enumerate(invoice.lines, 1) if line.terms.item_id == ITEM)
    credit = await documents.credit(invoice, [(place, 3)])
    file, rows, net_minor = await exported(books, credit.number)
    assert (net_minor, file.equal) == (14, True)
    assert shown(rows) == [
        ("1", "usage", "2026-10", "0", "3", "0.135"),
        ("1", "rounding", "2026-10", "0", "0", "0.005"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "document_line SET quantity = quantity + 1 WHERE item_id = 11 AND quantity = 5",
        "ledger_entry SET amount_micros = amount_micros + 1 WHERE item_id = 11 AND amount_micros = 315000",
        "ledger_entry SET segments = segments + 1 WHERE item_id = 12 AND segments = 9",
    ],
)
async def test_a_document_that_is_not_what_the_ledger_has_does_not_agree(
    database: Database, change: str
) -> None:
    books = await a_year(database)
    await books.execute(f"UPDATE {change}")
    file, _rows, _net = await exported(books, "F-2026-000001")
    assert not file.equal
