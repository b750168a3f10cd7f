"""A merchant whose VAT category becomes O: a month of both has a document for each, through the books."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from smsgate.billing.invoices import Invoice, invoice_from_json
from smsgate.flows.document_exports import DocumentExports
from smsgate.flows.reversals import Reversing
from smsgate.invoicing.en16931 import invoice_xml
from smsgate.security.public_ids import PublicIds
from smsgate.store.document_records import PgDocumentRecords
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from smsgate.store.verify import PgVerify
from tests.invoicing.schematron import check
from tests.invoicing.test_en16931 import RULES, RULES_FIRED_MIN
from tests.store.books import CLOSE_AT, IN_OCTOBER, NOVEMBER, OCTOBER, Books, some_books
from tests.store.test_credits import documents_of

SHOP = 7
OUTSIDE_FROM = "2026-10-20"
END_OF_OCTOBER = IN_OCTOBER + timedelta(days=26)
LATER = CLOSE_AT + timedelta(hours=1)


async def moved(database: Database) -> tuple[Books, list[int], list[int]]:
    """A shop that leaves France on 20 October, with 7 messages before and 5 after; the ids of both."""
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.execute(
        "INSERT INTO billing_vat (merchant_id, valid_from, category, rate_micros, reason) "
        f"VALUES ($1, '{OUTSIDE_FROM}', 'O', -1, 'a business outside the EU')",
        SHOP,
    )
    await books.execute(
        "UPDATE billing_profile SET country = 'US', legal_id = '', vat_number = '', "
        "einvoicing_id = 'boxman-us'"
    )
    return books, await books.take(SHOP, 7), await books.take(SHOP, 5, accepted_at=END_OF_OCTOBER)


async def papers(books: Books) -> list[Invoice]:
    rows = await books.rows("SELECT payload FROM document ORDER BY number")
    return [invoice_from_json(bytes(payload)) for (payload,) in rows]


async def test_a_month_of_two_groups_has_a_document_for_each_and_the_books_agree(database: Database) -> None:
    books, _before, _after = await moved(database)
    first, second = await books.closing().close(SHOP, OCTOBER)
    assert [(row.number, row.net_minor, row.vat_minor) for row in (first, second)] == [
        ("F-2026-000001", 32, 6), ("F-2026-000002", 23, 0),
    ]  # fmt: skip
    french, outside = await papers(books)
    assert [(line.vat_category, line.quantity) for line in (*french.lines, *outside.lines)] == [
        ("S", 7), ("O", 5),
    ]  # fmt: skip
    assert (french.seller.vat_number, outside.seller.vat_number) == ("FR44732829320", "")
    assert (await books.accounts())["receivable", "EUR"] == 610_000
    assert ("unbilled", "EUR") not in await books.accounts()
    assert await books.closing().close(SHOP, OCTOBER) == [first, second]
    (await PgVerify(database).looked()).hold()


async def test_what_is_given_back_of_both_is_credited_with_its_own_invoice(database: Database) -> None:
    books, before, after = await moved(database)
    await books.closing().close(SHOP, OCTOBER)
    books.go_to(LATER)
    reversing = Reversing(PgReversals(database, lambda: next(books.ids)), books.clock)
    await reversing.reverse(SHOP, [before[0], after[0]], "sent twice")
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    rows = await books.closing().close(SHOP, NOVEMBER)
    assert [row.doc_type for row in rows] == ["381", "381"]
    *_october, french, outside = await papers(books)
    assert (french.preceding_number, outside.preceding_number) == ("F-2026-000001", "F-2026-000002")
    assert (french.vats[0].category, outside.vats[0].category) == ("S", "O")
    (await PgVerify(database).looked()).hold()


async def test_the_papers_of_both_pass_every_rule(database: Database) -> None:
    books, _before, _after = await moved(database)
    await books.closing().close(SHOP, OCTOBER)
    for paper in await papers(books):
        for syntax, rules in RULES:
            findings = check(invoice_xml(paper, syntax), rules)
            assert findings.failed == [], (paper.number, syntax, rules)
            assert findings.rules_fired >= RULES_FIRED_MIN


async def test_the_records_of_each_document_are_those_of_its_own_days(database: Database) -> None:
    books, _before, _after = await moved(database)
    await books.closing().close(SHOP, OCTOBER)
    exports = DocumentExports(PgDocumentRecords(database, PublicIds(bytes(32)).encode))
    for number, messages in (("F-2026-000001", 7), ("F-2026-000002", 5)):
        file = await exports.make(await documents_of(books).by_number(number), books.clock.now())
        (usage,) = (each for each in file.manifest["sums"] if each["kind"] == "usage")
        assert (file.equal, usage["messages"]) == (True, messages)
