"""What a past month would have brought by another list, beside what its invoice says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smsgate.billing.networks import default_table
from smsgate.errors import Conflict, NotFound
from smsgate.flows.pricing import Pricing
from smsgate.flows.repricing import Repriced, Repricing
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.store.margins import PgMargins
from smsgate.store.pool import Database
from smsgate.store.portability import PgPortability
from smsgate.store.repricing import PgRepricing
from smsgate.store.usage import PgPriceData
from tests.store.books import IN_OCTOBER, NOVEMBER, OCTOBER, OTHER_ITEM, SELLER, Books, some_books

SHOP, OTHER = 1, 2
DELIVERED_ITEM = 31


def repricing(books: Books) -> Repricing:
    return Repricing(
        PgRepricing(books.database, str),
        PgMargins(books.database),
        Pricing(PgPriceData(books.database), books.clock),
        PgPortability(books.database),
        default_table(),
        SELLER,
        books.clock,
    )


async def an_october(database: Database) -> Books:
    """7 segments to 20801 at 0.045 and 6 to 20810 at 0.090001; another merchant has 2 to 20801."""
    books = await some_books(database)
    for merchant in (SHOP, OTHER):
        await books.merchant(merchant)
    ids = await books.take(SHOP, 7)
    ids += await books.take(SHOP, 3, item=(OTHER_ITEM, 90_001), segments=2)
    await books.write_messages(SHOP, ids)
    await books.write_messages(OTHER, await books.take(OTHER, 2))
    return books


async def test_a_month_by_its_own_list_is_what_its_invoice_says(database: Database) -> None:
    books = await an_october(database)
    found = await repricing(books).month("List 1", OCTOBER)
    assert found.merchants == [
        Repriced("shop-1", 13, 13, 0, 86, 86, 0, 13), Repriced("shop-2", 2, 2, 0, 9, 9, 0, 2),
    ]  # fmt: skip
    (document,) = await books.closing().close(SHOP, OCTOBER)
    assert document.net_minor == 86


async def test_another_list_is_looked_up_by_network_and_counted_with_its_steps(database: Database) -> None:
    """20801: 7 at 0.05; 20810: 4 at 0.08 and from the fifth on at 0.07, of a version that begins in 2025."""
    books = await an_october(database)
    await books.prices((21, "mt", "20801", 50_000), (22, "mt", "208", 80_000), list_id=2)
    await books.execute(
        "UPDATE price_item SET ladder = $1 WHERE item_id = 22",
        '{"mode": "graduated", "steps": [[1, 80000], [5, 70000]]}',
    )
    found = await repricing(books).month("List 2", OCTOBER, merchant_id=SHOP)
    assert found.merchants == [Repriced("shop-1", 13, 13, 0, 86, 35 + 32 + 14, 0, 13)]
    assert found.merchants[0].difference_minor == -5


async def test_what_has_no_price_in_the_new_list_is_told_and_what_was_not_delivered_is_not_charged(
    database: Database,
) -> None:
    books = await an_october(database)
    later = IN_OCTOBER + timedelta(hours=1)
    await books.prices((DELIVERED_ITEM, "mt", "20801", 50_000), list_id=3, basis="delivered")
    first = await books.value("SELECT min(message_id) FROM sent WHERE merchant_id = $1", SHOP)
    await books.receipt(SHOP, first, ReceiptState.DELIVRD, later, recorded_at=later)
    found = await repricing(books).month("List 3", OCTOBER, merchant_id=SHOP)
    assert found.merchants == [Repriced("shop-1", 13, 1, 6, 86, 5, 0, 13)]


async def test_a_minimum_holds_by_both_lists(database: Database) -> None:
    books = await an_october(database)
    await books.execute(
        "INSERT INTO billing_commitment (merchant_id, currency, version, minimum_minor, first_month) "
        "VALUES ($1, 'EUR', 1, 500, '2026-10-01')",
        SHOP,
    )
    await books.prices((21, "mt", "*", 1_000_000), list_id=2)
    (found,) = (await repricing(books).month("List 2", OCTOBER, merchant_id=SHOP)).merchants
    assert (found.before_minor, found.after_minor) == (500, 1_300)


async def test_a_month_whose_messages_are_gone_is_left_out_and_said_and_the_others_are_told(
    database: Database,
) -> None:
    books = await an_october(database)
    await books.execute("DELETE FROM sent WHERE merchant_id = $1", SHOP)
    found = await repricing(books).month("List 1", OCTOBER)
    assert [each.merchant for each in found.merchants] == ["shop-2"]
    ((merchant, why),) = found.skipped
    assert (merchant, "ledger and messages differ" in why) == ("shop-1", True)


async def test_a_month_that_runs_and_a_list_that_is_none_are_refused(database: Database) -> None:
    books = await an_october(database)
    with pytest.raises(Conflict, match="2026-11 is not over yet"):
        await repricing(books).month("List 1", NOVEMBER)
    for name, version in (("List 9", None), ("List 1", 2)):
        with pytest.raises(NotFound):
            await repricing(books).month(name, OCTOBER, version=version)


async def test_the_margin_is_shown_by_both_lists_and_what_has_no_known_cost_is_told(
    database: Database,
) -> None:
    """10 at 0.045 cost 0.04 each, and by a list of 0.035 they lose; of 2 more no cost is known."""
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.prices((41, "mt", "*", 40_000), list_id=4, side="cost")
    await books.prices((51, "mt", "*", 35_000), list_id=5)
    await books.write_messages(SHOP, await books.take(SHOP, 10, cost=(41, 40_000)))
    (found,) = (await repricing(books).month("List 5", OCTOBER)).merchants
    assert (found.before_minor, found.margin_minor) == (45, 5)
    assert (found.after_minor, found.margin_after_minor, found.uncosted_segments) == (35, -5, 0)
    await books.write_messages(SHOP, await books.take(SHOP, 2))
    (found,) = (await repricing(books).month("List 5", OCTOBER)).merchants
    assert (found.margin_minor, found.margin_after_minor, found.uncosted_segments) == (14, 2, 2)
