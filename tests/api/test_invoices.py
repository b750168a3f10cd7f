"""Invoices and credit notes by HTTP: the operator closes and credits, the merchant reads and downloads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smsgate.flows.closing import Closing
from smsgate.flows.commitments import Commitments
from smsgate.flows.document_files import DocumentFiles
from smsgate.flows.documents import Documents
from smsgate.flows.ereporting import EReporting
from smsgate.flows.fec import Fec
from smsgate.flows.forecasting import Forecasting
from smsgate.flows.invoicing import Invoicing
from smsgate.flows.line_messages import InvoiceLines
from smsgate.flows.payouts import Payouts
from smsgate.security.public_ids import Kind
from smsgate.store.closing import PgClosing
from smsgate.store.commitments import PgCommitments
from smsgate.store.document_files import PgDocumentFiles
from smsgate.store.fec import PgFec
from smsgate.store.forecasting import PgForecasts
from smsgate.store.issued import PgDocuments
from smsgate.store.line_messages import PgInvoiceLines
from smsgate.store.payouts import PgPayouts
from smsgate.store.pool import Database
from smsgate.store.profiles import billing_merchant
from tests.api.api_server import Api, Caller
from tests.store.books import CLOSE_AT, SELLER, Books, some_books

PROFILE: dict[str, Any] = {
    "legal_name": "Boxman SARL", "street": "2 rue des Disques", "postcode": "69001", "city": "Lyon",
    "country": "FR", "legal_id": "552100554", "vat_number": "FR96552100554", "business": True,
}  # fmt: skip


def with_invoicing(api: Api, database: Database, books: Books) -> None:
    """Have closes and documents at the instant of the books; files say what they are of."""
    next_id = api.context.ids.next
    closing = Closing(PgClosing(database, str), SELLER, books.clock, next_id)
    api.context.invoicing = Invoicing(
        closing,
        Forecasting(closing, PgForecasts(database), books.clock),
        Documents(PgDocuments(database), SELLER, books.clock, next_id),
        InvoiceLines(PgInvoiceLines(database)),
        Commitments(PgCommitments(database), books.clock),
        Fec(PgFec(database), SELLER),
        EReporting(PgFec(database), SELLER),
        Payouts(PgPayouts(database), SELLER, books.clock, next_id),
        DocumentFiles(
            PgDocumentFiles(database),
            lambda invoice, form: f"{form} of {invoice.number}".encode(),
            books.clock,
        ),
    )


async def a_merchant(
    api: Api, books: Books, *, profile: dict[str, Any] | None = PROFILE
) -> tuple[Caller, int]:
    """Return the merchant's caller and id; it used 7 segments at 0.045 in October."""
    caller = await api.merchant()
    merchant_id = api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id)
    if profile is not None:
        path = f"/v1/merchants/{caller.merchant_id}/billing_profile"
        assert (await api.operator.call("PUT", path, profile)).status == 200
    await books.take(merchant_id, 7)
    return caller, merchant_id


async def close(api: Api, caller: Caller, month: str = "2026-10") -> Any:
    return await api.operator.post(f"/v1/merchants/{caller.merchant_id}/closes", {"month": month})


async def test_the_operator_closes_and_the_merchant_reads_lists_and_downloads(
    api: Api, database: Database
) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, _ = await a_merchant(api, books)
    closed = await close(api, caller)
    assert closed.status == 200, closed
    (summary,) = closed.body["data"]
    assert (summary["number"], summary["net"], summary["vat"], summary["gross"]) == (
        "F-2026-000001", "0.32", "0.06", "0.38",
    )  # fmt: skip
    assert (await close(api, caller)).body["data"] == [summary]
    assert (await caller.get("/v1/invoices")).body["data"] == [summary]
    detail = (await caller.get(f"/v1/invoices/{summary['id']}")).body
    assert detail["lines"] == [
        {
            "line": 1, "name": "SMS, Orange France (20801)", "note": "List 1, version 1.",
            "for_month": "2026-10",
            "quantity": 7, "unit_price": "0.045", "vat_category": "S", "net": "0.32",
        }
    ]  # fmt: skip
    assert detail["vats"] == [{"category": "S", "rate": "20", "basis": "0.32", "amount": "0.06"}]
    assert (detail["buyer"], detail["credits"]) == ("Boxman SARL", None)
    for form, media_type, extension in (
        ("pdf", "application/pdf", "pdf"), ("xml", "application/xml", "xml"),
        ("ubl", "application/xml", "ubl.xml"), ("peppol", "application/xml", "peppol.xml"),
    ):  # fmt: skip
        answer = await caller.get(f"/v1/invoices/{summary['id']}.{form}")
        assert (answer.status, answer.body) == (200, f"{form} of F-2026-000001")
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["Content-Disposition"] == f'attachment; filename="F-2026-000001.{extension}"'


