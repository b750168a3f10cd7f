"""
What a merchant paid in advance, in documents and in the ledger: a 386 for each payment, deducted by closes.

Prices are 0.045; VAT is 20 %. What was leased and sent is told by the rows that flushes wrote.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.errors import Conflict, DomainError, Invalid, NotFound
from smsgate.flows.budget_records import BudgetTerms, LeaseAsk
from smsgate.flows.prepaying import Prepaying, ToppedUp
from smsgate.flows.reversals import Reversing
from smsgate.ids import IdMaker
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.budgets import PgLeases
from smsgate.store.pool import Database
from smsgate.store.prepaying import PgPrepaid
from smsgate.store.reversals import PgReversals
from smsgate.store.verify import PgVerify
from tests.store.books import (
    CLOSE_AT,
    IN_OCTOBER,
    ITEM,
    NOVEMBER,
    OCTOBER,
    OTHER_ITEM,
    Books,
    some_books,
)

SHOP = 7
UNIT = 45_000
CENT = 10_000
EURO = 1_000_000
DECEMBER_5 = datetime(2026, 12, 5, tzinfo=UTC)


class Account:
    """A merchant's balance, as a gateway and an operator use it."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self._next_id = lambda: next(books.ids)
        self.budgets = PgBudgets(books.database, self._next_id)
        # Leases tell events, whose ids have an instant.
        ids = IdMaker(1, lambda: int(books.clock.now().timestamp() * 1000))
        self.leases = PgLeases(books.database, ids.next)

    @property
    def prepaying(self) -> Prepaying:
        store = PgPrepaid(self.books.database, self._next_id)
        return Prepaying(store, self.budgets, self.books.seller, self.books.clock, self._next_id)

    async def top_up(self, micros: int, reference: str, at: datetime = IN_OCTOBER) -> ToppedUp:
        now = self.books.clock.now()
        self.books.go_to(at)
        told = await self.prepaying.top_up(SHOP, micros, reference)
        self.books.go_to(now)
        return told

    async def send(self, messages: int, at: datetime = IN_OCTOBER, **changes: Any) -> list[int]:
        """Lease, have the carrier take all of them, and settle."""
        ids = await self.lease_and_take(messages, at, **changes)
        await self.leases.settle(at, 100)
        return ids

    async def lease_and_take(self, messages: int, at: datetime, **changes: Any) -> list[int]:
        ids = await self.books.take(SHOP, messages, accepted_at=at, **changes)
        ask = LeaseAsk(SHOP, 1, None, "EUR", ids, [UNIT] * messages)
        assert await self.leases.lease(ask, at) == messages
        return ids

    async def give_back(self, ids: list[int]) -> None:
        reversing = Reversing(PgReversals(self.books.database, self._next_id), self.books.clock)
        await reversing.reverse(SHOP, ids, "sent twice by our fault")

    async def available(self) -> int:
        state = await self.budgets.state(SHOP, self.books.clock.now())
        assert state is not None
        return state.budget.balance_micros

    async def documents(self) -> list[tuple[Any, ...]]:
        """Return (number, type, net, VAT, gross, paid), in their order."""
        return await self.books.rows(
            "SELECT number, doc_type, net_minor, vat_minor, gross_minor, paid_minor FROM document ORDER BY 1"
        )

    async def paper(self, number: int) -> dict[str, Any]:
        payload = await self.books.value("SELECT payload FROM document WHERE number = $1", number)
        paper: dict[str, Any] = json.loads(payload)
        return paper


async def an_account(database: Database, *, profile: bool = True) -> Account:
    books = await some_books(database)
    await books.merchant(SHOP, profile=profile)
    account = Account(books)
    await account.budgets.set_terms(SHOP, BudgetTerms(prepaid=True), IN_OCTOBER)
    return account


