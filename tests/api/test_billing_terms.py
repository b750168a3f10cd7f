"""Minimums and prices by quantity: set over the API, used by the close, as a second calculation has them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smsgate.billing.commitments import Commitment
from smsgate.billing.periods import Month
from smsgate.errors import Conflict, StoreError
from smsgate.flows.commitments import Commitments
from smsgate.ids import first_id_at
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.public_ids import Kind
from smsgate.store.commitments import PgCommitments
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify
from tests.api.api_server import Api, Caller
from tests.api.test_invoices import PROFILE, close, with_invoicing
from tests.store.books import CLOSE_AT, IN_OCTOBER, Books, some_books
from tests.unit.billing.fraction_oracle import answer

BEGIN = datetime.fromisoformat("2026-10-02T08:00:00+00:00")
NOVEMBER_CLOSE = datetime.fromisoformat("2026-12-04T23:00:00+00:00")
Line = tuple[str, int, Decimal, str]


def item(
    network: str, price: str, mode: str, *steps: tuple[int, str], basis: str = "submit"
) -> dict[str, Any]:
    later = [{"first": first, "unit_price": unit} for first, unit in steps]
    return {
        "direction": "mt", "network": network, "unit_price": price, "basis": basis,
        "tiers": {"mode": mode, "steps": later},
    }  # fmt: skip


ITEMS = [
    item("20801", "0.05", "graduated", (11, "0.04"), (21, "0.0333")),
    item("20810", "0.06", "volume", (16, "0.045001"), basis="delivered"),
]
# network, messages, segments, accepted, receipt (delivered basis)
USED = [
    ("20801", 9, 1, IN_OCTOBER, None),
    ("20801", 8, 2, IN_OCTOBER, None),
    ("20810", 10, 1, IN_OCTOBER, IN_OCTOBER + timedelta(hours=2)),
    (
        "20810",
        7,
        1,
        IN_OCTOBER,
        CLOSE_AT + timedelta(minutes=20),
    ),  # late: the step changes for all of October's
    ("20801", 13, 1, CLOSE_AT + timedelta(minutes=30), None),
]


def as_case(minimum: str) -> dict[str, Any]:
    """Return what was used as a worked case, for the calculation that shares no code with the product."""
    steps = [
        {
            "direction": "MT", "network": each["network"], "basis": each["basis"],
            "tiers": {
                "mode": each["tiers"]["mode"],
                "steps": [
                    {"from": 1, "unit_price": each["unit_price"]},
                    *({"from": n["first"], "unit_price": n["unit_price"]} for n in each["tiers"]["steps"]),
                ],
            },
        }
        for each in ITEMS
    ]  # fmt: skip
    return {
        "merchant": {"timezone": "Europe/Paris", "currency": "EUR"},
        "vat": {"category": "S", "rates": [{"from": "2014-01-01", "rate": "20"}]},
        "periods": [
            {"period": "2026-10", "close_at": CLOSE_AT.isoformat()},
            {"period": "2026-11", "close_at": NOVEMBER_CLOSE.isoformat()},
        ],
        "commitments": {"EUR": minimum},
        "price_lists": [
            {"id": "A", "currency": "EUR", "timezone": "Europe/Paris",
             "versions": [{"version": 1, "effective_from": "2026-01-01", "items": steps}]}
        ],
        "messages": [
            {
                "id": str(number), "count": count, "direction": "MT", "network": network, "price_list": "A",
                "segments": segments, "accepted_at": at.isoformat(),
                "receipts": [{"state": "DELIVRD", "received_at": receipt.isoformat()}] if receipt else [],
            }
            for number, (network, count, segments, at, receipt) in enumerate(USED)
        ],
    }  # fmt: skip


async def use(books: Books, merchant_id: int, since: datetime, until: datetime) -> None:
    """Have the carrier take what was used between two instants, and the receipts of that time come."""
    for number, (network, count, segments, at, receipt) in enumerate(USED):
        ids = [first_id_at(int(at.timestamp() * 1000)) + 1_000 * number + place for place in range(count)]
        if since <= at < until:
            item_id = await books.value(
                "SELECT item_id FROM price_item WHERE network = $1 AND ladder IS NOT NULL", network
            )
            unit = 50_000 if network == "20801" else 60_000
            await books.take(
                merchant_id, count, accepted_at=at, item=(item_id, unit), segments=segments,
                by_receipt=receipt is not None, message_ids=ids,
            )  # fmt: skip
        if receipt is not None and since <= receipt < until:
            for message_id in ids:
                await books.receipt(
                    merchant_id, message_id, ReceiptState.DELIVRD, receipt, recorded_at=receipt
                )


def expected(minimum: str) -> dict[str, Counter[Line]]:
    return {
        invoice["period"]: Counter(
            (line["for_period"], line["quantity"], Decimal(line["unit_price"]), line["net"])
            for line in invoice["lines"]
        )
        for invoice in answer(as_case(minimum))["invoices"]
    }


async def billed(caller: Caller) -> dict[str, Counter[Line]]:
    found: dict[str, Counter[Line]] = {}
    for kind in ("invoices", "credit_notes"):
        for summary in (await caller.get(f"/v1/{kind}")).body["data"]:
            lines = (await caller.get(f"/v1/{kind}/{summary['id']}")).body["lines"]
            found[summary["month"]] = Counter(
                (line["for_month"], line["quantity"], Decimal(line["unit_price"]), line["net"])
                for line in lines
            )
    return found


async def with_terms(api: Api, database: Database, now: datetime = BEGIN) -> tuple[Books, Caller, str]:
    """Return books at an instant, a merchant with a billing profile, and where its minimums are set."""
    books = await some_books(database, now=now)
    with_invoicing(api, database, books)
    caller = await api.merchant()
    path = f"/v1/merchants/{caller.merchant_id}"
    assert (await api.operator.call("PUT", f"{path}/billing_profile", PROFILE)).status == 200
    return books, caller, f"{path}/commitments"


@pytest.mark.parametrize("minimum", ["0.50", "2.50", "12.00"])
async def test_terms_that_were_set_over_the_api_are_billed_as_a_second_calculation_has_them(
    api: Api, database: Database, minimum: str
) -> None:
    books, caller, path = await with_terms(api, database)
    made = await api.operator.post("/v1/price_lists", {"name": "tiered", "side": "sell", "currency": "EUR"})
    versions = f"/v1/price_lists/{made.body['id']}/versions"
    prices = {"effective_from": "2026-01-01T00:00:00+01:00", "items": ITEMS}
    assert (await api.operator.post(versions, prices)).status == 201
    assert (await api.operator.post(path, {"minimum": minimum, "first_month": "2026-10"})).status == 201
    merchant_id = api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id)

    await use(books, merchant_id, BEGIN, CLOSE_AT)
    books.go_to(CLOSE_AT)
    assert (await close(api, caller, "2026-10")).status == 200
    await use(books, merchant_id, CLOSE_AT, NOVEMBER_CLOSE)
    books.go_to(NOVEMBER_CLOSE)
    assert (await close(api, caller, "2026-11")).status == 200

    assert await billed(caller) == expected(minimum)
    assert ("unbilled", "EUR") not in await books.accounts()
    broken = (await PgVerify(database).looked()).broken
    # The list of the books is written past the API: nobody sealed it. All else is proved.
    assert [finding for finding in broken if finding.invariant != "I4"] == []


async def test_a_minimum_is_seen_before_it_holds_and_is_a_version_for_ever(
    api: Api, database: Database
) -> None:
    _books, caller, path = await with_terms(api, database)
    year = {"minimum": "500", "first_month": "2026-11", "last_month": "2027-10"}
    more = {"minimum": "800.00", "first_month": "2027-03"}
    for body in (year, more):
        assert (await caller.post(path, body)).status == 403
        told = (await api.operator.post(f"{path}/differences", body)).body
        assert (await api.operator.post(path, body)).status == 201
    assert told == {
        "currency": "EUR",
        "changes": [
            {"first_month": "2027-03", "last_month": "2027-10", "old": "500.00", "new": "800.00"},
            {"first_month": "2027-11", "last_month": None, "old": "0.00", "new": "800.00"},
        ],
    }
    rows = (await caller.get("/v1/commitments")).body["data"]
    assert rows == (await api.operator.get(path)).body["data"]
    assert [(row["version"], row["minimum"], row["first_month"], row["last_month"]) for row in rows] == [
        (2, "800.00", "2027-03", None),
        (1, "500.00", "2026-11", "2027-10"),
    ]
    assert (await api.operator.post(path, more)).body["data"] == rows  # nothing changes, so nothing is added
    for statement in ("UPDATE billing_commitment SET minimum_minor = 0", "DELETE FROM billing_commitment"):
        with pytest.raises(StoreError, match="permission denied"):
            async with database.bulk() as connection:
                await connection.execute(statement)


async def test_a_closed_month_keeps_its_minimum(api: Api, database: Database) -> None:
    books, caller, path = await with_terms(api, database)
    before = await api.operator.post(path, {"minimum": "5", "first_month": "2026-09"})
    assert (before.status, before.code) == (409, "month_closed")  # nothing was used then: nothing is billed
    assert (await api.operator.post(path, {"minimum": "5", "first_month": "2026-10"})).status == 201
    seen = await Commitments(PgCommitments(database), books.clock).plan(
        api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id),
        Commitment("EUR", 0, Month(2026, 10)),
    )
    books.go_to(CLOSE_AT)
    (invoice,) = (await close(api, caller, "2026-10")).body["data"]
    assert invoice["net"] == "5.00"
    for action in ("", "/differences"):
        refused = await api.operator.post(f"{path}{action}", {"minimum": "0", "first_month": "2026-10"})
        assert (refused.status, refused.code) == (409, "month_closed")
    with pytest.raises(Conflict, match="closed meanwhile"):  # what was seen before the close
        await PgCommitments(database).add(
            api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id),
            seen.last_version + 1, seen.terms, books.clock.now(),
        )  # fmt: skip
    assert (await api.operator.post(path, {"minimum": "0", "first_month": "2026-11"})).status == 201
    books.go_to(NOVEMBER_CLOSE)
    assert (await close(api, caller, "2026-11")).body["data"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"minimum": "5", "first_month": "2026-13"}, "month_invalid"),
        ({"minimum": "5.001", "first_month": "2026-12"}, "amount_invalid"),
        ({"minimum": "5", "first_month": "2026-12", "last_month": "2026-11"}, "commitment_invalid"),
        ({"minimum": "5", "first_month": "2026-12", "currency": "ABC"}, "currency_unknown"),
    ],
)
async def test_what_is_no_minimum_is_refused(
    api: Api, database: Database, body: dict[str, Any], code: str
) -> None:
    _books, _caller, path = await with_terms(api, database)
    assert (await api.operator.post(path, body)).code == code


async def test_of_two_who_looked_at_the_same_minimums_the_second_looks_again(
    api: Api, database: Database
) -> None:
    books, caller, _path = await with_terms(api, database)
    merchant_id = api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id)
    commitments = Commitments(PgCommitments(database), books.clock)
    plans = [await commitments.plan(merchant_id, Commitment("EUR", n, Month(2026, 11))) for n in (1, 2)]
    await commitments.add(merchant_id, plans[0])
    with pytest.raises(Conflict) as caught:
        await commitments.add(merchant_id, plans[1])
    assert caught.value.code == "commitment_changed"
