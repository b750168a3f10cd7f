"""Charges given back: once each, before the close as if they had never been, after it as a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgate.errors import Invalid
from smsgate.flows.reversals import REASON_MAX, Reversing
from smsgate.flows.verifying import Finding
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from smsgate.store.verify import looked_of
from tests.store.books import CLOSE_AT, IN_OCTOBER, NOVEMBER, OCTOBER, Books, some_books

SHOP = 7
BY_RECEIPT, COST_BY_RECEIPT = 13, 22


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


async def books_of_delivered_basis(database: Database) -> Books:
    books = await some_books(database, now=CLOSE_AT - timedelta(seconds=1))
    await books.merchant(SHOP)
    await books.prices((BY_RECEIPT, "mt", "*", 45_000), list_id=9, basis="delivered")
    await books.prices((COST_BY_RECEIPT, "mt", "*", 30_000), list_id=10, side="cost", basis="delivered")
    return books


async def broken(books: Books) -> list[Finding]:
    async with books.database.report() as connection:
        return (await looked_of(connection)).broken


async def test_a_receipt_after_the_charge_was_given_back_still_makes_the_carrier_be_paid(
    database: Database,
) -> None:
    books = await books_of_delivered_basis(database)
    cost = (COST_BY_RECEIPT, 30_000)
    (at_once,) = await books.take(SHOP, 1, cost=cost, cost_by_receipt=True)
    assert await reversing(books).reverse(SHOP, [at_once], "sent by mistake") == 1
    await books.receipt(SHOP, at_once, ReceiptState.DELIVRD, IN_OCTOBER, recorded_at=IN_OCTOBER)
    assert await books.accounts() == {("cost", "EUR"): 30_000, ("carrier_accrual", "EUR"): -30_000}
    assert await broken(books) == []


async def test_a_charge_that_was_given_back_is_not_given_back_again_by_an_earlier_receipt(
    database: Database,
) -> None:
    """The first final receipt was charged and given back; one of an earlier time says that it failed."""
    books = await books_of_delivered_basis(database)
    cost = (COST_BY_RECEIPT, 30_000)
    ids = await books.take(
        SHOP, 2, item=(BY_RECEIPT, 45_000), by_receipt=True, cost=cost, cost_by_receipt=True
    )
    later = IN_OCTOBER + timedelta(minutes=5)
    for message_id in ids:
        await books.receipt(SHOP, message_id, ReceiptState.DELIVRD, later, recorded_at=later)
    assert await reversing(books).reverse(SHOP, ids[:1], "sent by mistake") == 1
    await books.receipt(SHOP, ids[0], ReceiptState.UNDELIV, IN_OCTOBER, recorded_at=later)
    accounts = await books.accounts()
    assert (accounts["unbilled", "EUR"], accounts["cost", "EUR"]) == (45_000, 30_000)
    assert await broken(books) == []
    books.go_to(CLOSE_AT)
    await books.closing().close(SHOP, OCTOBER)
    assert await books.lines(SHOP) == [("2026-10", "380", "2026-10", 1, 45_000, 5)]
