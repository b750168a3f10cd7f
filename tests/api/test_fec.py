"""The FEC by HTTP: what was issued, read again by the rules of art. A47 A-1 and added up by whole cents."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from smsgate.billing.currencies import Ratio
from smsgate.flows.budget_records import BudgetTerms
from smsgate.flows.closing import Closing
from smsgate.flows.fec import Fec
from smsgate.flows.prepaying import Prepaying
from smsgate.security.public_ids import Kind
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.closing import PgClosing
from smsgate.store.fec import PgFec
from smsgate.store.pool import Database
from smsgate.store.prepaying import PgPrepaid
from tests.api.api_server import Api
from tests.api.test_invoices import PROFILE, a_merchant, close, with_invoicing
from tests.store.books import IN_OCTOBER, SELLER, Books, some_books

COLUMNS = [
    "JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum",
    "CompAuxLib", "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet",
    "ValidDate", "Montantdevise", "Idevise",
]  # fmt: skip
NEVER_EMPTY = set(COLUMNS) - {
    "CompAuxNum", "CompAuxLib", "EcritureLet", "DateLet", "Montantdevise", "Idevise",
}  # fmt: skip
DAY = re.compile(r"20\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])")
AMOUNT = re.compile(r"\d+,\d\d")
SELLER_IN_DOLLARS_TOO = replace(SELLER, exchange_rates={"USD": Ratio(91_825, 100_000)})


def entries_of(text: str) -> list[dict[str, str]]:
    """Read a file as an auditor's program does, and hold it to the form that the law gives."""
    assert text.endswith("\r\n")
    head, *lines = text[:-2].split("\r\n")
    assert head.split("\t") == COLUMNS
    rows = [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines]
    for row in rows:
        assert not [name for name in NEVER_EMPTY if not row[name]]
        assert all(DAY.fullmatch(row[name]) for name in ("EcritureDate", "PieceDate", "ValidDate"))
        assert AMOUNT.fullmatch(row["Debit"])
        assert AMOUNT.fullmatch(row["Credit"])
        assert row["CompteNum"][:3].isdecimal()
        assert (row["Montantdevise"] == "") == (row["Idevise"] == "")
    by_entry: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        by_entry[row["JournalCode"], row["EcritureNum"]] += cents(row["Debit"]) - cents(row["Credit"])
    assert set(by_entry.values()) <= {0}
    return rows


def cents(text: str) -> int:
    return int(Decimal(text.replace(",", ".")) * 100)


def moved(rows: list[dict[str, str]], number: str) -> list[tuple[str, str, str]]:
    return [(row["CompteNum"], row["Debit"], row["Credit"]) for row in rows if row["PieceRef"] == number]


async def fec(api: Api, period: str) -> tuple[list[dict[str, str]], dict[str, Any]]:
    answer = await api.operator.get(f"/v1/fec/{period}")
    assert answer.status == 200, answer
    return entries_of(answer.body), dict(answer.headers)


async def issued(api: Api, database: Database) -> Books:
    """Have an invoice, a credit of three of its segments and, a month later, an invoice in dollars."""
    books = await some_books(database)
    with_invoicing(api, database, books)
    assert api.context.invoicing is not None
    closing = Closing(PgClosing(database, str), SELLER_IN_DOLLARS_TOO, books.clock, api.context.ids.next)
    api.context.invoicing = replace(
        api.context.invoicing, closing=closing, fec=Fec(PgFec(database), SELLER_IN_DOLLARS_TOO)
    )
    profile = {**PROFILE, "legal_name": "Disques Œuvre & Łódź Σ"}
    caller, merchant_id = await a_merchant(api, books, profile=profile)
    (invoice,) = (await close(api, caller)).body["data"]
    body = {"invoice": invoice["id"], "lines": [{"line": 1, "quantity": 3}]}
    assert (await api.operator.post("/v1/credit_notes", body)).status == 201
    await books.prices((21, "mt", "*", 1_000_000), currency="USD", list_id=2)
    at = books.clock.now()
    await books.take(merchant_id, 10, item=(21, 1_000_000), currency="USD", accepted_at=at)
    books.go_to(datetime.fromisoformat("2026-12-05T08:00:00+00:00"))
    assert len((await close(api, caller, "2026-11")).body["data"]) == 1
    return books


async def test_the_fec_of_a_year_has_an_entry_of_each_document_by_the_form_of_the_law(
    api: Api, database: Database
) -> None:
    await issued(api, database)
    rows, headers = await fec(api, "2026")
    assert headers["Content-Disposition"] == 'attachment; filename="732829320FEC20261231.txt"'
    assert headers["Content-Type"] == "text/plain; charset=iso-8859-15"
    assert list(dict.fromkeys(row["EcritureNum"] for row in rows)) == ["1", "2", "3"]
    assert moved(rows, "F-2026-000001") == [
        ("411000", "0,38", "0,00"), ("706000", "0,00", "0,32"), ("445710", "0,00", "0,06"),
    ]  # fmt: skip
    assert moved(rows, "F-2026-000002") == [
        ("411000", "0,00", "0,17"), ("706000", "0,14", "0,00"), ("445710", "0,03", "0,00"),
    ]  # fmt: skip
    # 12.00 USD x 0.91825 is 11.019, VAT 1.8365 as the document tells it; sales have the rest.
    assert moved(rows, "F-2026-000003") == [
        ("411000", "11,02", "0,00"), ("706000", "0,00", "9,18"), ("445710", "0,00", "1,84"),
    ]  # fmt: skip
    dollars = [(row["Montantdevise"], row["Idevise"]) for row in rows if row["PieceRef"] == "F-2026-000003"]
    assert dollars == [("12,00", "USD"), ("10,00", "USD"), ("2,00", "USD")]
    assert rows[0]["CompAuxLib"] == "Disques Œuvre & ?ódz ?"  # what ISO 8859-15 has of it


