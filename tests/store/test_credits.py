"""Credit notes by hand in the database: at most what is left, in one transaction with their posting."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import pytest

from smsgate.billing.documents import LineKind
from smsgate.billing.periods import Month
from smsgate.errors import DomainError, NotFound
from smsgate.flows.documents import Documents, StoredDocument
from smsgate.store.closing import PgClosing
from smsgate.store.issued import PgDocuments
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from smsgate.store.verify import PgVerify
from tests.store.books import CLOSE_AT, NOVEMBER, OCTOBER, OTHER_ITEM, SELLER, Books, some_books

SHOP = 7
LATE = datetime(2026, 11, 12, 9, tzinfo=UTC)
LATER = datetime(2026, 12, 12, 9, tzinfo=UTC)


def documents_of(books: Books) -> Documents:
    return Documents(PgDocuments(books.database), SELLER, books.clock, lambda: next(books.ids))


async def an_invoice(database: Database) -> tuple[Books, Documents, StoredDocument]:
    """Return an invoice of 101 x 0.01 and 7 x 0.045."""
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.execute("UPDATE price_item SET unit_micros = 10000 WHERE item_id = $1", OTHER_ITEM)
    await books.take(SHOP, 7)
    await books.take(SHOP, 101, item=(OTHER_ITEM, 10_000))
    (row,) = await books.closing().close(SHOP, OCTOBER)
    documents = documents_of(books)
    return books, documents, await documents.by_number(row.number)


async def one_that_gives_back(books: Books) -> StoredDocument:
    """Return November's invoice of -30 x 0.045 of October, whose 100 were billed, and 100 x 0.045."""
    november = datetime(2026, 11, 12, 9, tzinfo=UTC)
    await books.partitions(november)
    october = await books.take(SHOP, 100)
    await books.closing().close(SHOP, OCTOBER)
    await books.take(SHOP, 100, accepted_at=november)
    await PgReversals(books.database, lambda: next(books.ids)).reverse(SHOP, october[:30], "why", november)
    books.go_to(CLOSE_AT + timedelta(days=31))
    (row,) = await books.closing().close(SHOP, NOVEMBER)
    return await documents_of(books).by_number(row.number)


async def test_lines_are_credited_at_their_own_price_and_the_ledger_gives_revenue_and_vat_back(
    database: Database,
) -> None:
    books, documents, invoice = await an_invoice(database)
    before = await books.accounts()
    row = await documents.credit(invoice, [(1, 3), (2, 50)])
    # 3 x 0.045 = 0.135 is 0.14; 50 x 0.01 = 0.50; 20 % of 0.64 is 0.128
    assert (row.number, row.doc_type, row.net_minor, row.vat_minor) == ("F-2026-000002", "381", 64, 13)
    credit = await documents.by_number(row.number)
    assert (credit.invoice.preceding_number, credit.invoice.preceding_on) == (
        invoice.row.number, invoice.row.issued_on,
    )  # fmt: skip
    assert [line.quantity for line in credit.invoice.lines] == [3, 50]
    after = await books.accounts()
    moved = {name: after.get(name, 0) - before.get(name, 0) for name in after.keys() | before.keys()}
    assert {account: micros for (account, _), micros in moved.items() if micros} == {
        "receivable": -770_000, "vat": 130_000, "revenue": 635_000, "rounding": 5_000,
    }  # fmt: skip


async def test_all_that_is_left_equals_the_invoice_to_the_cent(database: Database) -> None:
    _books, documents, invoice = await an_invoice(database)
    some = [await documents.credit(invoice, [(1, 1), (2, 33)]) for _ in range(2)]
    rest = await documents.credit(invoice, None)
    rows = [*some, rest]
    assert sum(row.net_minor for row in rows) == invoice.row.net_minor
    assert sum(row.vat_minor for row in rows) == invoice.row.vat_minor
    (await PgVerify(database).looked()).hold()
    with pytest.raises(DomainError, match="nothing of F-2026-000001 is left"):
        await documents.credit(invoice, None)


