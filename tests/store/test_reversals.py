"""Charges given back: once each, before the close as if they had never been, after it as a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgate.errors import Invalid
from smsgate.flows.reversals import REASON_MAX, Reversing
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from tests.store.books import CLOSE_AT, NOVEMBER, OCTOBER, Books, some_books

SHOP = 7


def reversing(books: Books) -> Reversing:
    return Reversing(PgReversals(books.database, lambda: next(books.ids)), books.clock)


async def test_a_charge_is_given_back_once_however_often_it_is_asked_for(database: Database) -> None:
    books = await some_books(database, now=CLOSE_AT - timedelta(seconds=1))
    await books.merchant(SHOP)
    ids = await books.take(SHOP, 10, segments=2)
    assert await reversing(books).reverse(SHOP, ids[:3], "sent by mistake") == 3
    assert await reversing(books).reverse(SHOP, ids[:4], "sent by mistake") == 1
    assert await reversing(books).reverse(SHOP, ids[:4], "sent by mistake") == 0
    assert await reversing(books).reverse(8, ids, "another merchant's") == 0
    assert (await books.accounts())["unbilled", "EUR"] == 6 * 2 * 45_000
    books.go_to(CLOSE_AT)
    await books.closing().close(SHOP, OCTOBER)
    assert await books.lines(SHOP) == [("2026-10", "380", "2026-10", 12, 45_000, 54)]


async def test_after_the_close_it_is_a_credit_note_of_the_next_month_that_names_the_invoice(
    database: Database,
) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    ids = await books.take(SHOP, 10)
    await books.closing().close(SHOP, OCTOBER)
    assert await reversing(books).reverse(SHOP, ids[:4], "sent by mistake") == 4
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    await books.closing().close(SHOP, NOVEMBER)
    assert (await books.lines(SHOP))[1:] == [("2026-11", "381", "2026-10", 4, 45_000, 18)]
    payload = await books.value("SELECT convert_from(payload, 'UTF8') FROM document WHERE doc_type = '381'")
    assert '"preceding_number":"F-2026-000001","preceding_on":"2026-11-05"' in payload


async def test_a_credit_note_names_the_invoice_that_charged_it_be_it_of_a_later_month(
    database: Database,
) -> None:
    """October was closed without it: what came late stands in November's invoice."""
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.closing().close(SHOP, OCTOBER)
    late = await books.take(SHOP, 10, recorded_at=CLOSE_AT + timedelta(seconds=1))
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    await books.closing().close(SHOP, NOVEMBER)
    assert await reversing(books).reverse(SHOP, late, "sent by mistake") == 10
    books.go_to(datetime(2027, 1, 5, tzinfo=UTC))
    await books.closing().close(SHOP, NOVEMBER.next())
    assert (await books.lines(SHOP))[-1] == ("2026-12", "381", "2026-10", 10, 45_000, 45)
    payload = await books.value("SELECT convert_from(payload, 'UTF8') FROM document WHERE doc_type = '381'")
    assert '"preceding_number":"F-2026-000001","preceding_on":"2026-12-05"' in payload


@pytest.mark.parametrize("reason", ["", "  ", "x" * (REASON_MAX + 1)])
async def test_without_a_reason_nothing_is_given_back(database: Database, reason: str) -> None:
    books = await some_books(database)
    with pytest.raises(Invalid):
        await reversing(books).reverse(SHOP, [1], reason)
