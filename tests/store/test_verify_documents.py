"""
`smsgate billing verify` on stored documents and budgets: it finds each corruption by its first row.

The books: October and November closed, an invoice each, a credit note by hand, a budget with a lease.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.flows.budget_records import BudgetTerms, LeaseAsk
from smsgate.ids import IdMaker
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.budgets import PgLeases
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.store.books import CLOSE_AT, NOVEMBER, OCTOBER, OTHER_ITEM, some_books
from tests.store.test_credits import SHOP, documents_of
from tests.store.verified_books import Corruption, first_found, found_after, made_once

FIRST = "WHERE document_id = (SELECT min(document_id) FROM document)"  # F-2026-000001, of October
CREDIT = "WHERE document_id = (SELECT document_id FROM document WHERE credits_id IS NOT NULL)"
LAST = "WHERE number = (SELECT max(number) FROM document)"
POSTING = "(SELECT min(posting_id) FROM ledger_entry WHERE direction = 'document')"


def repapered(change: str) -> str:
    """Change the newest document's paper, and chain it anew as one would who knows how."""
    paper = f"convert_to(jsonb_set(convert_from(payload, 'UTF8')::jsonb, {change})::text, 'UTF8')"
    return (
        f"WITH d AS (UPDATE document SET payload = {paper}, "
        f"chain_sha256 = sha256(previous_sha256 || {paper}) {LAST} "
        "RETURNING chain_sha256) UPDATE document_series SET last_sha256 = d.chain_sha256 FROM d"
    )


CORRUPTIONS = {
    "a line is a cent dearer": Corruption(
        f"UPDATE document_line SET net_minor = net_minor + 1 {FIRST} AND line = 2",
        "I7", "line 2 of document F-2026-1: 101 x 10000 micros is 101, not 102",
    ),
    "a line has another unit price": Corruption(
        f"UPDATE document_line SET unit_micros = unit_micros + 9000 {FIRST} AND line = 1",
        "I7", "line 1 of document F-2026-1",
    ),
    "a document's net is a cent more": Corruption(
        f"UPDATE document SET net_minor = net_minor + 1, gross_minor = gross_minor + 1 {FIRST}",
        "I8", "document F-2026-1: net 134",
    ),
    "a document's VAT is a cent less": Corruption(
        f"UPDATE document SET vat_minor = vat_minor - 1, gross_minor = gross_minor - 1 {FIRST}",
        "I8", "document F-2026-1: net 133, VAT 26",
    ),
    "a document's gross does not add up": Corruption(
        f"UPDATE document SET gross_minor = gross_minor + 10 {FIRST}", "I8", "gross 170",
    ),
    "a line is taxed at another rate": Corruption(
        f"UPDATE document_line SET vat_rate_micros = 10000000 {FIRST}", "I8", "its lines make 133 and 13",
    ),
    "a line is gone": Corruption(
        f"DELETE FROM document_line {FIRST} AND line = 1", "I8", "document F-2026-1",
    ),
    "the paper has another total": Corruption(
        repapered("'{net_minor}', '1'"), "I8", "document F-2026-3: its paper has",
    ),
    "the paper has another quantity in a line": Corruption(
        repapered("'{lines,0,quantity}', '8'"), "I8", "line 1 of document F-2026-3: its paper has 8 45000",
    ),
    "the exact amount is another": Corruption(
        f"UPDATE document SET exact_micros = exact_micros + 1 {FIRST}", "I9", "exact 1325001 micros",
    ),
    "the rounding is another": Corruption(
        f"UPDATE document SET rounding_micros = rounding_micros + 1 {FIRST}", "I9", "document F-2026-1",
    ),
    "a document's posting is gone": Corruption(
        f"DELETE FROM ledger_entry WHERE posting_id = {POSTING}", "I9", "of merchant 7: the ledger has",
    ),
    "a document's posting moves another amount": Corruption(
        "UPDATE ledger_entry SET amount_micros = amount_micros + CASE account WHEN 'receivable' THEN 10000 "
        f"ELSE -10000 END WHERE account IN ('receivable', 'vat') AND posting_id = {POSTING}",
        "I9", "document F-2026-1 of merchant 7: the ledger has",
    ),
    "a number is left out": Corruption(
        f"UPDATE document SET number = number + 5 {LAST}", "I10", "series F-2026 counts 3 documents",
    ),
    "the newest document is deleted": Corruption(
        f"DELETE FROM document {LAST}", "I10", "series F-2026 counts 3 documents, and has 2",
    ),
    "the counter of numbers is set back": Corruption(
        "UPDATE document_series SET last = 2", "I10", "series F-2026 counts 2 documents, and has 3",
    ),
    "a document is dated back": Corruption(
        f"UPDATE document SET issued_on = issued_on - 60 {LAST}", "I10", "F-2026-3 is of",
    ),
    "more is credited than was billed": Corruption(
        f"UPDATE document_line SET quantity = 8 {CREDIT} AND line = 1",
        "I11", "line 1 of document F-2026-1: 8 of 7 units",
    ),
    "a credit names a line that is not there": Corruption(
        f"UPDATE document_line SET credits_line = 9 {CREDIT} AND line = 1", "I11", "credits nothing",
    ),
    "more VAT is credited than was billed": Corruption(
        f"UPDATE document SET vat_minor = 99 {CREDIT}", "I11", "more VAT is credited than it has",
    ),
    "a closed month bills a segment more": Corruption(
        f"UPDATE document_line SET quantity = quantity + 1 {FIRST} AND line = 1",
        "I12", "merchant 7, 2026-10, item 11 of 2026-10: documents have 8 segments, the ledger 7",
    ),
    "a charge is recorded back into a closed month": Corruption(
        "UPDATE ledger_entry SET at = '2026-10-06' WHERE direction = 'mt' AND at >= '2026-12-01'",
        "I12", "2026-11, item 11 of 2026-11: documents have 7 segments, the ledger 9",
    ),
    "an octet of a paper is changed": Corruption(
        "UPDATE document SET payload = convert_to(replace(convert_from(payload, 'UTF8'), 'Boxman', "
        f"'Boxmen'), 'UTF8') {FIRST}",
        "I15", "document F-2026-1 is not what was issued",
    ),
    "a document in the middle is chained to another": Corruption(
        "UPDATE document SET previous_sha256 = '' WHERE number = 2", "I15", "document F-2026-2",
    ),
    "the series forgets the last document's chain": Corruption(
        "UPDATE document_series SET last_sha256 = ''", "I15", "document F-2026-3",
    ),
    "a budget is paid in more than the ledger has": Corruption(
        "UPDATE budget SET paid_in_micros = paid_in_micros + 1", "I13", "the ledger has 500000",
    ),
    "a payment is gone": Corruption(
        "DELETE FROM budget_topup", "I13", "its payments are 0",
    ),
    "more is spent of a balance than there was": Corruption(
        "WITH s AS (INSERT INTO budget_spent VALUES (7, '2026-10-01', true, 900000)) "
        "UPDATE budget SET spent_micros = spent_micros + 900000",
        "I13", "were paid in",
    ),
    "a lease is forgotten": Corruption(
        "DELETE FROM budget_lease", "I14", "its leases hold 0",
    ),
    "a cap is passed": Corruption(
        "UPDATE budget SET month_cap_micros = 89999", "I14", "the cap is 89999",
    ),
    "a lease holds more than its messages may cost": Corruption(
        "UPDATE budget_lease SET micros[1] = 1", "I14", "its messages may cost 45001",
    ),
    "a message has money twice": Corruption(
        "UPDATE budget_lease SET message_ids[2] = message_ids[1]", "I14", "message 1 has money in it 2 times",
    ),
}  # fmt: skip


