"""
What budgets say is spent, against leases, message rows and ledger: `smsgate billing verify` finds each lie.

The books: a prepaid merchant with a cap. Of messages that the carrier took some are settled, some are charged
on delivery, some still stand in an open lease; two were sent before the budget came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from smsgate.clock import ManualClock
from smsgate.flows.budget_records import BudgetTerms, LeaseAsk
from smsgate.flows.housekeeping import Housekeeping, Retention
from smsgate.flows.verifying import Finding
from smsgate.ids import IdMaker, first_id_at
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.budgets import PgLeases
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify, looked_of
from tests.store.books import IN_OCTOBER, OWNER, PUBLIC_IDS, Books, some_books
from tests.store.verified_books import Corruption, first_found, found_after, made_once

SHOP = 7
UNIT = 45_000
BY_RECEIPT = 13  # an item that charges on delivery
LATER = IN_OCTOBER + timedelta(hours=73)
BEFORE = IN_OCTOBER - timedelta(days=4)
SETTLED = "lease_id = (SELECT min(lease_id) FROM budget_charge WHERE lease_id <> 0)"


class Account:
    """A merchant's budget in books that are written by hand."""

    def __init__(self, books: Books) -> None:
        ids = IdMaker(1, lambda: int(IN_OCTOBER.timestamp() * 1000))
        self._books = books
        self.budgets = PgBudgets(books.database, ids.next)
        self.leases = PgLeases(books.database, ids.next)

    async def sends(self, messages: int, **how: Any) -> list[int]:
        """Have the carrier take messages and lease what they may cost."""
        ids = await self._books.take(SHOP, messages, **how)
        await self.lease(ids)
        return ids

    async def lease(self, ids: Sequence[int]) -> None:
        ask = LeaseAsk(SHOP, OWNER, None, "EUR", ids, [UNIT] * len(ids))
        assert await self.leases.lease(ask, IN_OCTOBER) == len(ids)

    async def settle(self, at: datetime) -> None:
        while (await self.leases.settle(at, 100)).leases:
            pass


async def an_account(database: Database) -> tuple[Books, Account]:
    books = await some_books(database, now=BEFORE)
    await books.partitions(BEFORE)
    await books.prices((BY_RECEIPT, "mt", "*", UNIT), list_id=9, basis="delivered")
    await books.merchant(SHOP)
    account = Account(books)
    await books.take(SHOP, 2, accepted_at=BEFORE)
    at = BEFORE + timedelta(hours=1)
    await account.budgets.set_terms(SHOP, BudgetTerms(prepaid=True, month_cap_micros=40 * UNIT), at)
    await account.budgets.top_up(SHOP, 30 * UNIT, "transfer", at)
    return books, account


async def write(database: Database) -> None:
    books, account = await an_account(database)
    await account.sends(3)
    await account.sends(4)
    delivered = await account.sends(3, item=(BY_RECEIPT, UNIT), by_receipt=True)
    for message_id, state in zip(delivered, (ReceiptState.DELIVRD, ReceiptState.UNDELIV), strict=False):
        await books.receipt(SHOP, message_id, state, IN_OCTOBER, recorded_at=IN_OCTOBER)
    await account.settle(IN_OCTOBER)
    await account.settle(LATER)
    await account.sends(2)
    await account.lease([first_id_at(int(IN_OCTOBER.timestamp() * 1000))])  # claimed, and not written yet


def spent_more(tables: str, micros: int = UNIT) -> str:
    """Say that more is spent, in the budget itself and in these tables beside it, as one who knows how."""
    also = {
        "month": "UPDATE budget_spent SET spent_micros = spent_micros + $n WHERE prepaid RETURNING 1",
        "lease": f"UPDATE budget_charge SET spent_micros = spent_micros + $n WHERE {SETTLED} RETURNING 1",
    }
    parts = [f"{table} AS ({also[table]})" for table in tables.split()]
    budget = (
        "UPDATE budget SET spent_micros = spent_micros + $n, month_spent_micros = month_spent_micros + $n"
    )
    return f"{'WITH ' if parts else ''}{', '.join(parts)} {budget}".replace("$n", str(micros))