async def test_a_payment_has_a_document_with_vat_and_the_month_deducts_it(database: Database) -> None:
    account = await an_account(database)
    books = account.books
    topped = await account.top_up(10 * EURO, "transfer 1")
    assert topped.document is not None
    assert (topped.document.number, topped.document.doc_type) == ("F-2026-000001", "386")
    assert await books.accounts() == {
        ("cash", "EUR"): 12 * EURO, ("prepaid", "EUR"): -10 * EURO, ("vat", "EUR"): -2 * EURO,
    }  # fmt: skip
    await account.send(19)  # 0.855 is 0.86 net, 0.17 VAT
    (row,) = await books.closing().close(SHOP, OCTOBER)
    assert (row.gross_minor, row.paid_minor) == (103, 103)
    # Of the 2.00 VAT of 12.00 the share of 1.03 is 0.17: 0.86 net are drawn, and no VAT is owed for it again.
    assert await books.accounts() == {
        ("cash", "EUR"): 12 * EURO, ("prepaid", "EUR"): -9_140_000, ("vat", "EUR"): -2 * EURO,
        ("revenue", "EUR"): -855_000, ("rounding", "EUR"): -5_000,
    }  # fmt: skip
    assert await account.available() == 9_140_000
    paper = await account.paper(2)
    assert paper["advances"] == [
        {"number": "F-2026-000001", "issued_on": "2026-10-05", "gross_minor": 103, "vat_minor": 17}
    ]
    assert (paper["paid_minor"], paper["iban"], paper["due_on"]) == (103, "", paper["issued_on"])
    (await PgVerify(database).looked()).hold()
    (back,) = await account.prepaying.refund(SHOP, "back")
    assert (back.number, back.net_minor, back.vat_minor) == ("F-2026-000003", 914, 183)
    assert await books.accounts() == {
        ("cash", "EUR"): 1_030_000, ("vat", "EUR"): -170_000, ("revenue", "EUR"): -855_000,
        ("rounding", "EUR"): -5_000,
    }  # fmt: skip
    (await PgVerify(database).looked()).hold()


async def test_several_payments_are_used_up_oldest_first_and_the_rest_is_asked_for(
    database: Database,
) -> None:
    account = await an_account(database)
    for number, cents in enumerate((7, 33, 5), 1):
        await account.top_up(cents * CENT, f"transfer {number}")
    await account.send(10)
    await account.books.take(SHOP, 3)  # as if it had no budget when they were sent
    (row,) = await account.books.closing().close(SHOP, OCTOBER)
    # 13 x 0.045 = 0.585 is 0.59, VAT 0.12; the payments are 0.08, 0.40 and 0.06 with VAT.
    assert (row.gross_minor, row.paid_minor) == (71, 54)
    paper = await account.paper(4)
    assert [(each["gross_minor"], each["vat_minor"]) for each in paper["advances"]] == [
        (8, 1), (40, 7), (6, 1),
    ]  # fmt: skip
    assert paper["iban"] != ""
    accounts = await account.books.accounts()
    assert ("prepaid", "EUR") not in accounts
    assert accounts["receivable", "EUR"] == 17 * CENT
    assert await account.available() == 0
    (await PgVerify(database).looked()).hold()


async def test_replies_and_minimums_are_deducted_and_cannot_be_sent_for_any_more(database: Database) -> None:
    account = await an_account(database)
    await account.books.execute(
        "INSERT INTO billing_commitment (merchant_id, version, currency, first_month, last_month, "
        "minimum_minor) VALUES ($1, 1, 'EUR', '2026-10-01', '2026-10-01', 300)",
        SHOP,
    )
    await account.top_up(10 * EURO, "transfer")
    await account.send(20)
    await account.send(4, CLOSE_AT - timedelta(hours=1))  # of November, on no document yet
    (row,) = await account.books.closing().close(SHOP, OCTOBER)
    assert (row.net_minor, row.gross_minor, row.paid_minor) == (300, 360, 360)
    assert await account.available() == 7 * EURO - 4 * UNIT
    account.books.go_to(DECEMBER_5)
    (row,) = await account.books.closing().close(SHOP, NOVEMBER)
    assert (row.gross_minor, row.paid_minor) == (22, 22)
    assert await account.available() == 10 * EURO - 3 * EURO - 18 * CENT
    (await PgVerify(database).looked()).hold()


async def test_a_charge_that_is_given_back_comes_back_with_the_close(database: Database) -> None:
    account = await an_account(database)
    await account.top_up(10 * EURO, "transfer")
    ids = await account.send(20)
    account.books.clock.advance(-60)
    await account.give_back(ids[:8])
    account.books.clock.advance(60)
    assert await account.available() == 10 * EURO - 20 * UNIT
    await account.books.closing().close(SHOP, OCTOBER)
    assert await account.available() == 10 * EURO - 12 * UNIT
    (await PgVerify(database).looked()).hold()


