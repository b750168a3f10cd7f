"""Reconciliations and margins by HTTP, for the operator alone."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from smsgate.billing.carrier_files import CarrierFile, FileTerms
from smsgate.billing.reconciliation import Tolerance, Verdict
from smsgate.config import load_settings
from smsgate.daemon.billing_reports import bill_terms
from smsgate.daemon.reloading import Reloading
from smsgate.flows.bill_files import LINE_OCTETS_MAX
from smsgate.flows.bill_uploads import BillAsked
from smsgate.flows.reconciling import BillQuestion
from smsgate.security.proof_chain import verify
from smsgate.security.public_ids import Kind
from smsgate.store.pool import Database
from tests.api.api_server import Api
from tests.api.test_explanations import COST_ITEM, a_message, with_reports
from tests.cli.carriers import write_config
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


CSV = {"Content-Type": "text/csv"}
QUERY = "carrier=sim&month=2026-10&file=sim-october.csv"
SECOND_CARRIER = """
[[carriers]]
name = "second"
hosts = ["127.0.0.1:2"]
system_id = "smsgate"
password = "secret"
tls = "none"
insecure_plaintext = true
cost_list = "second-cost"
senders = [{ number = "36111" }]
"""
POST = f"/v1/reconciliations?{QUERY}"


async def a_bill(api: Api, database: Database, directory: Path) -> tuple[Books, str]:
    """Return the books of two messages of three segments that cost 0.09 each, and a bill of theirs."""
    books = await some_books(database)
    await books.prices((COST_ITEM, "mt", "*", 30_000), list_id=3, side="cost")
    await books.execute("INSERT INTO carrier (carrier_id, name) VALUES ($1, 'sim')", CARRIER)
    with_reports(api, database, books, directory)
    await a_message(api, books)
    rows = await books.rows("SELECT smsc_id, sent_at FROM sent ORDER BY message_id")
    lines = [f"{smsc_id.decode()},{at.isoformat()},3,0.03" for smsc_id, at in rows]
    return books, "\n".join(["message_id,at,segments,unit_price", *lines, ""])


async def test_a_bill_is_sent_read_and_disputed_with_its_pack(
    api: Api, database: Database, tmp_path: Path
) -> None:
    _books, bill = await a_bill(api, database, tmp_path)
    strange = bill + "nobody,2026-10-05T08:00:00+00:00,1,0.03\n"
    made = await api.operator.call("POST", POST, data=strange.encode(), headers=CSV)
    assert (made.status, made.body["verdict"], made.body["difference"]) == (201, "dispute", "0.03")
    assert (made.body["file"], made.body["messages"]["only_carrier"]) == ("sim-october.csv", 1)
    path = f"/v1/reconciliations/{made.body['id']}"
    assert (await api.operator.get(path)).body == made.body
    again = await api.operator.call("POST", POST, data=strange.encode(), headers=CSV)
    assert again.body["id"] == made.body["id"]
    assert len((await api.operator.get("/v1/reconciliations")).body["data"]) == 1
    operator = api.operator
    key = {"Authorization": f"Bearer {operator.key}"}
    async with operator.session.get(f"{operator.base}{path}.zip", headers=key) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "application/zip")
        octets = await response.read()
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        assert "messages.csv" in archive.namelist()
        assert verify(archive.read("manifest.proof.jsonl")).wrong is None
        (row,) = archive.read("messages.csv").decode().splitlines()[1:]
        assert row.startswith("nobody,only_carrier")
    assert [each.name for each in (tmp_path / "packs").iterdir()] == [
        f"{api.context.public_ids.decode(Kind.RECONCILIATION, made.body['id'])}.zip"
    ]


async def test_a_bill_that_agrees_is_accepted_and_its_amount_may_be_told_apart(
    api: Api, database: Database, tmp_path: Path
) -> None:
    _books, bill = await a_bill(api, database, tmp_path)
    agreed = await api.operator.call("POST", POST, data=bill.encode(), headers=CSV)
    assert (agreed.status, agreed.body["verdict"], agreed.body["lines"][0]["reason"]) == (
        201, "accepted", "same",
    )  # fmt: skip
    other = (bill + "\n").encode("utf-16")
    asked = await api.operator.call("POST", f"{POST}&amount=0.20", data=other, headers=CSV)
    assert (asked.body["invoiced"], asked.body["verdict"]) == ("0.20", "dispute")


async def test_what_is_no_bill_of_a_carrier_of_ours_is_refused_and_leaves_nothing(
    api: Api, database: Database, tmp_path: Path
) -> None:
    _books, bill = await a_bill(api, database, tmp_path)
    for query, octets, status, code in (
        (QUERY.replace("sim&", "other&"), bill.encode(), 404, "not_found"),
        (QUERY.replace("2026-10", "2026-13"), bill.encode(), 422, "month_invalid"),
        (QUERY, b"id,colour\n1,red\n", 422, "bill_invalid"),
        (QUERY, b"x" * (LINE_OCTETS_MAX + 1), 422, "bill_invalid"),
        (f"{QUERY}&amount=much", bill.encode(), 422, "invalid"),
        (QUERY.replace("sim-october", "../october"), bill.encode(), 422, "invalid"),
    ):
        answer = await api.operator.call("POST", f"/v1/reconciliations?{query}", data=octets, headers=CSV)
        assert (answer.status, answer.code) == (status, code), (query, answer)
    caller = await api.merchant()
    assert (await caller.call("POST", POST, data=bill.encode(), headers=CSV)).status == 403
    assert (await api.operator.get("/v1/reconciliations")).body["data"] == []
    assert not (tmp_path / "packs").exists() or list((tmp_path / "packs").iterdir()) == []


async def test_one_bill_is_read_at_a_time_and_the_next_one_is_told_so(
    api: Api, database: Database, tmp_path: Path
) -> None:
    _books, bill = await a_bill(api, database, tmp_path)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        begun.set()
        await go_on.wait()
        yield bill.encode()

    assert api.context.reports is not None
    first = asyncio.create_task(api.context.reports.bills.take(BillAsked("sim", OCTOBER, "a.csv"), slowly()))
    await begun.wait()
    refused = await api.operator.call("POST", POST, data=bill.encode(), headers=CSV)
    assert (refused.status, refused.code) == (409, "reconciliation_running")
    go_on.set()
    assert (await first).verdict is Verdict.ACCEPTED


async def test_a_pack_that_was_made_elsewhere_is_not_there(api: Api, database: Database) -> None:
    _, id_ = await a_reconciliation(api, database)
    answer = await api.operator.get(f"/v1/reconciliations/{id_}.zip")
    assert (answer.status, answer.code) == (404, "not_found")
    nothing = api.context.public_ids.encode(Kind.RECONCILIATION, 42)
    assert (await api.operator.get(f"/v1/reconciliations/{nothing}.zip")).status == 404


async def test_margins_are_read_by_merchant_campaign_and_carrier(api: Api, database: Database) -> None:
    await a_reconciliation(api, database)
    for by in ("merchant", "campaign", "carrier"):
        answer = await api.operator.get(f"/v1/margins/2026-10?by={by}")
        (row,) = answer.body["data"]
        assert (row["segments"], row["revenue"], row["cost"], row["margin"]) == (6, "0.27", "0.18", "0.09")
        assert (row["carrier"], row["below_cost"]) == ("sim" if by == "carrier" else None, False)
    assert (await api.operator.get("/v1/margins/2026-13")).code == "month_invalid"
    assert (await api.operator.get("/v1/margins/2026-10?by=day")).status == 422


async def test_a_carrier_of_a_reloaded_configuration_has_terms_without_a_restart(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "smsgate.toml"
    before = load_settings(write_config(path, smpp="127.0.0.1:1"))
    reloading = Reloading(before, database, None, {}, lambda: load_settings(path))
    terms_of = partial(bill_terms, before, lambda: reloading.carriers)
    assert terms_of("second") is None
    write_config(path, smpp="127.0.0.1:1", more=SECOND_CARRIER)
    await reloading.reload()
    found = terms_of("second")
    assert found is not None
    assert found.cost_list == "second-cost"
    write_config(path, smpp="127.0.0.1:1")
    await reloading.reload()
    assert terms_of("second") is None