def forgotten(which: str) -> str:
    """Forget a settled lease and take it off every sum."""
    return (
        f"WITH gone AS (DELETE FROM budget_charge WHERE {which} RETURNING spent_micros), "
        "month AS (UPDATE budget_spent s SET spent_micros = s.spent_micros - g.spent_micros FROM gone g "
        "WHERE prepaid) "
        "UPDATE budget b SET spent_micros = b.spent_micros - g.spent_micros, "
        "month_spent_micros = month_spent_micros - g.spent_micros FROM gone g"
    )


def again(message_ids: str, micros: str) -> str:
    """Charge a settled lease, or a message of it, a second time in a row of its own, and in every sum."""
    return (
        "WITH again AS (INSERT INTO budget_charge "
        "(merchant_id, lease_id, month, prepaid, message_ids, spent_micros) "
        f"SELECT merchant_id, lease_id, month, false, {message_ids}, {micros} FROM budget_charge "
        f"WHERE {SETTLED} RETURNING merchant_id, month, prepaid, spent_micros), "
        "months AS (INSERT INTO budget_spent AS s SELECT * FROM again "
        "ON CONFLICT (merchant_id, month, prepaid) DO UPDATE "
        "SET spent_micros = s.spent_micros + excluded.spent_micros) "
        "UPDATE budget b SET month_spent_micros = b.month_spent_micros + a.spent_micros FROM again a"
    )