async def test_what_is_leased_for_messages_in_the_air_is_not_deducted_and_what_they_cost_is(
    database: Database,
) -> None:
    account = await an_account(database)
    await account.top_up(90 * CENT, "transfer")
    await account.lease_and_take(10, IN_OCTOBER)  # charged, and its lease is not settled
    ask = LeaseAsk(SHOP, 1, None, "EUR", [1, 2], [UNIT] * 2)
    assert await account.leases.lease(ask, IN_OCTOBER) == 2
    await account.books.take(SHOP, 10)  # as if it had no budget when they were sent
    (row,) = await account.books.closing().close(SHOP, OCTOBER)
    assert (row.net_minor, row.gross_minor) == (90, 108)
    # 0.09 of the balance are leased for what is in the air: 0.81 net may be deducted, which is 0.97 with VAT.
    assert row.paid_minor == 97
    assert await account.available() == 0
    (await PgVerify(database).looked()).hold()
    await account.leases.settle(CLOSE_AT, 100)  # nobody writes the two any more, and nobody sent them
    assert await account.available() == 9 * CENT
    (await PgVerify(database).looked()).hold()


async def test_closing_again_and_four_at_once_deduct_once(database: Database) -> None:
    account = await an_account(database)
    await account.top_up(1 * EURO, "transfer")
    await account.send(19)
    closing = account.books.closing()
    first = await closing.close(SHOP, OCTOBER)
    assert await asyncio.gather(*(closing.close(SHOP, OCTOBER) for _ in range(4))) == [first] * 4
    assert (await account.books.accounts())["prepaid", "EUR"] == -14 * CENT
    (await PgVerify(database).looked()).hold()


async def test_a_payment_without_a_buyer_is_booked_and_gets_its_document_when_there_is_one(
    database: Database,
) -> None:
    account = await an_account(database, profile=False)
    books = account.books
    topped = await account.top_up(10 * EURO, "transfer")
    assert (topped.document, topped.waits) == (None, "shop-7 has no billing profile")
    assert await account.available() == 10 * EURO
    await account.send(19)
    with pytest.raises(DomainError, match="no billing profile"):
        await books.closing().close(SHOP, OCTOBER)
    await books.profile(SHOP)
    await books.closing().close(SHOP, OCTOBER)
    documents = await account.documents()
    assert documents == [(1, "386", 1_000, 200, 1_200, 1_200), (2, "380", 86, 17, 103, 103)]
    # It is issued when it can be, and says on which day it was paid: then its VAT fell due.
    paper = await account.paper(1)
    assert (paper["issued_on"], paper["due_on"]) == ("2026-11-05", "2026-10-05")
    again = await account.top_up(10 * EURO, "transfer")
    assert again.document is not None
    assert again.document.number == "F-2026-000001"
    (await PgVerify(database).looked()).hold()


async def test_without_a_seller_payments_are_booked_and_no_document_is_written(database: Database) -> None:
    account = await an_account(database)
    account.books.seller = None
    topped = await account.top_up(10 * EURO, "transfer")
    assert (topped.document, topped.waits) == (None, "the table [billing] does not say who sells")
    assert await account.documents() == []
    (await PgVerify(database).looked()).hold()


async def test_the_same_payment_told_by_many_at_once_has_one_document(database: Database) -> None:
    account = await an_account(database)
    told = await asyncio.gather(*(account.prepaying.top_up(SHOP, 5 * EURO, "transfer") for _ in range(5)))
    assert {each.document.number for each in told if each.document} == {"F-2026-000001"}
    assert len(await account.documents()) == 1
    assert (await account.books.accounts())["cash", "EUR"] == 6 * EURO
    (await PgVerify(database).looked()).hold()


@pytest.mark.parametrize(("micros", "reference"), [(CENT + 1, "x"), (CENT, " \n"), (CENT, "x" * 201)])
async def test_a_payment_that_no_document_can_tell_is_refused_and_not_booked(
    database: Database, micros: int, reference: str
) -> None:
    account = await an_account(database)
    with pytest.raises(Invalid):
        await account.prepaying.top_up(SHOP, micros, reference)
    assert await account.books.value("SELECT count(*) FROM budget_topup") == 0


