"""The close of a month in the database: what it bills, in which order, and that it happens once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from smsgate.billing.currencies import Ratio
from smsgate.billing.periods import Month
from smsgate.clock import ManualClock
from smsgate.errors import Conflict, DomainError, SmsgateError
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify
from tests.store.books import (
    CLOSE_AT,
    ITEM,
    NOVEMBER,
    OCTOBER,
    OTHER_ITEM,
    SELLER,
    Books,
    some_books,
)  # fmt: skip

SHOP = 7
UNIT = 45_000


async def test_a_month_becomes_a_numbered_invoice_and_its_posting(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.take(SHOP, 7)
    await books.take(SHOP, 3, item=(OTHER_ITEM, 90_001), segments=2)
    (row,) = await books.closing().close(SHOP, OCTOBER)
    assert (row.number, row.doc_type, row.currency) == ("F-2026-000001", "380", "EUR")
    # 7 x 0.045 = 0.315 is 0.32; 6 x 0.090001 = 0.540006 is 0.54; 20 % of 0.86 is 0.172
    assert (row.net_minor, row.vat_minor, row.gross_minor) == (86, 17, 103)
    assert await books.lines(SHOP) == [
        ("2026-10", "380", "2026-10", 7, UNIT, 32),
        ("2026-10", "380", "2026-10", 6, 90_001, 54),
    ]
    assert await books.accounts() == {
        ("revenue", "EUR"): -855_006,
        ("receivable", "EUR"): 1_030_000,
        ("vat", "EUR"): -170_000,
        ("rounding", "EUR"): -4_994,
    }
    payload = json.loads(await books.value("SELECT payload FROM document"))
    assert payload["number"] == "F-2026-000001"
    assert payload["buyer"]["name"] == "Boxman SARL"
    assert payload["issued_on"] == "2026-11-05"  # the seller's day
    assert payload["due_on"] == "2026-12-05"


async def test_closing_again_changes_nothing(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.take(SHOP, 7)
    first = await books.closing().close(SHOP, OCTOBER)
    books.clock.advance(86_400)
    assert await books.closing().close(SHOP, OCTOBER) == first
    assert await asyncio.gather(*(books.closing().close(SHOP, OCTOBER) for _ in range(4))) == [first] * 4
    assert await books.value("SELECT count(*) FROM document") == 1


async def test_what_is_recorded_after_the_close_is_a_line_of_its_own_in_the_next_month(
    database: Database,
) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.take(SHOP, 10)
    await books.closing().close(SHOP, OCTOBER)
    await books.take(SHOP, 2, recorded_at=CLOSE_AT + timedelta(seconds=1))
    await books.take(SHOP, 5, accepted_at=CLOSE_AT + timedelta(seconds=1))
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    await books.closing().close(SHOP, NOVEMBER)
    assert await books.lines(SHOP) == [
        ("2026-10", "380", "2026-10", 10, UNIT, 45),
        ("2026-11", "380", "2026-10", 2, UNIT, 9),
        ("2026-11", "380", "2026-11", 5, UNIT, 23),
    ]
    assert ("unbilled", "EUR") not in await books.accounts()


async def test_a_month_is_the_merchants_own(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    midnight = datetime(2026, 10, 31, 23, tzinfo=UTC)  # in Paris
    await books.take(SHOP, 1, accepted_at=midnight - timedelta(seconds=1))
    await books.take(SHOP, 4, accepted_at=midnight)
    await books.closing().close(SHOP, OCTOBER)
    assert [line[3] for line in await books.lines(SHOP)] == [1]


async def test_a_month_that_runs_and_one_before_its_turn_are_refused(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.take(SHOP, 1)
    with pytest.raises(Conflict, match="not over") as running:
        await books.closing().close(SHOP, NOVEMBER)
    assert running.value.code == "month_running"
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    with pytest.raises(Conflict, match="close 2026-10 first"):
        await books.closing().close(SHOP, NOVEMBER)
    await books.closing().close(SHOP, OCTOBER)
    with pytest.raises(Conflict, match="later month"):
        await books.closing().close(SHOP, Month(2026, 9))


async def an_october_without_a_buyer(database: Database) -> Books:
    """Return ten messages' books whose close is cut, and waits for the buyer."""
    books = await some_books(database)
    await books.merchant(SHOP, profile=False)
    await books.take(SHOP, 10)
    with pytest.raises(DomainError, match="no billing profile"):
        await books.closing().close(SHOP, OCTOBER)
    return books


