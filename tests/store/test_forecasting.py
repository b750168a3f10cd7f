"""The draft of a month that runs, and receipts that it waits for."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from smsgate.billing.periods import Month
from smsgate.errors import Conflict
from smsgate.flows.forecasting import Forecasting
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.store.forecasting import PgForecasts
from smsgate.store.pool import Database
from tests.store.books import CLOSE_AT, IN_OCTOBER, NOVEMBER, OCTOBER, Books, some_books

SHOP = 1
DELIVERED_ITEM = 31
PRICE = (DELIVERED_ITEM, 50_000)
LATER = IN_OCTOBER + timedelta(days=20)


def forecasting(books: Books) -> Forecasting:
    return Forecasting(books.closing(), PgForecasts(books.database), books.clock)


async def delivered_books(database: Database, now: datetime) -> Books:
    books = await some_books(database, now=now)
    await books.partitions(LATER, LATER - timedelta(days=5))
    await books.prices((DELIVERED_ITEM, "mt", "20810", 50_000), list_id=3, basis="delivered")
    await books.merchant(SHOP)
    return books


async def test_the_draft_of_a_month_is_what_its_close_writes(database: Database) -> None:
    books = await delivered_books(database, CLOSE_AT)
    await books.take(SHOP, 7)
    (draft,) = (await forecasting(books).month(SHOP, OCTOBER)).month.drafts
    assert await books.value("SELECT count(*) FROM document") == 0
    assert await books.value("SELECT count(*) FROM billing_period") == 0
    (document,) = await books.closing().close(SHOP, OCTOBER)
    assert (draft.document.net_minor, draft.document.gross_minor) == (
        document.net_minor, document.gross_minor,
    )  # fmt: skip
    with pytest.raises(Conflict) as refused:
        await forecasting(books).month(SHOP, OCTOBER)
    assert refused.value.code == "month_closed"


async def test_what_came_after_a_close_is_in_the_draft_of_the_month_that_runs(database: Database) -> None:
    books = await delivered_books(database, CLOSE_AT)
    await books.take(SHOP, 7)
    await books.closing().close(SHOP, OCTOBER)
    await books.take(SHOP, 2, recorded_at=CLOSE_AT + timedelta(hours=1))
    books.go_to(CLOSE_AT + timedelta(hours=2))
    (draft,) = (await forecasting(books).month(SHOP, NOVEMBER)).month.drafts
    assert [(line.origin, line.quantity) for line in draft.invoice.lines] == [("2026-10", 2)]


async def test_an_open_month_before_it_is_no_part_of_a_draft(database: Database) -> None:
    books = await delivered_books(database, CLOSE_AT)
    await books.take(SHOP, 7)
    await books.take(SHOP, 3, accepted_at=CLOSE_AT)
    books.go_to(CLOSE_AT + timedelta(hours=1))
    (draft,) = (await forecasting(books).month(SHOP, NOVEMBER)).month.drafts
    assert [(line.origin, line.quantity) for line in draft.invoice.lines] == [("2026-11", 3)]
    assert (await forecasting(books).month(SHOP, Month(2026, 12))).month.drafts == []


async def test_waiting_receipts_are_estimated_by_those_of_the_two_weeks_before(database: Database) -> None:
    """Of 10 older messages 6 said DELIVRD at once and 2 after 30 hours; 4 have waited for 2 hours."""
    books = await delivered_books(database, LATER)
    older = await books.take(SHOP, 10, accepted_at=LATER - timedelta(days=5), item=PRICE, by_receipt=True)
    for ids, delay in ((older[:6], timedelta(seconds=1)), (older[6:8], timedelta(hours=30))):
        for message_id in ids:
            at = LATER - timedelta(days=5) + delay
            await books.receipt(SHOP, message_id, ReceiptState.DELIVRD, at, recorded_at=at)
    await books.take(SHOP, 4, accepted_at=LATER - timedelta(hours=2), item=PRICE, by_receipt=True)
    found = await forecasting(books).month(SHOP, OCTOBER)
    late = found.late["EUR"]
    assert (found.observed, late.messages, late.micros) == (10, 6, 300_000)
    # Four older ones had waited as long, and two of them were delivered in the end, before the close comes.
    # The two that have waited for five days are of those of whom nobody got a receipt any more.
    assert (late.by_close_micros, late.late_micros) == (100_000, 0)
