"""The draft of a month deducts what was paid in advance, as its close will; nothing is written for it."""

from __future__ import annotations

from datetime import timedelta

from smsgate.billing.periods import Month
from smsgate.flows.billing_records import MonthDraft
from smsgate.flows.forecasting import Forecasting
from smsgate.store.forecasting import PgForecasts
from smsgate.store.pool import Database
from tests.store.books import CLOSE_AT, IN_OCTOBER, NOVEMBER, OCTOBER, Books
from tests.store.test_prepaid import CENT, EURO, SHOP, UNIT, an_account


async def draft(books: Books, month: Month) -> MonthDraft:
    forecasting = Forecasting(books.closing(), PgForecasts(books.database), books.clock)
    return (await forecasting.month(SHOP, month)).month


async def test_a_draft_deducts_what_the_invoice_will_and_writes_nothing(database: Database) -> None:
    account = await an_account(database)
    for number, cents in enumerate((7, 33, 5), 1):
        await account.top_up(cents * CENT, f"transfer {number}")
    await account.send(10)
    await account.books.take(SHOP, 3)  # as if it had no budget when they were sent
    before = await account.documents()
    (invoice,) = (each.invoice for each in (await draft(account.books, OCTOBER)).drafts)
    assert (invoice.gross_minor, invoice.paid_minor, invoice.due_minor) == (71, 54, 17)
    assert await account.documents() == before
    await account.books.closing().close(SHOP, OCTOBER)
    paper = await account.paper(4)
    assert [(each.number, each.gross_minor, each.vat_minor) for each in invoice.advances] == [
        (each["number"], each["gross_minor"], each["vat_minor"]) for each in paper["advances"]
    ]


async def test_months_that_are_open_before_it_deduct_first(database: Database) -> None:
    account = await an_account(database)
    await account.top_up(1 * EURO, "transfer")
    await account.send(10)  # 0.45
    await account.send(12, CLOSE_AT - timedelta(hours=1))  # 0.54 in November
    await account.books.take(SHOP, 3)  # as if it had no budget when they were sent: 1.12 in all
    account.books.go_to(CLOSE_AT + timedelta(hours=1))
    (drafted,) = (each.invoice for each in (await draft(account.books, NOVEMBER)).drafts)
    await account.books.closing().close(SHOP, OCTOBER)
    (after,) = (each.invoice for each in (await draft(account.books, NOVEMBER)).drafts)
    assert drafted.paid_minor == after.paid_minor
    assert 0 < drafted.due_minor == after.due_minor


async def test_a_payment_without_its_document_is_deducted_as_the_one_that_the_close_writes(
    database: Database,
) -> None:
    account = await an_account(database)
    seller, account.books.seller = account.books.seller, None
    await account.top_up(10 * EURO, "transfer")  # nobody is said to sell yet: no document
    account.books.seller = seller
    await account.send(19)
    (invoice,) = (each.invoice for each in (await draft(account.books, OCTOBER)).drafts)
    (advance,) = invoice.advances
    assert (advance.number, advance.gross_minor, advance.vat_minor, invoice.due_minor) == ("", 103, 17, 0)
    assert await account.documents() == []


async def test_money_that_is_leased_for_messages_in_the_air_is_not_in_a_draft(database: Database) -> None:
    account = await an_account(database)
    await account.top_up(20 * UNIT, "transfer")
    await account.lease_and_take(10, IN_OCTOBER)
    account.books.go_to(CLOSE_AT)
    (invoice,) = (each.invoice for each in (await draft(account.books, OCTOBER)).drafts)
    paid = invoice.paid_minor
    (row,) = await account.books.closing().close(SHOP, OCTOBER)
    assert paid == row.paid_minor