@pytest.mark.parametrize("cut", [False, True])
async def test_no_month_is_billed_while_an_earlier_one_waits_for_its_documents(
    database: Database, cut: bool
) -> None:
    """By its name it was: the prepaid balance lost the earlier month's usage, and both seals covered it."""
    books = await an_october_without_a_buyer(database)
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    if cut:
        await books.closing().close_due()  # October waits on
    await books.profile(SHOP)
    with pytest.raises(Conflict, match="close 2026-10 first") as refused:
        await books.closing().close(SHOP, NOVEMBER)
    assert refused.value.code == "close_order"
    await books.closing().close(SHOP, OCTOBER)
    await books.closing().close(SHOP, NOVEMBER)


async def test_a_close_without_a_buyer_stands_cut_and_is_finished_when_there_is_one(
    database: Database,
) -> None:
    books = await an_october_without_a_buyer(database)
    await books.take(SHOP, 2, recorded_at=CLOSE_AT + timedelta(seconds=1))  # late, for the cut stands
    await books.profile(SHOP)
    (row,) = await books.closing().close(SHOP, OCTOBER)
    assert row.net_minor == 45


async def test_a_close_without_a_rate_says_which_keys_hold_it(database: Database) -> None:
    books = await some_books(database)
    books.seller = replace(SELLER, vat_rates=((date(2026, 11, 1), 20_000_000),))
    await books.merchant(SHOP)
    await books.take(SHOP, 10)
    with pytest.raises(
        DomainError, match=r"\(country, business, vat_number\).*vat_rates of \[billing\]"
    ) as refused:
        await books.closing().close(SHOP, OCTOBER)
    assert refused.value.code == "billing_incomplete"