@pytest.mark.parametrize(
    ("messages", "unit_micros", "parts", "nets", "vats"),
    [
        (100, 45_000, [1] * 3, [5, 5, 5, 435], [1, 1, 1, 87]),  # three roundings of a line, and its rest
        (1_000, 10_000, [3] * 4, [3, 3, 3, 3, 988], [1, 1, 1, 1, 196]),  # of VAT
        (10, 5_000, [1] * 7, [1, 1, 1, 1, 1, 0, 0, 0], [0] * 7 + [1]),  # nothing is left to round
        (30, 10_000, [3] * 8, [3] * 8 + [6], [1] * 6 + [0] * 3),  # no VAT is
    ],
)
async def test_the_last_credit_takes_all_roundings_before_it_and_the_proofs_hold(
    database: Database, messages: int, unit_micros: int, parts: list[int], nets: list[int], vats: list[int]
) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.execute("UPDATE price_item SET unit_micros = $1 WHERE item_id = $2", unit_micros, OTHER_ITEM)
    await books.take(SHOP, messages, item=(OTHER_ITEM, unit_micros))
    (row,) = await books.closing().close(SHOP, OCTOBER)
    documents = documents_of(books)
    invoice = await documents.by_number(row.number)
    asked = [*([(1, part)] for part in parts), None]
    rows = [await documents.credit(invoice, each) for each in asked]
    assert ([row.net_minor for row in rows], [row.vat_minor for row in rows]) == (nets, vats)
    (await PgVerify(database).looked()).hold()


@pytest.mark.parametrize(
    ("category", "vat", "parts", "vats"),
    [
        ("S", 63, [(1, -10), (2, 1), (2, 99)], [-9, 1, 89, -18]),
        ("AE", -27, [(1, -1), (1, -1), (2, 50)], [-1, -1, 0, -25]),
    ],
)
async def test_an_invoice_that_also_gives_back_is_credited_by_its_lines_and_the_proofs_hold(
    database: Database, category: str, vat: int, parts: list[tuple[int, int]], vats: list[int]
) -> None:
    """Of November, with 30 messages of October given back; without VAT in November its VAT is below zero."""
    books = await some_books(database)
    await books.merchant(SHOP)
    if category != "S":
        await books.execute(
            "INSERT INTO billing_vat (merchant_id, valid_from, category, rate_micros, reason) "
            "VALUES ($1, '2026-11-01', $2, 0, 'abroad')", SHOP, category,
        )  # fmt: skip
    invoice = await one_that_gives_back(books)
    documents = documents_of(books)
    assert invoice.row.vat_minor == vat
    rows = []
    for asked in [*([part] for part in parts), None]:
        rows.append(await documents.credit(invoice, asked))
        (await PgVerify(database).looked()).hold()
    assert [row.vat_minor for row in rows] == vats


@pytest.mark.parametrize("asked", [[(1, 8)], [(3, 1)], [(1, 0)], [(1, 4), (1, 4)]])
async def test_what_is_more_than_is_left_is_refused_whole_and_takes_no_number(
    database: Database, asked: list[tuple[int, int]]
) -> None:
    books, documents, invoice = await an_invoice(database)
    with pytest.raises(DomainError) as refused:
        await documents.credit(invoice, asked)
    assert refused.value.code == "credit_refused"
    assert await books.value("SELECT last FROM document_series") == 1


async def test_two_who_credit_at_once_do_not_credit_more_than_there_is(database: Database) -> None:
    books, documents, invoice = await an_invoice(database)
    answers = await asyncio.gather(
        *(documents.credit(invoice, [(1, 4)]) for _ in range(4)), return_exceptions=True
    )
    assert sum(not isinstance(answer, DomainError) for answer in answers) == 1
    assert await books.value("SELECT sum(quantity)::int FROM document_line WHERE credits_line = 1") == 4


async def test_credits_count_in_the_order_of_their_numbers_and_not_of_their_ids(database: Database) -> None:
    """Ids are made before the invoice is locked, and by nodes whose clocks differ."""
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.execute("UPDATE price_item SET unit_micros = 10000 WHERE item_id = $1", OTHER_ITEM)
    await books.take(SHOP, 8)
    await books.take(SHOP, 101, item=(OTHER_ITEM, 10_000))
    (row,) = await books.closing().close(SHOP, OCTOBER)
    rows = []
    for first_id, asked in ((9_100, [(1, 3)]), (9_000, [(1, 5)]), (9_200, None)):
        documents = Documents(PgDocuments(database), SELLER, books.clock, partial(next, count(first_id)))
        rows.append(await documents.credit(await documents.by_number(row.number), asked))
    # 0.14 and 0.22 of 0.36; as if the second came first it would be 0.23 and 0.13, so a cent more of VAT
    assert [(row.net_minor, row.vat_minor) for row in rows] == [(14, 3), (22, 4), (101, 20)]
    (await PgVerify(database).looked()).hold()


