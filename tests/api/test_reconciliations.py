"""Reconciliations and margins by HTTP, for the operator alone."""

from __future__ import annotations

import hashlib

from smsgate.billing.carrier_files import CarrierFile, FileTerms
from smsgate.billing.reconciliation import Tolerance
from smsgate.flows.reconciling import BillQuestion
from smsgate.security.public_ids import Kind
from smsgate.store.pool import Database
from tests.api.api_server import Api
from tests.api.test_explanations import COST_ITEM, a_message, with_reports
from tests.store.books import CARRIER, OCTOBER, Books, some_books

BILL = "network,quantity,price\n*,7,0.03\n"


async def a_reconciliation(api: Api, database: Database) -> tuple[Books, str]:
    books = await some_books(database)
    await books.prices((COST_ITEM, "mt", "*", 30_000), list_id=3, side="cost")
    await books.execute("INSERT INTO carrier (carrier_id, name) VALUES ($1, 'sim')", CARRIER)
    with_reports(api, database, books)
    caller, _ = await a_message(api, books)
    question = BillQuestion(
        "sim", OCTOBER, "Europe/Paris", "EUR", Tolerance(0, 0), "bill.csv",
        hashlib.sha256(BILL.encode()).digest(),
    )  # fmt: skip
    bill = CarrierFile(BILL.splitlines(keepends=True), "bill.csv", FileTerms(), "EUR")
    assert api.context.reports is not None
    result = await api.context.reports.reconciling.reconcile(question, bill)
    assert (await caller.get("/v1/reconciliations")).status == 403
    return books, api.context.public_ids.encode(Kind.RECONCILIATION, result.reconciliation_id)


async def test_a_reconciliation_is_listed_and_read_with_its_lines(api: Api, database: Database) -> None:
    _, id_ = await a_reconciliation(api, database)
    (summary,) = (await api.operator.get("/v1/reconciliations")).body["data"]
    assert (summary["id"], summary["carrier"], summary["month"], summary["verdict"]) == (
        id_, "sim", "2026-10", "dispute",
    )  # fmt: skip
    assert (summary["our_cost"], summary["invoiced"], summary["difference"]) == ("0.18", "0.21", "0.03")
    assert summary["file_sha256"] == hashlib.sha256(BILL.encode()).hexdigest()
    body = (await api.operator.get(f"/v1/reconciliations/{id_}")).body
    assert {name: body[name] for name in summary} == summary
    (line,) = body["lines"]
    assert (line["network"], line["reason"], line["our_segments"], line["carrier_segments"]) == (
        "*", "count", 6, 7,
    )  # fmt: skip
    assert (line["by_count"], line["by_price"]) == ("0.03", "0.00")
    nothing = api.context.public_ids.encode(Kind.RECONCILIATION, 42)
    assert (await api.operator.get(f"/v1/reconciliations/{nothing}")).status == 404


async def test_margins_are_read_by_merchant_campaign_and_carrier(api: Api, database: Database) -> None:
    await a_reconciliation(api, database)
    for by in ("merchant", "campaign", "carrier"):
        answer = await api.operator.get(f"/v1/margins/2026-10?by={by}")
        (row,) = answer.body["data"]
        assert (row["segments"], row["revenue"], row["cost"], row["margin"]) == (6, "0.27", "0.18", "0.09")
        assert (row["carrier"], row["below_cost"]) == ("sim" if by == "carrier" else None, False)
    assert (await api.operator.get("/v1/margins/2026-13")).code == "month_invalid"
    assert (await api.operator.get("/v1/margins/2026-10?by=day")).status == 422
