"""
`smsgate billing verify` on prepaid accounts: it finds each corruption by its first row.

The books: three payments of which one has no document yet, two months that deduct, and a rest that was
paid back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.store.books import CLOSE_AT, NOVEMBER, OCTOBER
from tests.store.test_prepaid import CENT, DECEMBER_5, EURO, SHOP, an_account
from tests.store.verified_books import Corruption, first_found, found_after, made_once

INVOICE = "document_id = (SELECT min(document_id) FROM document WHERE doc_type = '380')"
ADVANCE = "(SELECT min(document_id) FROM document WHERE doc_type = '386')"
FIRST = f"{INVOICE} AND advance_id = {ADVANCE}"
POSTING = f"(SELECT posting_id FROM document WHERE {INVOICE})"

CORRUPTIONS = {
    "an invoice says that a cent less was paid": Corruption(
        f"UPDATE document SET paid_minor = paid_minor - 1 WHERE {INVOICE}",
        "I13", "document F-2026-3: 59 are paid, its advances make 60",
    ),
    "an invoice deducts a cent less of an advance": Corruption(
        f"UPDATE document_advance SET gross_minor = gross_minor - 1 WHERE {FIRST}",
        "I13", "document F-2026-3: 60 are paid, its advances make 59",
    ),
    "a month deducts an advance that was used up": Corruption(
        f"UPDATE document_advance SET advance_id = {ADVANCE} WHERE NOT {INVOICE} AND gross_minor = 17",
        "I13", "document F-2026-4: its paper deducts 17 of F-2026-000002, it is 17 of F-2026-000001",
    ),
    "more is deducted of an advance than it has": Corruption(
        "UPDATE document SET net_minor = 30, vat_minor = 6, gross_minor = 36, paid_minor = 36 "
        f"WHERE document_id = {ADVANCE}",
        "I13", "document F-2026-1: 48 of 36 are deducted",
    ),
    "a deduction is gone": Corruption(
        f"DELETE FROM document_advance WHERE {INVOICE}", "I13", "60 are paid, its advances make 0",
    ),
    "VAT is deducted a cent too much": Corruption(
        f"UPDATE document_advance SET vat_minor = vat_minor + 1 WHERE {FIRST}",
        "I13", "the ledger moved 500000 micros of prepaid for it, its advances make 490000",
    ),
    "the ledger draws a cent less than the invoice deducts": Corruption(
        "UPDATE ledger_entry SET amount_micros = amount_micros + CASE account WHEN 'prepaid' THEN -10000 "
        f"ELSE 10000 END WHERE account IN ('prepaid', 'vat') AND posting_id = {POSTING}",
        "I13", "budget of merchant 7: 1000000 micros are deducted or paid back, the ledger has 990000",
    ),
    "the ledger draws for the month and asks for it, too": Corruption(
        "UPDATE ledger_entry SET account = 'receivable' "
        f"WHERE account = 'unbilled' AND posting_id = {POSTING}",
        "I9", "document F-2026-3 of merchant 7: the ledger has -495000 receivable",
    ),
    "a prepayment invoice is of no payment": Corruption(
        f"UPDATE budget_topup SET document_id = NULL WHERE document_id = {ADVANCE}",
        "I13", "document F-2026-1 is of no payment",
    ),
    "a payment is of another amount than its invoice": Corruption(
        "UPDATE budget_topup SET amount_micros = amount_micros + CASE reference WHEN 'transfer 1' THEN 10000 "
        "ELSE -10000 END WHERE reference IN ('transfer 1', 'transfer 3')",
        "I13", "document F-2026-1: 400000 micros net, its payment is 410000",
    ),
    "a budget forgets what was deducted": Corruption(
        "UPDATE budget SET drawn_micros = drawn_micros - 10000",
        "I13", "990000 micros are deducted or paid back, the ledger has 1000000",
    ),
    "what closes made of spent is another": Corruption(
        "UPDATE budget SET spent_micros = spent_micros - 10000", "I13", "are spent, its months say",
    ),
    "available money is deducted": Corruption(
        "UPDATE budget SET adjusted_micros = adjusted_micros - 90000, spent_micros = spent_micros - 90000",
        "I13", "micros are deducted, 550000 are spent or leased",
    ),
    "a budget takes what was deducted for paid back": Corruption(
        "UPDATE budget SET refunded_micros = refunded_micros + 10000, drawn_micros = drawn_micros - 10000",
        "I13", "370000 micros are paid back, its documents say 360000",
    ),
    "a credit of a prepayment pays another amount back": Corruption(
        "UPDATE document_advance SET gross_minor = gross_minor - 1 WHERE document_id = "
        "(SELECT document_id FROM document WHERE doc_type = '503')",
        "I13", "its gross is 43, 42 of it are paid",
    ),
    "a paper deducts another document": Corruption(
        "WITH d AS (UPDATE document SET payload = convert_to(replace(convert_from(payload, 'UTF8'), "
        f"'F-2026-000002', 'F-2026-000009'), 'UTF8') WHERE {INVOICE} RETURNING 1) SELECT 1 FROM d",
        "I13", "document F-2026-3: its paper deducts 48 of F-2026-000001, 12 of F-2026-000009",
    ),
}  # fmt: skip


async def write(database: Database) -> None:
    account = await an_account(database)
    await account.top_up(40 * CENT, "transfer 1")
    await account.top_up(60 * CENT, "transfer 2")
    await account.send(11)  # 0.495 is 0.50, with VAT 0.60: 0.48 and 0.12
    closing = account.books.closing()
    await closing.close(SHOP, OCTOBER)
    await account.send(3, CLOSE_AT)
    account.books.go_to(DECEMBER_5)
    await closing.close(SHOP, NOVEMBER)
    await account.prepaying.refund(SHOP, "the contract ended")
    account.books.seller = None
    await account.top_up(1 * EURO, "transfer 3", DECEMBER_5)


@pytest.fixture(scope="module")
def books(postgres_server: EmbeddedPostgres) -> Iterator[dict[str, Any]]:
    with made_once(postgres_server, write) as arguments:
        yield arguments


async def test_accounts_that_flows_made_hold_in_every_proof(books: dict[str, Any]) -> None:
    assert await found_after(books, "") == {}


@pytest.mark.parametrize("name", CORRUPTIONS)
async def test_a_corruption_is_found_and_its_first_row_named(books: dict[str, Any], name: str) -> None:
    first = await first_found(books, CORRUPTIONS[name])
    assert CORRUPTIONS[name].names in first