async def test_a_close_whose_ledger_and_messages_differ_takes_no_number(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    (first, *_rest) = await books.take(SHOP, 10)
    await books.execute("UPDATE sent SET segments = 2 WHERE message_id = $1", first)
    with pytest.raises(SmsgateError, match="ledger and messages differ"):
        await books.closing().close(SHOP, OCTOBER)
    assert await books.value("SELECT count(*) FROM document_series") == 0
    await books.execute("UPDATE sent SET segments = 1")
    await books.execute(
        "UPDATE ledger_entry SET amount_micros = amount_micros + 1 WHERE account = 'unbilled'"
    )
    await books.execute("UPDATE sent SET sell_micros = sell_micros + 1 WHERE message_id = $1", first)
    with pytest.raises(SmsgateError, match="is not 450001"):
        await books.closing().close(SHOP, OCTOBER)


async def test_a_minimum_is_billed_without_traffic_and_a_month_without_anything_has_no_document(
    database: Database,
) -> None:
    books = await some_books(database, now=datetime(2026, 12, 6, tzinfo=UTC))
    await books.merchant(SHOP)
    await books.execute(
        "INSERT INTO billing_commitment (merchant_id, version, currency, first_month, last_month, "
        "minimum_minor) VALUES ($1, 1, 'EUR', '2026-10-01', '2026-10-01', 1000)",
        SHOP,
    )
    (row,) = await books.closing().close(SHOP, OCTOBER)
    assert (row.net_minor, row.vat_minor) == (1_000, 200)
    assert (await books.accounts())["revenue", "EUR"] == -10_000_000
    assert await books.closing().close(SHOP, NOVEMBER) == []
    assert await books.value("SELECT count(*) FROM billing_period WHERE closed_at IS NOT NULL") == 2


async def test_vat_of_another_currency_is_told_in_the_sellers_or_waits_for_a_rate(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.prices((21, "mt", "*", 1_000_000), currency="USD", list_id=2)
    await books.take(SHOP, 10, item=(21, 1_000_000), currency="USD")
    with pytest.raises(DomainError, match="no exchange rate"):
        await books.closing().close(SHOP, OCTOBER)
    books.seller = replace(SELLER, exchange_rates={"USD": Ratio(91_825, 100_000)})
    await books.closing().close(SHOP, OCTOBER)
    payload = json.loads(await books.value("SELECT payload FROM document"))
    assert (payload["other_currency"], payload["other_vat_minor"]) == ("EUR", 184)  # 2.00 x 0.91825


async def test_the_daemon_closes_what_is_due_in_order_and_leaves_what_cannot_be(database: Database) -> None:
    books = await some_books(database, now=datetime(2026, 12, 1, tzinfo=UTC))
    for merchant_id in (7, 8, 9):
        await books.merchant(merchant_id, profile=merchant_id != 8)
        await books.take(merchant_id, merchant_id)
    await books.merchant(10)  # nothing used
    await books.take(7, 1, accepted_at=CLOSE_AT)
    closing = books.closing()
    assert await closing.step() is False
    assert [line[:4] for line in await books.lines(7)] == [("2026-10", "380", "2026-10", 7)]
    assert len(await books.lines(9)) == 1
    assert await books.lines(8) == []
    assert closing.waiting == {"billing_incomplete": 1}
    assert await books.value("SELECT count(*) FROM billing_period") == 3  # November is not due yet
    await books.profile(8)
    books.go_to(datetime(2026, 12, 4, 23, tzinfo=UTC))  # 96 hours after the end in Paris
    await closing.step()
    assert closing.waiting == {}
    assert [line[:2] for line in await books.lines(8)] == [("2026-10", "380")]
    assert [line[:4] for line in await books.lines(7)][1:] == [("2026-11", "380", "2026-11", 1)]
    numbers = await books.rows("SELECT number FROM document ORDER BY number")
    assert numbers == [(1,), (2,), (3,), (4,)]


async def test_dates_of_issue_do_not_fall_when_a_clock_does(database: Database) -> None:
    books = await some_books(database)
    for merchant_id in (7, 8):
        await books.merchant(merchant_id)
        await books.take(merchant_id, 1)
    await books.closing().close(7, OCTOBER)
    books.go_to(CLOSE_AT - timedelta(days=2))
    await books.closing().close(8, OCTOBER)
    assert await books.rows("SELECT DISTINCT issued_on::text FROM document") == [("2026-11-05",)]


async def test_a_month_that_another_node_cut_with_a_faster_clock_is_closed_after_its_cut(
    database: Database,
) -> None:
    books = await some_books(database)
    await books.merchant(SHOP, profile=False)
    await books.take(SHOP, 10)
    ahead = Books(database, ManualClock(CLOSE_AT + timedelta(seconds=3)), ids=books.ids)
    with pytest.raises(DomainError, match="no billing profile"):
        await ahead.closing().close(SHOP, OCTOBER)  # the cut stands
    await books.profile(SHOP)
    await books.closing().close(SHOP, OCTOBER)
    assert await books.value("SELECT closed_at = cut_at FROM billing_period")
    (await PgVerify(database).looked()).hold()


async def test_a_charge_in_the_flush_that_runs_while_the_month_is_cut_is_never_lost(
    database: Database,
) -> None:
    """Ten writers post all the time; whatever lands on which side of the cut, all of it is billed once."""
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.take(SHOP, 1)
    cut = asyncio.Event()

    async def write(writer: int) -> int:
        written = 0
        while not cut.is_set() or written < 5:
            at = books.clock.now() + timedelta(microseconds=writer - 5)
            await books.take(SHOP, 3, recorded_at=at, owner=writer)
            written += 3
        return written

    books_closing = books.closing()
    writers = [asyncio.create_task(write(writer)) for writer in range(2, 12)]
    await asyncio.sleep(0)
    await books_closing.close(SHOP, OCTOBER)
    cut.set()
    written = sum(await asyncio.gather(*writers))
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    await books_closing.close(SHOP, NOVEMBER)
    assert sum(line[3] for line in await books.lines(SHOP)) == 1 + written
    assert {line[2] for line in await books.lines(SHOP)} == {"2026-10"}


async def test_campaigns_stand_on_the_page_with_what_they_brought(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.take(SHOP, 100, campaign_id=5)
    await books.execute(
        "INSERT INTO campaign_counter (merchant_id, campaign_id, kind, n) VALUES ($1, 5, 'delivered', 90)",
        SHOP,
    )
    await books.closing().close(SHOP, OCTOBER)
    payload = json.loads(await books.value("SELECT payload FROM document"))
    assert payload["results"] == [
        {"name": "cmp_5", "messages": 100, "delivered": 90, "orders": 0, "orders_minor": 0, "cost_minor": 450}
    ]


async def test_nothing_of_another_item_is_taken_for_its_own(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.take(SHOP, 2, item=(ITEM, UNIT))
    await books.take(SHOP, 2, item=(99, UNIT))
    with pytest.raises(SmsgateError, match="price item 99, which does not exist"):
        await books.closing().close(SHOP, OCTOBER)
