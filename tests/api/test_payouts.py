"""Payouts by HTTP: the operator closes a premium month by the carriers' counts, the merchant reads it."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from smsgate.security.public_ids import Kind
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify
from tests.api.api_server import Api, Caller
from tests.api.test_fec import fec, moved
from tests.api.test_invoices import PROFILE, close, with_invoicing
from tests.store.books import Books, some_books


def line(short_code: str, billed: int, *, retail: str = "0.50", own: str = "70") -> dict[str, Any]:
    return {
        "short_code": short_code, "retail_price": retail, "vat_rate": "20", "carrier_share": "60",
        "merchant_share": own, "billed": billed,
    }  # fmt: skip


PUBLISHER = {**PROFILE, "vat_number": "FR96552100554"}
LINES = [line("81234", 1_003), line("61234", 7, retail="4.50", own="33.333333"), line("71234", 0)]


def cents_of(each: dict[str, Any]) -> int:
    """R15 by fractions: retail without VAT x both shares x count, rounded once, half away from zero."""
    share = Fraction(each["retail_price"]) / (1 + Fraction(each["vat_rate"]) / 100)
    share *= Fraction(each["carrier_share"]) / 100 * Fraction(each["merchant_share"]) / 100 * each["billed"]
    return int(share * 100 + Fraction(1, 2))


async def a_publisher(api: Api, database: Database, **changes: Any) -> tuple[Books, Caller, str]:
    """Return books after October, a merchant with a profile, and where its payouts are closed."""
    books = await some_books(database)
    with_invoicing(api, database, books)
    caller = await api.merchant()
    path = f"/v1/merchants/{caller.merchant_id}"
    assert (await api.operator.call("PUT", f"{path}/billing_profile", {**PUBLISHER, **changes})).status == 200
    return books, caller, f"{path}/payouts"


async def wrong(database: Database) -> list[tuple[str, str | None]]:
    broken = (await PgVerify(database).looked()).broken
    return [(each.invariant, each.first) for each in broken if each.invariant != "I4"]


async def test_a_premium_month_becomes_a_document_in_the_merchants_name_and_what_is_owed_to_it(
    api: Api, database: Database
) -> None:
    books, caller, path = await a_publisher(api, database)
    merchant_id = api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id)
    await books.take(merchant_id, 7)
    body = {"month": "2026-10", "lines": LINES}
    nets = {each["short_code"]: cents_of(each) for each in LINES}
    net = sum(nets.values())
    vat = int(Fraction(net, 5) + Fraction(1, 2))

    seen = (await api.operator.post(f"{path}/differences", body)).body
    assert {code: round(float(text) * 100) for code, text in seen["nets"].items()} == nets
    assert (await caller.get("/v1/payouts")).body["data"] == []
    assert (await caller.post(path, body)).status == 403
    made = await api.operator.post(path, body)
    assert made.status == 201, made
    assert [made.body[name] for name in ("net", "vat", "gross")] == [
        f"{amount / 100:.2f}" for amount in (net, vat, net + vat)
    ]
    assert (await api.operator.post(path, {**body, "lines": LINES[::-1]})).body == made.body
    assert await books.accounts() == {
        ("payout_cost", "EUR"): net * 10_000,
        ("vat", "EUR"): vat * 10_000,
        ("payout", "EUR"): -(net + vat) * 10_000,
        ("unbilled", "EUR"): 315_000,
        ("revenue", "EUR"): -315_000,
    }

    (listed,) = (await caller.get("/v1/payouts")).body["data"]
    assert listed == made.body
    detail = (await caller.get(f"/v1/payouts/{listed['id']}")).body
    assert (detail["seller"], detail["buyer"]) == ("Boxman SARL", "Passerelle SAS")
    assert [row["name"] for row in detail["lines"]] == [
        f"SMS surtaxés vers le {code}" for code in ("61234", "71234", "81234")
    ]
    told = "1003 x 0,50 EUR avec 20 % de TVA, 60 % de l'opérateur, dont 70 %. Autofacturation."
    assert told in json.dumps(detail, ensure_ascii=False).replace("\u00a0", " ")
    other = await api.merchant()
    for form in ("pdf", "xml"):
        answer = await caller.get(f"/v1/payouts/{listed['id']}.{form}")
        assert answer.body == f"{form} of {listed['number']}"
        assert (await other.get(f"/v1/payouts/{listed['id']}.{form}")).status == 404
    assert (await other.get(f"/v1/payouts/{listed['id']}")).status == 404
    assert (await other.get("/v1/payouts")).body["data"] == []
    assert (await caller.get("/v1/invoices")).body["data"] == []

    # The month's own close and the books of the year know both, each in its journal.
    (invoice,) = (await close(api, caller)).body["data"]
    assert invoice["number"] == "F-2026-000001"
    rows, _headers = await fec(api, "2026")
    assert [row[0] for row in moved(rows, listed["number"])] == ["401000", "611000", "445660"]
    assert {row["EcritureNum"] for row in rows} == {"1"}
    assert await wrong(database) == []


async def test_a_month_is_paid_out_once(api: Api, database: Database) -> None:
    _books, _caller, path = await a_publisher(api, database)
    body = {"month": "2026-10", "lines": LINES}
    first = await api.operator.post(path, body)
    for lines in (LINES[:2], [*LINES[:2], line("71234", 1)]):
        again = await api.operator.post(path, {**body, "lines": lines})
        assert (again.status, again.code) == (409, "payout_closed")
    other = await api.operator.post(path, {**body, "month": "2026-09"})
    assert [each.body["number"][-6:] for each in (first, other)] == ["000001", "000002"]


@pytest.mark.parametrize(
    ("changes", "body", "code"),
    [
        ({}, {"month": "2026-11"}, "month_running"),
        ({}, {"month": "2026-13"}, "month_invalid"),
        ({}, {"lines": [line("81234", 1), line("81234", 2)]}, "payout_invalid"),
        ({}, {"lines": [line("81234", 1, own="100.1")]}, "payout_invalid"),
        ({"vat_number": ""}, {}, "payout_refused"),
        ({"country": "DE", "vat_number": "DE136695977"}, {}, "payout_refused"),  # a wrong check digit
        ({"country": "DE"}, {}, "payout_refused"),  # a French number
    ],
)
async def test_a_payout_that_cannot_be_says_why(
    api: Api, database: Database, changes: dict[str, Any], body: dict[str, Any], code: str
) -> None:
    books, _caller, path = await a_publisher(api, database, **changes)
    answer = await api.operator.post(path, {"month": "2026-10", "lines": LINES, **body})
    assert answer.code == code
    assert await books.accounts() == {}


@pytest.mark.parametrize(
    ("sql", "invariant"),
    [
        ("UPDATE payout_line SET billed = billed + 1 WHERE short_code = '81234'", "I7"),
        ("DELETE FROM payout_line WHERE short_code = '81234'", "I7"),
        ("UPDATE payout SET posting_id = 1", "I9"),
        ("DELETE FROM ledger_entry WHERE direction = 'payout'", "I9"),
    ],
)
async def test_verify_finds_a_payout_that_is_not_what_it_was_made_of(
    api: Api, database: Database, sql: str, invariant: str
) -> None:
    books, _caller, path = await a_publisher(api, database)
    assert (await api.operator.post(path, {"month": "2026-10", "lines": LINES})).status == 201
    assert await wrong(database) == []
    await books.execute(sql)
    assert {each for each, _first in await wrong(database)} == {invariant}