async def test_a_credit_note_is_not_credited_and_changes_no_later_close(database: Database) -> None:
    _books, documents, invoice = await an_invoice(database)
    row = await documents.credit(invoice, [(1, 1)])
    with pytest.raises(DomainError, match="is no invoice"):
        await documents.credit(await documents.by_number(row.number), None)


async def a_month_below_its_minimum(database: Database) -> tuple[Books, Documents, StoredDocument]:
    """Return an invoice of 100 x 0.045 and the 5.50 that were missing to October's 10.00."""
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.partitions(LATE, LATER)
    await a_minimum(books, 1, 1_000)
    await books.take(SHOP, 100)
    (row,) = await books.closing().close(SHOP, OCTOBER)
    documents = documents_of(books)
    return books, documents, await documents.by_number(row.number)


async def a_minimum(books: Books, version: int, minor: int) -> None:
    await books.execute(
        "INSERT INTO billing_commitment (merchant_id, version, currency, first_month, last_month, "
        "minimum_minor) VALUES ($1, $2, 'EUR', '2026-10-01', '2026-10-01', $3)",
        SHOP,
        version,
        minor,
    )


async def credit_the_minimum(documents: Documents, invoice: StoredDocument) -> None:
    (place,) = [
        number for number, line in enumerate(invoice.lines, 1) if line.terms.kind is LineKind.COMMITMENT
    ]
    await documents.credit(invoice, [(place, 1)])


async def closed_with(books: Books, month: Month, at: datetime, late: int) -> list[tuple[str, int]]:
    """Close a month that gets October's late units; return (type, net) of its documents."""
    await books.take(SHOP, late, recorded_at=at)
    books.go_to(at + timedelta(days=25))
    return [(row.doc_type, row.net_minor) for row in await books.closing().close(SHOP, month)]


async def test_what_was_credited_of_a_minimum_is_not_given_back_again_for_late_units(
    database: Database,
) -> None:
    books, documents, invoice = await a_month_below_its_minimum(database)
    await credit_the_minimum(documents, invoice)
    assert await closed_with(books, NOVEMBER, LATE, 40) == [("380", 180)]
    # What more units than the minimum wants bring is billed, and of the minimum nothing is left.
    assert await closed_with(books, NOVEMBER.next(), LATER, 100) == [("380", 450)]
    (await PgVerify(database).looked()).hold()


async def test_of_a_minimum_that_was_credited_in_part_the_rest_is_given_back(database: Database) -> None:
    books, documents, invoice = await a_month_below_its_minimum(database)
    await a_minimum(books, 2, 1_300)
    assert await closed_with(books, NOVEMBER, LATE, 20) == [("380", 300)]  # 0.90, and 2.10 to 7.60
    await credit_the_minimum(documents, invoice)
    # 3.60 came late, and 2.10 are left of what the minimum billed.
    assert await closed_with(books, NOVEMBER.next(), LATER, 80) == [("380", 360 - 210)]


async def test_no_minimum_is_credited_while_a_close_may_give_it_back(database: Database) -> None:
    """The close had read what was credited: what was credited meanwhile was given back once more."""
    books, documents, invoice = await a_month_below_its_minimum(database)
    await books.take(SHOP, 40, recorded_at=LATE)
    books.go_to(LATE + timedelta(days=25))
    closing = books.closing()
    merchant = await PgClosing(database, str).merchant(SHOP)
    await closing.cut(merchant, NOVEMBER, books.clock.now())
    for asked in ([(1, 1)], None):
        with pytest.raises(DomainError, match="is being closed") as refused:
            await documents.credit(invoice, asked)
        assert (refused.value.code, refused.value.http_status) == ("credit_refused", 409)
    assert (await documents.credit(invoice, [(2, 1)])).net_minor == 5  # of what was used
    assert [row.net_minor for row in await closing.bill(merchant, NOVEMBER)] == [0]
    with pytest.raises(DomainError, match="a later document gave a part back"):  # 1.80 of its 5.50
        await documents.credit(invoice, [(1, 1)])
    assert (await documents.credit(invoice, None)).net_minor == 450 - 5
    (await PgVerify(database).looked()).hold()


@pytest.mark.parametrize("number", ["", "F-2026-000009", "F-2026-x", "F-2026-0", "000001", "F-2026-9999999"])
async def test_a_number_that_nobody_has_is_not_found(database: Database, number: str) -> None:
    _books, documents, _invoice = await an_invoice(database)
    with pytest.raises(NotFound):
        await documents.by_number(number)
