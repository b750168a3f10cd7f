"""What was charged is given back once: by a credit by hand, or message by message, and never by both."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.billing.tiers import Ladder, LadderMode, Step, ladder_to_json
from smsgate.errors import DomainError
from smsgate.flows.documents import Documents, StoredDocument
from smsgate.flows.reversals import Reversing
from smsgate.store.issued import PgDocuments
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from smsgate.store.verify import PgVerify
from tests.store.books import NOVEMBER, OCTOBER, SELLER, Books, some_books

SHOP = 7
TEN = 10
IN_NOVEMBER = datetime(2026, 11, 12, 9, tzinfo=UTC)
NEXT_CLOSE = datetime(2026, 12, 5, tzinfo=UTC)
TIERED = 41


async def ten_of_october(database: Database) -> tuple[Books, Documents, list[int], StoredDocument]:
    """Return an invoice of 10 x 0.045, the messages that it charges, and books that stand in November."""
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.partitions(IN_NOVEMBER)
    ids = await books.take(SHOP, TEN)
    (row,) = await books.closing().close(SHOP, OCTOBER)
    documents = Documents(PgDocuments(database), SELLER, books.clock, lambda: next(books.ids))
    books.go_to(IN_NOVEMBER)
    return books, documents, ids, await documents.by_number(row.number)


async def reverse(books: Books, ids: Sequence[int]) -> int:
    reversing = Reversing(PgReversals(books.database, lambda: next(books.ids)), books.clock)
    return await reversing.reverse(SHOP, ids, "sent by mistake")


async def close_november(books: Books) -> list[tuple[str, int]]:
    books.go_to(NEXT_CLOSE)
    return [(row.doc_type, row.net_minor) for row in await books.closing().close(SHOP, NOVEMBER)]


async def units_of_october(books: Books) -> int:
    """Return what all documents together charge of October, with the signs of the ledger."""
    return int(
        await books.value(
            "SELECT coalesce(sum(CASE WHEN d.doc_type = '381' THEN -l.quantity ELSE l.quantity END), 0)::int "
            "FROM document d JOIN document_line l USING (merchant_id, document_id) "
            "WHERE l.origin = '2026-10-01'"
        )
    )


async def test_what_was_credited_by_hand_is_not_reversed_as_well(database: Database) -> None:
    books, documents, ids, invoice = await ten_of_october(database)
    await documents.credit(invoice, None)
    before = await books.accounts()
    with pytest.raises(DomainError, match=r"10 of 10 segments .* 2026-10 were credited by hand") as refused:
        await reverse(books, ids)
    assert (refused.value.code, refused.value.http_status) == ("reversal_refused", 409)
    assert await books.accounts() == before
    assert await close_november(books) == []
    assert await units_of_october(books) == 0
    (await PgVerify(database).looked()).hold()


async def test_of_a_line_that_was_credited_in_part_the_rest_can_be_reversed(database: Database) -> None:
    books, documents, ids, invoice = await ten_of_october(database)
    await documents.credit(invoice, [(1, 6)])
    with pytest.raises(DomainError, match="would give 5 back"):
        await reverse(books, ids[:5])
    assert await reverse(books, ids[:3]) == 3
    with pytest.raises(DomainError, match="6 of 7 segments"):  # what is not billed yet counts
        await reverse(books, ids[3:5])
    assert await reverse(books, ids[3:4]) == 1
    assert await close_november(books) == [("381", 18)]
    assert await units_of_october(books) == 0


@pytest.mark.parametrize("closed", [True, False])
async def test_what_was_reversed_is_not_credited_by_hand_as_well(database: Database, closed: bool) -> None:
    books, documents, ids, invoice = await ten_of_october(database)
    assert await reverse(books, ids) == TEN
    if closed:
        assert await close_november(books) == [("381", 45)]
    for asked in (None, [(1, 1)]):
        with pytest.raises(DomainError) as refused:
            await documents.credit(invoice, asked)
        assert (refused.value.code, refused.value.http_status) == ("credit_refused", 409)
    if not closed:
        assert await close_november(books) == [("381", 45)]
    assert await units_of_october(books) == 0


@pytest.mark.parametrize("closed", [True, False])
async def test_all_that_is_left_is_what_was_neither_credited_nor_reversed(
    database: Database, closed: bool
) -> None:
    books, documents, ids, invoice = await ten_of_october(database)
    assert (await documents.credit(invoice, [(1, 2)])).net_minor == 9
    assert await reverse(books, ids[:5]) == 5
    if closed:
        await close_november(books)
    with pytest.raises(DomainError, match="of line 1 only 3 segments are left"):
        await documents.credit(invoice, [(1, 4)])
    rest = await documents.credit(invoice, None)
    assert rest.net_minor == 14  # 3 x 0.045
    if not closed:
        await close_november(books)
    assert await units_of_october(books) == 0
    (await PgVerify(database).looked()).hold()


async def test_a_charge_that_no_document_has_yet_is_reversed_whatever_was_credited(
    database: Database,
) -> None:
    books, documents, ids, invoice = await ten_of_october(database)
    late = await books.take(SHOP, 4, recorded_at=IN_NOVEMBER)
    await documents.credit(invoice, None)
    with pytest.raises(DomainError):
        await reverse(books, ids)
    assert await reverse(books, late) == 4
    assert await close_november(books) == []


async def test_late_units_that_no_document_has_yet_cannot_be_credited(database: Database) -> None:
    """Of the ten four were given back on a document; four that came late are on none yet."""
    books, documents, ids, invoice = await ten_of_october(database)
    await reverse(books, ids[:4])
    await close_november(books)
    await books.take(SHOP, 4, recorded_at=NEXT_CLOSE + timedelta(hours=1))
    books.go_to(NEXT_CLOSE + timedelta(hours=2))
    assert (await documents.credit(invoice, None)).net_minor == 27


async def test_who_credits_and_who_reverses_at_once_do_not_give_back_the_same(database: Database) -> None:
    books, documents, ids, invoice = await ten_of_october(database)
    answers = await asyncio.gather(
        documents.credit(invoice, None), reverse(books, ids), return_exceptions=True
    )
    assert sum(isinstance(answer, DomainError) for answer in answers) == 1
    await close_november(books)
    assert await units_of_october(books) == 0


async def test_what_a_credited_line_took_back_may_be_credited_again(database: Database) -> None:
    """November's invoice gives four of October back; once these are credited, all ten are charged."""
    books, documents, ids, invoice = await ten_of_october(database)
    await books.take(SHOP, 100, accepted_at=IN_NOVEMBER)
    await reverse(books, ids[:4])
    books.go_to(NEXT_CLOSE)
    (row,) = await books.closing().close(SHOP, NOVEMBER)
    november = await documents.by_number(row.number)
    assert [line.quantity for line in november.lines] == [-4, 100]
    await documents.credit(november, [(1, -4)])
    assert (await documents.credit(invoice, None)).net_minor == 45
    assert await units_of_october(books) == 0


async def test_a_step_that_a_later_close_took_back_is_not_credited_with_the_next_one(
    database: Database,
) -> None:
    """Volume prices: 90 x 0.05 became 110 x 0.04, so of the first line nothing is left."""
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.prices((TIERED, "mt", "*", 50_000), list_id=2)
    await books.execute(
        "UPDATE price_item SET ladder = $2::text::jsonb WHERE item_id = $1",
        TIERED,
        ladder_to_json(Ladder(LadderMode.VOLUME, (Step(1, 50_000), Step(101, 40_000)))),
    )
    await books.take(SHOP, 90, item=(TIERED, 50_000))
    (row,) = await books.closing().close(SHOP, OCTOBER)
    await books.take(SHOP, 20, item=(TIERED, 50_000), recorded_at=IN_NOVEMBER)
    assert await close_november(books) == [("381", 10)]
    documents = Documents(PgDocuments(database), SELLER, books.clock, lambda: next(books.ids))
    with pytest.raises(DomainError, match="nothing of F-2026-000001 is left"):
        await documents.credit(await documents.by_number(row.number), None)