async def test_a_month_is_drafted_before_its_close_and_not_after_it(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, merchant_id = await a_merchant(api, books)
    await books.prices((31, "mt", "20810", 50_000), list_id=3, basis="delivered")
    await books.take(merchant_id, 2, item=(31, 50_000), by_receipt=True)
    draft = (await caller.get("/v1/invoice_drafts/2026-10")).body
    (invoice,) = draft["drafts"]
    assert (invoice["net"], invoice["vat"], invoice["gross"]) == ("0.32", "0.06", "0.38")
    assert (invoice["currency"], invoice["credit_note"], len(invoice["lines"])) == ("EUR", False, 1)
    assert (invoice["paid"], invoice["due"], invoice["prepayments"]) == ("0.00", "0.38", [])
    (late,) = draft["late_receipts"]
    assert (late["messages"], late["awaited"], late["expected_late"]) == (2, "0.10", "0.00")
    assert (await caller.get("/v1/invoices")).body["data"] == []
    assert (await close(api, caller)).status == 200
    closed = await caller.get("/v1/invoice_drafts/2026-10")
    assert (closed.status, closed.code) == (409, "month_closed")
    assert (await caller.get("/v1/invoice_drafts/2026-13")).code == "month_invalid"
    stranger, _ = await a_merchant(api, books)
    own = (await stranger.get("/v1/invoice_drafts/2026-10")).body
    assert (own["drafts"][0]["lines"][0]["quantity"], own["late_receipts"]) == (7, [])


async def test_a_line_is_followed_down_to_its_messages_and_adds_up(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, merchant_id = await a_merchant(api, books)
    (invoice,) = (await close(api, caller)).body["data"]
    path = f"/v1/invoices/{invoice['id']}/lines/1"
    await books.take(merchant_id, 2, recorded_at=CLOSE_AT + timedelta(hours=1))
    told = (await caller.get(path)).body
    assert (told["direction"], told["for_month"], told["quantity"], told["segments"]) == (
        "mt", "2026-10", 7, 9,
    )  # fmt: skip
    assert (told["billed"], told["not_billed"]) == ([{"invoice": "F-2026-000001", "segments": 7}], 2)
    first = (await caller.get(f"{path}/messages?limit=5")).body
    second = (await caller.get(f"{path}/messages?limit=5&starting_after={first['data'][-1]['id']}")).body
    rows = [*first["data"], *second["data"]]
    assert (len({row["id"] for row in rows}), first["has_more"], second["has_more"]) == (9, True, False)
    assert sum(row["segments"] for row in rows) == told["segments"]
    assert {row["amount"] for row in rows} == {"0.045"}
    stranger, _ = await a_merchant(api, books)
    for asked, who in ((path, stranger), (f"{path[:-1]}2", caller), (f"{path[:-1]}x", caller)):
        for suffix in ("", "/messages"):
            answer = await who.get(f"{asked}{suffix}")
            assert (answer.status, answer.code) == (404, "not_found")


async def test_a_credit_note_is_the_operators_to_write_and_the_merchants_to_read(
    api: Api, database: Database
) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, _ = await a_merchant(api, books)
    (invoice,) = (await close(api, caller)).body["data"]
    body = {"invoice": invoice["id"], "lines": [{"line": 1, "quantity": 3}]}
    assert (await caller.post("/v1/credit_notes", body)).status == 403
    made = await api.operator.post("/v1/credit_notes", body)
    assert (made.status, made.body["number"], made.body["net"]) == (201, "F-2026-000002", "0.14")
    (listed,) = (await caller.get("/v1/credit_notes")).body["data"]
    assert listed == made.body
    assert [row["id"] for row in (await caller.get("/v1/invoices")).body["data"]] == [invoice["id"]]
    detail = (await caller.get(f"/v1/credit_notes/{made.body['id']}")).body
    assert detail["credits"] == "F-2026-000001"
    more = {"invoice": invoice["id"], "lines": [{"line": 1, "quantity": 5}]}
    refused = await api.operator.post("/v1/credit_notes", more)
    assert (refused.status, refused.code) == (409, "credit_refused")
    rest = await api.operator.post("/v1/credit_notes", {"invoice": invoice["id"]})
    assert rest.body["net"] == "0.18"
    assert (await caller.get(f"/v1/credit_notes/{rest.body['id']}.pdf")).body == "pdf of F-2026-000003"


async def test_documents_of_others_and_of_the_other_kind_are_not_there(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, _ = await a_merchant(api, books)
    other, _ = await a_merchant(api, books)
    (invoice,) = (await close(api, caller)).body["data"]
    for path in ("", ".pdf", ".xml"):
        assert (await other.get(f"/v1/invoices/{invoice['id']}{path}")).status == 404
        assert (await caller.get(f"/v1/credit_notes/{invoice['id']}{path}")).status == 404
    assert (await other.get("/v1/invoices")).body["data"] == []


@pytest.mark.parametrize(
    ("changes", "category"),
    [
        ({}, "S"),
        ({"country": "DE", "vat_number": "DE136695976"}, "AE"),
        ({"country": "DE", "vat_number": "DE136695977"}, "S"),  # a check digit is wrong
        ({"country": "DE", "vat_number": "FR96552100554"}, "S"),  # right, and of another country
        ({"country": "GR", "vat_number": "EL094259216"}, "AE"),
        ({"country": "GR", "vat_number": "GR094259216"}, "S"),  # Greece's numbers begin with EL
        ({"country": "GB", "vat_number": "XI980780684"}, "O"),  # Northern Ireland is in the EU for goods only
        ({"country": "NO", "vat_number": ""}, "O"),
    ],
)
async def test_a_profile_decides_how_services_are_taxed(
    api: Api, database: Database, changes: dict[str, Any], category: str
) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller = await api.merchant()
    path = f"/v1/merchants/{caller.merchant_id}/billing_profile"
    assert (await api.operator.get(path)).status == 404
    answer = await api.operator.call("PUT", path, {**PROFILE, **changes})
    assert (answer.status, answer.body["vat_category"]) == (200, category)
    read = (await api.operator.get(path)).body
    assert {name: read[name] for name in PROFILE} == {**PROFILE, **changes}
    assert read["einvoicing_id"] == PROFILE["legal_id"]


async def test_another_category_holds_from_today_on_and_no_day_before(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, merchant_id = await a_merchant(api, books)
    path = f"/v1/merchants/{caller.merchant_id}/billing_profile"
    german = {**PROFILE, "country": "DE", "vat_number": "DE136695976"}
    for _ in range(2):
        assert (await api.operator.call("PUT", path, german)).status == 200
    assert await books.rows(
        "SELECT valid_from::text, category FROM billing_vat WHERE merchant_id = $1 ORDER BY 1", merchant_id
    ) == [("2000-01-01", "S"), ("2026-11-05", "AE")]


async def test_the_vat_number_of_days_without_vat_is_kept_when_the_profile_loses_it(
    api: Api, database: Database
) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, merchant_id = await a_merchant(api, books)
    path = f"/v1/merchants/{caller.merchant_id}/billing_profile"
    german = {**PROFILE, "country": "DE", "vat_number": "DE136695976"}
    for vat_number in ("DE136695976", "DE136695976", "DE811569869", ""):
        answer = await api.operator.call("PUT", path, {**german, "vat_number": vat_number})
        assert answer.status == 200
        books.clock.advance(86_400)
    async with database.bulk() as connection:
        buyer = (await billing_merchant(connection, merchant_id)).buyer
    assert buyer is not None
    (first, second), day = buyer.reverse_numbers, timedelta(days=1)
    assert (buyer.party.vat_number, first[1], second[1]) == ("", "DE136695976", "DE811569869")
    assert buyer.party_for({"S"}, second[0]).vat_number == ""
    assert buyer.party_for({"AE", "S"}, second[0]).vat_number == "DE811569869"
    assert buyer.party_for({"AE", "S"}, second[0] - day).vat_number == "DE136695976"


@pytest.mark.parametrize("legal", [{"legal_id": ""}, {"legal_id": "552100555"}, {"legal_scheme": "0009"}])
async def test_a_french_business_without_its_siren_is_refused(
    api: Api, database: Database, legal: dict[str, Any]
) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller = await api.merchant()
    path = f"/v1/merchants/{caller.merchant_id}/billing_profile"
    answer = await api.operator.call("PUT", path, {**PROFILE, **legal})
    assert (answer.status, answer.code) == (422, "siren_invalid")
    assert "SIREN" in answer.body["detail"]
    assert (await api.operator.get(path)).status == 404
    consumer = {**PROFILE, **legal, "business": False, "vat_number": ""}
    assert (await api.operator.call("PUT", path, consumer)).status == 200


async def test_a_consumer_abroad_is_not_served(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller = await api.merchant()
    path = f"/v1/merchants/{caller.merchant_id}/billing_profile"
    answer = await api.operator.call("PUT", path, {**PROFILE, "country": "DE", "business": False})
    assert (answer.status, answer.code) == (422, "vat_refused")


async def test_the_close_of_a_test_merchant_says_that_it_is_not_billed(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, _ = await a_merchant(api, books)
    key = {"name": "try", "mode": "test", "scopes": ["read"]}
    assert (await api.operator.post(f"/v1/merchants/{caller.merchant_id}/api_keys", key)).status == 201
    async with database.control() as connection:
        merchant_id = await connection.fetchval("SELECT merchant_id FROM merchant WHERE slug LIKE '%.test'")
    public_id = api.context.public_ids.encode(Kind.MERCHANT, merchant_id)
    answer = await api.operator.post(f"/v1/merchants/{public_id}/closes", {"month": "2026-10"})
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.body["detail"] == "Test merchants are not billed."


async def test_a_close_that_cannot_be_says_why(api: Api, database: Database) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller, _ = await a_merchant(api, books, profile=None)
    wanted = {"2026-11": "month_running", "2026-10": "billing_incomplete", "now": "month_invalid"}
    for month, code in wanted.items():
        answer = await close(api, caller, month)
        assert (answer.status in {409, 422}, answer.code) == (True, code)
    path = f"/v1/merchants/{caller.merchant_id}/closes"
    assert (await caller.post(path, {"month": "2026-10"})).status == 403