CORRUPTIONS = {
    "the budget alone says that more is spent": Corruption(
        spent_more(""), "I14", "in 2026-10: 495000 micros are spent, the month says 450000",
    ),
    "budget and month say that more is spent": Corruption(
        spent_more("month"), "I14", "405000 micros are spent of its balance, its leases were charged 360000",
    ),
    "budget, month and lease say that more is spent": Corruption(
        spent_more("month lease"), "I14", "180000 micros are spent, the rows of its messages have 135000",
    ),
    "budget, month and lease say that a micro less is spent": Corruption(
        spent_more("month lease", -1), "I14", "134999 micros are spent, the rows of its messages have 135000",
    ),
    "a lease was charged for another message": Corruption(
        "UPDATE budget_charge SET message_ids = "
        f"int8multirange(int8range(lower(message_ids), upper(message_ids) - 1)) WHERE {SETTLED}",
        "I14", "135000 micros are spent, the rows of its messages have 90000",
    ),
    "a lease is counted in another month": Corruption(
        f"UPDATE budget_charge SET month = '2026-09-01' WHERE {SETTLED}",
        "I14", "in 2026-09: 0 micros are spent of its balance, its leases were charged 135000",
    ),
    "a settled lease is forgotten, in every sum": Corruption(
        forgotten(SETTLED), "I14", "is charged 45000 micros, and no lease has it",
    ),
    "a settled lease of what a receipt charged is forgotten, in every sum": Corruption(
        forgotten("lease_id = (SELECT max(lease_id) FROM budget_charge)"),
        "I14", "is charged 45000 micros, and no lease has it",
    ),
    "an open lease is forgotten, in every sum": Corruption(
        "WITH gone AS (DELETE FROM budget_lease WHERE ends_at IS NULL AND cardinality(message_ids) = 2 "
        "RETURNING held_micros) "
        "UPDATE budget b SET leased_micros = leased_micros - held_micros, "
        "month_leased_micros = month_leased_micros - held_micros, "
        "day_leased_micros = day_leased_micros - held_micros FROM gone g",
        "I14", "is charged 45000 micros, and no lease has it",
    ),
    "a message counts in two leases": Corruption(
        "UPDATE budget_lease SET message_ids[1] = "
        f"(SELECT lower(message_ids) FROM budget_charge WHERE {SETTLED}) "
        "WHERE ends_at IS NULL AND cardinality(message_ids) = 1",
        "I14", "counts in two leases",
    ),
    "a settled lease is charged again, in a second row and in every sum": Corruption(
        again("message_ids", "spent_micros"), "I14", "counts twice in lease",
    ),
    "a message of a settled lease is charged again, in a second row and in every sum": Corruption(
        again("int8multirange(int8range(upper(message_ids) - 1, upper(message_ids)))", str(UNIT)),
        "I14", "counts twice in lease",
    ),
    "a message that is charged on delivery was not delivered": Corruption(
        f"UPDATE receipt SET state = {ReceiptState.EXPIRED} WHERE state = {ReceiptState.DELIVRD}",
        "I14", "45000 micros are spent, the rows of its messages have 0",
    ),
    "a message was not taken after all": Corruption(
        "UPDATE sent SET status = 88 WHERE message_id = "
        f"(SELECT lower(message_ids) FROM budget_charge WHERE {SETTLED})",
        "I14", "135000 micros are spent, the rows of its messages have 90000",
    ),
    "a lease holds less than its message is charged, in every sum": Corruption(
        "WITH less AS (UPDATE budget_lease SET micros[1] = micros[1] - 1, held_micros = held_micros - 1 "
        "WHERE cardinality(message_ids) = 2) "
        "UPDATE budget SET leased_micros = leased_micros - 1, month_leased_micros = month_leased_micros - 1, "
        "day_leased_micros = day_leased_micros - 1",
        "I14", "is charged 45000 micros, its lease holds 44999",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def books(postgres_server: EmbeddedPostgres) -> Iterator[dict[str, Any]]:
    with made_once(postgres_server, write) as arguments:
        yield arguments


async def test_what_leases_made_of_a_budget_holds_in_every_proof(books: dict[str, Any]) -> None:
    assert await found_after(books, "") == {}


async def test_receipts_that_come_again_change_nothing(books: dict[str, Any]) -> None:
    assert await found_after(books, "INSERT INTO receipt SELECT * FROM receipt") == {}


@pytest.mark.parametrize("name", CORRUPTIONS)
async def test_a_corruption_is_found_and_its_first_row_named(books: dict[str, Any], name: str) -> None:
    first = await first_found(books, CORRUPTIONS[name])
    assert CORRUPTIONS[name].names in first


TWICE = (
    "UPDATE budget_lease SET message_ids = message_ids || message_ids[1], micros = ARRAY[micros[1] / 2] || "
    "micros[2:] || micros[1] / 2 WHERE cardinality(message_ids) = 2 RETURNING lease_id, message_ids[1]"
)


async def test_a_message_that_counts_twice_in_one_open_lease_is_found(books: dict[str, Any]) -> None:
    connection = await asyncpg.connect(**books)
    transaction = connection.transaction()
    await transaction.start()
    lease_id, message_id = await connection.fetchrow(TWICE)
    wrong = (await looked_of(connection)).broken
    await transaction.rollback()
    await connection.close()
    told = f"message {message_id} of merchant {SHOP} counts twice in lease {lease_id}"
    assert Finding("I14", 1, told) in wrong
    assert f"message {message_id} has money in it 2 times" in "".join(each.first or "" for each in wrong)


async def test_what_fails_on_delivery_comes_back_after_72_hours_and_what_is_never_told_after_14_days(
    database: Database,
) -> None:
    books, account = await an_account(database)
    at = IN_OCTOBER

    async def left() -> tuple[int, int]:
        found = await account.budgets.state(SHOP, at)
        assert found is not None
        return found.budget.balance_micros // UNIT, found.budget.leased_micros // UNIT

    async def heard(message_id: int, state: ReceiptState) -> None:
        await books.receipt(SHOP, message_id, state, at, recorded_at=at)

    async def holds() -> None:
        async with database.report() as connection:
            broken = (await looked_of(connection)).broken
        assert broken == []

    taken = await account.sends(5, item=(BY_RECEIPT, UNIT), by_receipt=True)
    await heard(taken[0], ReceiptState.DELIVRD)
    await heard(taken[1], ReceiptState.UNDELIV)
    await account.settle(at)
    assert await left() == (25, 5)  # a receipt that came by another way may still be earlier
    at += timedelta(hours=73)
    await account.settle(at)
    assert await left() == (26, 3)
    await heard(taken[2], ReceiptState.DELIVRD)
    await heard(taken[3], ReceiptState.EXPIRED)
    await holds()
    at += timedelta(hours=73)
    await account.settle(at)
    assert await left() == (27, 1)
    for _ in range(4):
        at += timedelta(hours=73)
        await account.settle(at)
    assert await left() == (28, 0)
    await holds()
    await heard(taken[4], ReceiptState.DELIVRD)  # charged, and nobody waits for it any more
    await holds()


async def test_a_lease_is_folded_with_the_rows_of_its_day_and_not_before(database: Database) -> None:
    """It was at its own hour, and the rows of a whole day go together."""
    books, account = await an_account(database)
    await account.sends(3)
    await account.settle(LATER)
    store = PgHousekeeping(database, SuppressionHashes(bytes(32)), PUBLIC_IDS)
    midnight = IN_OCTOBER.replace(hour=0) + timedelta(days=1)

    async def left(before: datetime) -> tuple[int, int]:
        for table in ("sent", "receipt"):
            await store.drop_partitions(table, before)
        await store.delete_older("budget_charge", before, 1_000)
        (await PgVerify(database).looked()).hold()
        return (
            await books.value("SELECT count(*) FROM sent"),
            await books.value("SELECT count(*) FROM budget_charge WHERE lease_id <> 0"),
        )

    assert await left(midnight - timedelta(seconds=1)) == (3, 1)
    assert await left(midnight) == (0, 0)


async def test_a_lease_is_not_folded_while_the_rows_of_its_day_wait_for_who_reads_their_table(
    database: Database,
) -> None:
    books, account = await an_account(database)
    await account.sends(3)
    await account.settle(LATER)
    store = PgHousekeeping(database, SuppressionHashes(bytes(32)), PUBLIC_IDS)
    clock = ManualClock(LATER + timedelta(days=60))
    housekeeping = Housekeeping(store, Retention(messages_days=30), clock)

    async def left() -> tuple[int, int]:
        (await PgVerify(database).looked()).hold()
        return (
            await books.value("SELECT count(*) FROM sent"),
            await books.value("SELECT count(*) FROM budget_charge WHERE lease_id <> 0"),
        )

    async with database.bulk_transaction() as reader:
        await reader.fetch("SELECT FROM message")
        await housekeeping.step()
        assert housekeeping.drops_wait is True
        assert await left() == (5, 1)
    clock.advance(600)
    await housekeeping.step()
    assert await left() == (0, 0)


@pytest.mark.parametrize(
    ("first", "earlier", "lie", "told"),
    [
        (
            ReceiptState.DELIVRD, ReceiptState.UNDELIV, spent_more("month lease", 1),
            "90001 micros are spent, the rows of its messages have 45000",
        ),
        (
            ReceiptState.UNDELIV, ReceiptState.DELIVRD,
            "UPDATE receipt SET state = 2 WHERE message_id = (SELECT max(message_id) FROM sent)",
            "is charged 45000 micros, and no lease has it",
        ),
    ],
)  # fmt: skip
async def test_a_receipt_that_contradicts_what_its_lease_was_settled_by_is_listed_and_no_wrong_lease(
    database: Database, first: ReceiptState, earlier: ReceiptState, lie: str, told: str
) -> None:
    """The earlier of the two decides (R8), and nobody waits for it any more. The other message is held."""
    books, account = await an_account(database)
    contradicted, other = await account.sends(2, item=(BY_RECEIPT, UNIT), by_receipt=True)
    at = IN_OCTOBER + timedelta(minutes=5)
    for message_id in (contradicted, other):
        await books.receipt(SHOP, message_id, first, at, recorded_at=at)
    await account.settle(IN_OCTOBER)
    await account.settle(LATER)
    assert await books.value("SELECT count(*) FROM budget_lease") == 0
    at -= timedelta(minutes=1)
    await books.receipt(SHOP, contradicted, earlier, at, recorded_at=LATER)
    looked = await PgVerify(database).looked()
    looked.hold()
    assert [(each.invariant, each.wrong) for each in looked.listed if each.wrong] == [("R8", 1)]
    await books.execute(lie)
    (wrong,) = [each for each in (await PgVerify(database).looked()).broken if each.invariant == "I14"]
    assert wrong.wrong == 1
    assert told in (wrong.first or "")
