"""One message's money by HTTP: the merchant sees what it is charged, the operator what it cost as well."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from smsgate.billing.carrier_files import FileTerms
from smsgate.billing.networks import default_table
from smsgate.billing.reconciliation import Tolerance
from smsgate.campaigns.retention import kept
from smsgate.flows.bill_files import Packer
from smsgate.flows.bill_uploads import BillTerms, BillUploads
from smsgate.flows.billing_reports import BillingReports
from smsgate.flows.document_exports import DocumentExports
from smsgate.flows.explaining import Explaining
from smsgate.flows.exporting import Exporting
from smsgate.flows.margins import Margins
from smsgate.flows.pricing import Pricing
from smsgate.flows.reconciling import Reconciling
from smsgate.flows.usage_files import UsageFiles
from smsgate.security.proof_chain import ProofKey
from smsgate.security.public_ids import Kind
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.document_records import PgDocumentRecords
from smsgate.store.explaining import PgExplaining
from smsgate.store.margins import PgMargins
from smsgate.store.offers import PgOffers
from smsgate.store.pool import Database
from smsgate.store.portability import PgPortability
from smsgate.store.privacy import erasures_of
from smsgate.store.reconciling import PgReconciling
from smsgate.store.usage import PgPriceData
from smsgate.store.usage_records import PgUsageRecords
from tests.api.api_server import Api, Caller
from tests.store.books import ITEM, SELLER, Books, some_books

COST_ITEM = 31


def with_reports(api: Api, database: Database, books: Books, directory: Path = Path("/nonexistent")) -> None:
    ids = api.context.public_ids
    pricing = Pricing(PgPriceData(database), books.clock)
    store = PgExplaining(database, lambda id_: ids.encode(Kind.POSTING, id_))
    ported, networks = PgPortability(database), default_table()
    reconciling = Reconciling(PgReconciling(database), ported, networks, books.clock, api.context.ids.next)
    terms = BillTerms("Europe/Paris", FileTerms(), Tolerance(0, 0), "List 3")
    packer = Packer(ProofKey(b"k" * 32), "Passerelle SAS", ids)
    api.context.reports = BillingReports(
        Explaining(store, ids, SELLER),
        reconciling,
        BillUploads(
            reconciling,
            pricing,
            {"sim": terms}.get,
            packer,
            directory / "packs",
            kept("dispute_pack"),
            books.clock,
        ),
        Margins(PgMargins(database), pricing, books.clock, lambda: ["List 3"]),
        UsageFiles(
            Exporting(PgUsageRecords(database), ids),
            PgOffers(database).merchant,
            directory,
            kept("usage_file"),
            books.clock,
            partial(erasures_of, database),
        ),
        PgBudgets(database, api.context.ids.next),
        DocumentExports(PgDocumentRecords(database, ids.encode)),
    )


async def a_message(api: Api, books: Books) -> tuple[Caller, str]:
    """Return a merchant that was charged 0.135 for three segments, which cost 0.09, and the message's id."""
    caller = await api.merchant()
    merchant_id = api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id)
    ids = await books.take(merchant_id, 2, item=(ITEM, 45_000), segments=3, cost=(COST_ITEM, 30_000))
    await books.write_messages(merchant_id, ids)
    return caller, api.context.public_ids.encode(Kind.MESSAGE, ids[0])


async def test_the_merchant_reads_its_charge_and_nothing_of_the_cost(api: Api, database: Database) -> None:
    books = await some_books(database)
    await books.prices((COST_ITEM, "mt", "*", 30_000), list_id=3, side="cost")
    with_reports(api, database, books)
    caller, message = await a_message(api, books)
    answer = await caller.get(f"/v1/messages/{message}/explanation")
    assert answer.status == 200, answer
    body = answer.body
    assert (body["message"], body["month"], body["zone"], body["recomputed"]) == (
        message, "2026-10", "Europe/Paris", True,
    )  # fmt: skip
    (part,) = body["parts"]
    assert (part["segments"], part["amount"], part["billed_in"], part["late"]) == (
        3,
        "0.135",
        "2026-10",
        False,
    )
    price = part["price"]
    assert (price["price_list"], price["version"], price["network"], price["basis"], price["unit_price"]) == (
        "List 1", 1, "20801", "submit", "0.045",
    )  # fmt: skip
    (posting,) = part["ledger"]
    assert (posting["messages"], posting["segments"], posting["amount"]) == (2, 6, "0.27")
    assert any(posting["id"] in sentence for sentence in body["says"])
    text = str(body).lower()
    assert [word for word in ("cost", "margin", "0.03", "0.09", "list 3") if word in text] == []


async def test_prices_by_quantity_are_explained_to_merchant_and_operator(
    api: Api, database: Database
) -> None:
    books = await some_books(database)
    await books.execute(
        "UPDATE price_item SET ladder = $2::text::jsonb WHERE item_id = $1",
        ITEM,
        '{"mode": "graduated", "steps": [[1, 45000], [5, 40000]]}',
    )
    with_reports(api, database, books)
    caller, message = await a_message(api, books)
    for answer in (
        await caller.get(f"/v1/messages/{message}/explanation"),
        await api.operator.get(f"/v1/explanations/{message}"),
    ):
        assert answer.status == 200, answer
        assert any("; 6 segments of it are charged" in sentence for sentence in answer.body["says"])


async def test_the_operator_reads_cost_and_margin_of_anybodys_message(api: Api, database: Database) -> None:
    books = await some_books(database)
    await books.prices((COST_ITEM, "mt", "*", 30_000), list_id=3, side="cost")
    with_reports(api, database, books)
    caller, message = await a_message(api, books)
    answer = await api.operator.get(f"/v1/explanations/{message}")
    assert answer.status == 200, answer
    assert answer.body["merchant"] == caller.merchant_id
    (cost,) = answer.body["costs"]
    assert (cost["amount"], cost["margin"], cost["price"]["price_list"]) == ("0.09", "0.045", "List 3")
    assert "Margin: 0.045 EUR." in answer.body["says"]
    assert (await caller.get(f"/v1/explanations/{message}")).status == 403


async def test_another_merchants_message_is_as_one_that_never_was(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_reports(api, database, books)
    _, message = await a_message(api, books)
    stranger = await api.merchant()
    nothing = api.context.public_ids.encode(Kind.MESSAGE, 42)
    answers = [await stranger.get(f"/v1/messages/{id_}/explanation") for id_ in (message, nothing, "msg_x")]
    assert {(answer.status, answer.code, answer.body["detail"]) for answer in answers} == {
        (404, "not_found", "No such object.")
    }
    assert (await api.operator.get(f"/v1/explanations/{nothing}")).status == 404


@pytest.mark.parametrize("scope", ["read", "send"])
async def test_it_needs_the_scope_that_reads_bills(api: Api, database: Database, scope: str) -> None:
    with_reports(api, database, await some_books(database))
    caller = await api.merchant(scopes=[scope])
    answer = await caller.get("/v1/messages/msg_x/explanation")
    assert (answer.status, answer.code) == (403, "scope_missing")


async def test_an_erased_message_is_gone(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_reports(api, database, books)
    caller, message = await a_message(api, books)
    await books.execute("UPDATE message SET msisdn = 0, body = ''")
    answer = await caller.get(f"/v1/messages/{message}/explanation")
    assert (answer.status, answer.code) == (410, "erased")