async def test_a_months_entries_go_on_with_the_numbers_of_its_year(api: Api, database: Database) -> None:
    await issued(api, database)
    rows, headers = await fec(api, "2026-12")
    assert "732829320FEC20261231.txt" in headers["Content-Disposition"]
    assert {(row["PieceRef"], row["EcritureNum"]) for row in rows} == {("F-2026-000003", "3")}
    rows, _headers = await fec(api, "2026-12..2027-11")  # a business year counts from its own beginning
    assert {row["EcritureNum"] for row in rows} == {"1"}
    rows, _headers = await fec(api, "2026-10")
    assert rows == []


async def test_what_was_booked_stays_booked_when_the_exchange_rate_is_another_one(
    api: Api, database: Database
) -> None:
    await issued(api, database)
    assert api.context.invoicing is not None
    before, _headers = await fec(api, "2026")
    for seller in (replace(SELLER_IN_DOLLARS_TOO, exchange_rates={"USD": Ratio(2, 1)}), SELLER):
        api.context.invoicing = replace(api.context.invoicing, fec=Fec(PgFec(database), seller))
        assert (await fec(api, "2026"))[0] == before


async def test_an_advance_in_dollars_leaves_no_cent_in_the_books_when_all_of_it_is_used(
    api: Api, database: Database
) -> None:
    """1.20 dollars are 1.10 euros; two months and what is paid back have 0.40 each, and 0.37 three times."""
    books = await some_books(database)
    with_invoicing(api, database, books)
    assert api.context.invoicing is not None
    next_id, seller = api.context.ids.next, SELLER_IN_DOLLARS_TOO
    closing = Closing(PgClosing(database, str), seller, books.clock, next_id)
    api.context.invoicing = replace(api.context.invoicing, closing=closing, fec=Fec(PgFec(database), seller))
    caller = await api.merchant()
    merchant_id = api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id)
    path = f"/v1/merchants/{caller.merchant_id}/billing_profile"
    assert (await api.operator.call("PUT", path, PROFILE)).status == 200
    await books.execute("UPDATE merchant SET currency = 'USD' WHERE merchant_id = $1", merchant_id)
    await books.prices((21, "mt", "*", 110_000), currency="USD", list_id=2)
    budgets = PgBudgets(database, next_id)
    await budgets.set_terms(merchant_id, BudgetTerms(prepaid=True), books.clock.now())
    prepaying = Prepaying(PgPrepaid(database, next_id), budgets, seller, books.clock, next_id)
    await prepaying.top_up(merchant_id, 1_000_000, "transfer 1")
    for month, at, closed_on in (
        ("2026-10", IN_OCTOBER, "2026-11-05"),
        ("2026-11", books.clock.now(), "2026-12-05"),
    ):
        await books.take(merchant_id, 3, item=(21, 110_000), currency="USD", accepted_at=at)
        books.go_to(datetime.fromisoformat(f"{closed_on}T08:00:00+00:00"))
        (invoice,) = (await close(api, caller, month)).body["data"]
        assert (invoice["gross"], invoice["paid"]) == ("0.40", "0.40")
    await prepaying.refund(merchant_id, "the end")
    rows, _headers = await fec(api, "2026")
    balances: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        balances[row["CompteNum"]] += cents(row["Debit"]) - cents(row["Credit"])
    # 0.66 dollars of sales and 0.14 of VAT; what was paid in and not paid back is still to be paid, as the
    # books of a bank are not ours.
    assert {**balances} == {"419100": 0, "445710": -12, "706000": -62, "411000": 74}


async def test_what_cannot_be_booked_is_said(api: Api, database: Database) -> None:
    books = await issued(api, database)
    await books.execute(  # as documents were before they kept their rate
        "UPDATE document SET payload = convert_to((convert_from(payload, 'UTF8')::jsonb - 'other_rate')"
        "::text, 'UTF8') WHERE currency = 'USD'"
    )
    assert api.context.invoicing is not None
    assert (await api.operator.get("/v1/fec/2026-13")).code == "month_invalid"
    for seller, code in ((SELLER, "rate_unknown"), (None, "billing_incomplete")):
        api.context.invoicing = replace(api.context.invoicing, fec=Fec(PgFec(database), seller))
        assert (await api.operator.get("/v1/fec/2026")).code == code
    caller = await api.merchant()
    assert (await caller.get("/v1/fec/2026")).status == 403


async def test_sales_outside_of_french_e_invoicing_are_totals_by_day_and_others_are_in_none(
    api: Api, database: Database
) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    french, _ = await a_merchant(api, books)
    abroad, _ = await a_merchant(
        api, books, profile={**PROFILE, "country": "US", "legal_id": "", "vat_number": ""}
    )
    for caller in (french, abroad):
        assert (await close(api, caller)).status == 200
    answer = await api.operator.get("/v1/e_reporting/2026-11")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="e-reporting-2026-11.csv"'
    assert answer.body == (
        "date,currency,vat_category,vat_rate,documents,net,vat,net_eur,vat_eur\r\n"
        "2026-11-05,EUR,O,,1,0.32,0.00,0.32,0.00\r\n"
    )
    assert (await french.get("/v1/e_reporting/2026-11")).status == 403
    assert (await api.operator.get("/v1/e_reporting/2026-13")).code == "month_invalid"
