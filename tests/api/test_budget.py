"""The budget by HTTP: what a merchant may still send for, to the micro-unit, and why its campaigns wait."""

from __future__ import annotations

from smsgate.flows.budget_records import BudgetTerms, LeaseAsk
from smsgate.security.public_ids import Kind
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.budgets import PgLeases
from smsgate.store.pool import Database
from tests.api.api_server import Api
from tests.api.test_explanations import with_reports
from tests.store.books import some_books


async def test_a_merchant_reads_its_balance_its_leases_and_its_cap(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_reports(api, database, books)
    caller = await api.merchant()
    missing = await caller.get("/v1/budget")
    assert (missing.status, missing.code) == (404, "budget_missing")

    merchant_id = api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id)
    budgets, now = PgBudgets(database, api.context.ids.next), api.context.clock.now()
    terms = BudgetTerms(prepaid=True, month_cap_micros=250_000, alarm_micros=100_000)
    await budgets.set_terms(merchant_id, terms, now)
    for _ in range(2):  # the same payment told twice
        await budgets.top_up(merchant_id, 300_001, "transfer 1", now)
    leases = PgLeases(database, api.context.ids.next)
    ask = LeaseAsk(merchant_id, 1, None, "EUR", [1, 2, 3], [90_000, 90_000, 90_000])
    assert await leases.lease(ask, now) == 2
    body = (await caller.get("/v1/budget")).body
    assert body["paid_in"] == "0.300001"
    assert (body["available"], body["leased"], body["spent"]) == ("0.120001", "0.18", "0.00")
    month = body["month"]
    assert (month["cap"], month["left"], month["leased"], month["spent"]) == ("0.25", "0.07", "0.18", "0.00")
    assert (body["held"], body["in_doubt"], body["alarm"]) == ("budget", "0.00", "0.10")

    assert (await leases.settle(now, 10)).leases == 1  # nothing of it stands in the queue, nor was it sent
    body = (await caller.get("/v1/budget")).body
    assert (body["available"], body["leased"], body["held"]) == ("0.300001", "0.00", None)
