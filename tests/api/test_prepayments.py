"""Prepayment invoices by HTTP: the merchant lists and downloads them, and sees what its invoices deduct."""

from __future__ import annotations

from smsgate.flows.budget_records import BudgetTerms
from smsgate.flows.prepaying import Prepaying
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.pool import Database
from smsgate.store.prepaying import PgPrepaid
from tests.api.api_server import Api
from tests.api.test_explanations import with_reports
from tests.api.test_invoices import a_merchant, close, with_invoicing
from tests.store.books import SELLER, some_books


async def test_a_merchant_reads_its_prepayments_and_what_its_invoice_deducts(
    api: Api, database: Database
) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    with_reports(api, database, books)
    caller, merchant_id = await a_merchant(api, books)
    other, _ = await a_merchant(api, books)
    next_id, now = api.context.ids.next, books.clock.now()
    budgets = PgBudgets(database, next_id)
    await budgets.set_terms(merchant_id, BudgetTerms(prepaid=True), now)
    prepaying = Prepaying(PgPrepaid(database, next_id), budgets, SELLER, books.clock, next_id)
    await prepaying.top_up(merchant_id, 250_000, "transfer 1")

    (listed,) = (await caller.get("/v1/prepayments")).body["data"]
    number = listed["number"]
    assert (number, listed["net"], listed["gross"], listed["paid"]) == (
        "F-2026-000001", "0.25", "0.30", "0.30",
    )  # fmt: skip
    path = f"/v1/prepayments/{listed['id']}"
    detail = (await caller.get(path)).body
    assert (detail["due"], detail["prepayments"], detail["credits"]) == ("0.00", [], None)
    assert detail["lines"][0]["note"] == "Paiement transfer 1 du 5 novembre 2026."
    for form in ("pdf", "xml"):
        assert (await caller.get(f"{path}.{form}")).body == f"{form} of {number}"
        assert (await other.get(f"{path}.{form}")).status == 404
        assert (await caller.get(f"/v1/invoices/{listed['id']}.{form}")).status == 404
    assert (await other.get(path)).status == 404
    assert (await other.get("/v1/prepayments")).body["data"] == []

    (invoice,) = (await close(api, caller)).body["data"]
    assert (invoice["gross"], invoice["paid"]) == ("0.38", "0.30")
    detail = (await caller.get(f"/v1/invoices/{invoice['id']}")).body
    assert detail["due"] == "0.08"
    assert detail["prepayments"] == [
        {"number": number, "issued_on": listed["issued_on"], "gross": "0.30", "vat": "0.05"}
    ]
    budget = (await caller.get("/v1/budget")).body
    assert (budget["deducted"], budget["refunded"], budget["available"]) == ("0.25", "0.00", "0.00")
    assert [row["id"] for row in (await caller.get("/v1/invoices")).body["data"]] == [invoice["id"]]


async def test_what_is_paid_back_is_among_the_credit_notes(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, merchant_id = await a_merchant(api, books)
    await close(api, caller)
    next_id, now = api.context.ids.next, books.clock.now()
    budgets = PgBudgets(database, next_id)
    await budgets.set_terms(merchant_id, BudgetTerms(prepaid=True), now)
    prepaying = Prepaying(PgPrepaid(database, next_id), budgets, SELLER, books.clock, next_id)
    await prepaying.top_up(merchant_id, 250_000, "transfer 1")
    await prepaying.refund(merchant_id, "the end")
    (listed,) = (await caller.get("/v1/credit_notes")).body["data"]
    detail = (await caller.get(f"/v1/credit_notes/{listed['id']}")).body
    assert (detail["credits"], detail["gross"], detail["due"]) == ("F-2026-000002", "0.30", "0.30")
    assert (await caller.get(f"/v1/credit_notes/{listed['id']}.xml")).body == "xml of F-2026-000003"