async def test_the_rest_is_paid_back_with_its_vat_by_a_credit_note_of_each_payment(
    database: Database,
) -> None:
    account = await an_account(database)
    books = account.books
    await account.top_up(1 * EURO, "transfer 1")
    await account.top_up(2 * EURO, "transfer 2")
    await account.send(19)
    with pytest.raises(Conflict, match="on no document yet"):
        await account.prepaying.refund(SHOP, "back")
    await books.closing().close(SHOP, OCTOBER)
    rows = await account.prepaying.refund(SHOP, "back")
    assert [(row.doc_type, row.net_minor, row.vat_minor) for row in rows] == [
        ("503", 14, 3), ("503", 200, 40),
    ]  # fmt: skip
    accounts = await books.accounts()
    assert {name: accounts.get((name, "EUR"), 0) for name in ("prepaid", "receivable", "cash", "vat")} == {
        "prepaid": 0, "receivable": 0, "cash": 103 * CENT, "vat": -17 * CENT,
    }  # fmt: skip
    assert await account.available() == 0
    with pytest.raises(NotFound, match="nothing is left"):
        await account.prepaying.refund(SHOP, "back once more")
    (await PgVerify(database).looked()).hold()


async def test_a_refund_that_is_told_again_pays_nothing_back_of_what_was_paid_in_since(
    database: Database,
) -> None:
    """Its answer was lost, and the merchant went on: the same reference is the same refund."""
    account = await an_account(database)
    with pytest.raises(NotFound, match="nothing is left"):
        await account.prepaying.refund(SHOP, "back")  # paid nothing back, so the reference is free
    await account.top_up(1 * EURO, "transfer 1")
    await account.top_up(2 * EURO, "transfer 2")
    rows = await account.prepaying.refund(SHOP, "back")
    assert [row.net_minor for row in rows] == [100, 200]
    await account.top_up(5 * EURO, "transfer 3")
    await account.books.take(SHOP, 1)  # used and on no document: a refund of its own would be refused
    assert await account.prepaying.refund(SHOP, " back ") == rows
    assert await account.available() == 5 * EURO
    await account.books.closing().close(SHOP, OCTOBER)
    (row,) = await account.prepaying.refund(SHOP, "back, the second")
    assert row.net_minor == 495  # 0.045 is 0.05 on the invoice
    (await PgVerify(database).looked()).hold()


async def test_the_same_refund_told_by_many_at_once_pays_back_once(database: Database) -> None:
    account = await an_account(database)
    await account.top_up(5 * EURO, "transfer")
    told = await asyncio.gather(*(account.prepaying.refund(SHOP, "back") for _ in range(4)))
    assert told == [told[0]] * 4
    assert len(await account.documents()) == 2


async def test_a_month_below_zero_deducts_nothing_and_late_usage_goes_on_with_the_rest(
    database: Database,
) -> None:
    account = await an_account(database)
    await account.top_up(10 * EURO, "transfer")
    ids = await account.send(20)
    await account.books.closing().close(SHOP, OCTOBER)
    account.books.clock.advance(60)
    await account.give_back(ids)
    account.books.go_to(DECEMBER_5)
    (row,) = await account.books.closing().close(SHOP, NOVEMBER)
    assert (row.doc_type, row.gross_minor, row.paid_minor) == ("381", 108, 0)
    assert await account.available() == 10 * EURO - 20 * UNIT
    (await PgVerify(database).looked()).hold()


async def test_money_that_waits_for_receipts_is_not_deducted_and_comes_back_without_them(
    database: Database,
) -> None:
    account = await an_account(database)
    await account.books.execute("UPDATE price_item SET basis = 'delivered' WHERE item_id = $1", ITEM)
    await account.top_up(60 * CENT, "transfer")
    await account.lease_and_take(10, IN_OCTOBER, by_receipt=True)  # no receipt came: nothing is charged
    await account.books.take(SHOP, 10, item=(OTHER_ITEM, 90_001))  # as if it had no budget
    (row,) = await account.books.closing().close(SHOP, OCTOBER)
    assert (row.net_minor, row.gross_minor, row.paid_minor) == (90, 108, 18)
    assert await account.available() == 0
    for days in (0, 15):
        await account.leases.settle(IN_OCTOBER + timedelta(days=days), 100)
    assert await account.available() == 45 * CENT
    (await PgVerify(database).looked()).hold()