async def write(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.execute("UPDATE price_item SET unit_micros = 10000 WHERE item_id = $1", OTHER_ITEM)
    await books.take(SHOP, 7)
    await books.take(SHOP, 101, item=(OTHER_ITEM, 10_000))
    (row,) = await books.closing().close(SHOP, OCTOBER)
    documents = documents_of(books)
    await documents.credit(await documents.by_number(row.number), [(1, 3), (2, 50)])
    november, december = datetime(2026, 11, 12, 9, tzinfo=UTC), CLOSE_AT + timedelta(days=31)
    await books.partitions(november, december)
    await books.take(SHOP, 7, accepted_at=november)
    books.go_to(december)
    await books.closing().close(SHOP, NOVEMBER)
    await books.take(SHOP, 2, accepted_at=november, recorded_at=december + timedelta(hours=1))
    ids = IdMaker(1, lambda: int(december.timestamp() * 1000))
    budgets, leases = PgBudgets(database, ids.next), PgLeases(database, ids.next)
    await budgets.set_terms(SHOP, BudgetTerms(prepaid=True, month_cap_micros=400_000), december)
    await budgets.top_up(SHOP, 500_000, "transfer", december)
    await leases.lease(LeaseAsk(SHOP, 1, None, "EUR", [1, 2], [45_000, 45_000]), december)


@pytest.fixture(scope="module")
def books(postgres_server: EmbeddedPostgres) -> Iterator[dict[str, Any]]:
    with made_once(postgres_server, write) as arguments:
        yield arguments


async def test_documents_and_budgets_that_flows_made_hold_in_every_proof(books: dict[str, Any]) -> None:
    assert await found_after(books, "") == {}


@pytest.mark.parametrize("name", CORRUPTIONS)
async def test_a_corruption_is_found_and_its_first_row_named(books: dict[str, Any], name: str) -> None:
    first = await first_found(books, CORRUPTIONS[name])
    assert CORRUPTIONS[name].names in first
