"""`smsgate billing close`, `invoice`, `credit`, `reverse`, as an operator runs them beside a daemon."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from smsgate.clock import ManualClock
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.keyring import PUBLIC_ID_KEY, StoredKeyring, open_master_key
from smsgate.store.pool import Database
from tests.cli.command_shell import Shell
from tests.store.books import IN_OCTOBER, Books, some_books

SELLER = """
[billing]
name = "Passerelle SAS"
street = "1 rue de la Paix"
postcode = "75002"
city = "Paris"
siren = "732829320"
vat_number = "FR44732829320"
iban = "FR1420041010050500013M02606"
"""
SHOP, OTHER, NOBODY, PREPAID, LAST = 7, 8, 9, 10, 11


def on_database(shell: Shell, work: Callable[[Database], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with EmbeddedPostgres(shell.state_dir) as server, await Database.open(server) as database:
            return await work(database)

    with ThreadPoolExecutor(1) as thread:  # the loops of the tests are not touched
        return thread.submit(asyncio.run, run()).result()


@pytest.fixture(scope="module")
def messages(shell: Shell) -> list[str]:
    """Have three merchants use SMS in October, and one without a profile; return the first's message ids."""
    (shell.cwd / "conf").mkdir()
    path = shell.cwd / "conf" / "smsgate.toml"
    path.write_text(SELLER, encoding="utf-8")

    async def write(database: Database) -> list[str]:
        books: Books = await some_books(database)
        for merchant_id in (SHOP, OTHER, NOBODY, PREPAID, LAST):
            await books.merchant(merchant_id, profile=merchant_id != NOBODY)
        ids = await books.take(SHOP, 9)
        await books.write_messages(SHOP, ids)
        await books.take(OTHER, 2)
        await books.take(LAST, 2)
        unbilled = await books.take(NOBODY, 2)
        await books.write_messages(NOBODY, unbilled)
        keyring = await StoredKeyring.load(database, open_master_key(shell.state_dir, create=True))
        public = PublicIds(await keyring.instance_secret(PUBLIC_ID_KEY))
        return [public.encode(Kind.MESSAGE, id_) for id_ in [*ids, *unbilled]]

    found: list[str] = on_database(shell, write)
    return found


def test_a_month_from_its_close_to_a_credit_note(shell: Shell, messages: list[str], tmp_path: Path) -> None:
    given = shell.ok("billing", "reverse", "shop-7", *messages[:2], "--reason", "sent twice by our fault")
    assert given.err == "2 charges given back\n"
    (row,) = shell.ok("billing", "close", "shop-7", "2026-10", "--json").json()
    number = row["number"]
    assert (row["type"], row["net"], row["gross"]) == ("380", "0.32", "0.38")
    shown = shell.ok("billing", "invoice", number).out
    assert "Boxman SARL" in shown
    records = tmp_path / "records.csv"
    said = shell.ok("billing", "export", "--document", number, "--output", str(records)).err
    assert f"0.32 EUR; the net of {number} is 0.32: they agree" in said
    manifest = json.loads(records.with_name("records.csv.manifest.json").read_bytes())
    assert (manifest["equal"], manifest["sha256"]) == (
        True, hashlib.sha256(records.read_bytes()).hexdigest(),
    )  # fmt: skip
    assert shell.run("billing", "export", "--document", number).code == 2
    assert "net 0.32, VAT 0.06, gross 0.38 EUR" in shown
    paper = tmp_path / "invoice.pdf"
    shell.ok("billing", "invoice", number, "--as", "pdf", "--output", str(paper))
    assert paper.read_bytes().startswith(b"%PDF-")
    (credit,) = shell.ok("billing", "credit", number, "--line", "1=3", "--json").json()
    assert (credit["type"], credit["net"]) == ("381", "0.14")
    listed = shell.ok("billing", "invoice", "shop-7", "--json").json()
    assert listed == [credit, row]
    # What else is due is closed for everybody (another test may have closed shop-8), and what waits is said.
    found = shell.run("billing", "close", "--json")
    assert found.code == 1
    assert {row["net"] for row in found.json()} == {"0.09"}
    assert "Merchant 9, 2026-10, waits: shop-9 has no billing profile." in found.err


def test_a_premium_month_is_seen_before_it_is_paid_out(
    shell: Shell, messages: list[str], tmp_path: Path
) -> None:
    assert messages
    given = tmp_path / "premium.csv"
    given.write_text(
        "short_code,retail_price,vat_rate,carrier_share,merchant_share,billed\n81234,0.50,20,60,70,3\n"
    )
    refused = shell.run("billing", "payout", "shop-9", "2026-10", str(given))
    assert (refused.code, "has no billing profile" in refused.err) == (1, True)

    async def spoil(database: Database) -> None:  # its check digits are not those of its SIREN
        async with database.control() as connection:
            await connection.execute("UPDATE billing_profile SET vat_number = 'FR59552100554'")

    on_database(shell, spoil)
    unknown = shell.run("billing", "payout", "shop-8", "2026-10", str(given))
    assert (unknown.code, "no valid VAT number" in unknown.err) == (1, True)

    async def mend(database: Database) -> None:
        async with database.control() as connection:
            await connection.execute("UPDATE billing_profile SET vat_number = 'FR96552100554'")

    on_database(shell, mend)
    seen = shell.run("billing", "payout", "shop-8", "2026-10", str(given))
    assert (seen.code, "Nothing is written yet" in seen.err) == (1, True)
    assert "net 0.53, VAT S 0.11, gross 0.64 EUR" in seen.out
    made = shell.ok("billing", "payout", "shop-8", "2026-10", str(given), "--yes", "--json").json()
    assert (made["number"], made["gross"]) == ("P-shop-8-2026-000001", "0.64")
    given.write_text(given.read_text().replace(",3\n", ",x\n"))
    wrong = shell.run("billing", "payout", "shop-8", "2026-10", str(given))
    assert (wrong.code, "line 2: billed 'x' is no number" in wrong.err) == (2, True)


def test_the_year_is_written_as_a_fec_under_its_legal_name(
    shell: Shell, messages: list[str], tmp_path: Path
) -> None:
    assert messages
    shell.ok("billing", "close", "shop-8", "2026-10")
    said = shell.ok("billing", "fec", "2026-01..2099-12", "--output", str(tmp_path)).err
    (path,) = tmp_path.iterdir()
    assert path.name == "732829320FEC20991231.txt"
    assert str(path) in said
    head, *rows = path.read_text(encoding="iso8859-15").splitlines()
    assert head.startswith("JournalCode\tJournalLib\tEcritureNum")
    assert {len(row.split("\t")) for row in rows} == {18}
    refused = shell.run("billing", "fec", "20261")
    assert (refused.code, "PERIOD: '20261' is no month" in refused.err) == (2, True)


def test_a_payment_has_its_invoice_the_month_deducts_it_and_the_rest_is_paid_back(
    shell: Shell, messages: list[str]
) -> None:
    assert messages

    async def use(database: Database) -> None:
        await Books(database, ManualClock(IN_OCTOBER)).take(PREPAID, 8, owner=2)

    shell.ok("billing", "budget", "shop-10", "--prepaid")
    told = shell.ok("billing", "topup", "shop-10", "1", "--reference", "transfer 1", "--json").json()
    prepayment = told["document"]
    assert (told["paid_in"], prepayment["type"], prepayment["gross"]) == ("1.00", "386", "1.20")
    topped = shell.ok("billing", "topup", "shop-10", "1", "--reference", "transfer 1")
    assert f"prepayment invoice {prepayment['number']}: 1.20 EUR paid, VAT in it 0.20" in topped.out
    on_database(shell, use)
    (row,) = shell.ok("billing", "close", "shop-10", "2026-10", "--json").json()
    assert (row["gross"], row["paid"]) == ("0.43", "0.43")
    shown = shell.ok("billing", "invoice", row["number"]).out
    assert f"deducts 0.43 of {prepayment['number']} of " in shown
    assert "to pay 0.00 EUR" in shown
    (credit,) = shell.ok("billing", "refund", "shop-10", "--reference", "back", "--json").json()
    assert (credit["type"], credit["net"], credit["gross"]) == ("503", "0.64", "0.77")


def test_a_message_is_explained_in_sentences_and_as_json(shell: Shell, messages: list[str]) -> None:
    explained = shell.ok("billing", "explain", messages[-1])
    assert "2 messages, 2 segments, 0.09 EUR) holds it." in explained.out
    assert "No line has it: 2026-10 is not billed yet." in explained.out
    told = shell.ok("billing", "explain", messages[-1], "--json").json()
    assert (told["parts"][0]["amount"], told["costs"][0]["amount"], told["recomputed"]) == (
        "0.045",
        "0.00",
        True,
    )


def test_a_minimum_is_shown_before_it_is_set_and_holds_from_its_month_on(
    shell: Shell, messages: list[str]
) -> None:
    assert messages
    arguments = ("billing", "commitment", "shop-8", "--minimum", "500", "--from", "2099-01")
    seen = shell.run(*arguments)
    assert (seen.code, seen.err) == (1, "Nothing is set yet: repeat it with --yes.\n")
    assert seen.out.splitlines()[1].split() == ["2099-01", "-", "0.00", "500.00"]
    assert shell.ok("billing", "commitment", "shop-8").err == "No minimum.\n"
    shell.ok(*arguments, "--yes")
    assert "holds already" in shell.ok(*arguments, "--yes").err
    (row,) = shell.ok("billing", "commitment", "shop-8", "--json").json()
    assert (row["version"], row["minimum"], row["first_month"], row["last_month"]) == (
        1,
        "500.00",
        "2099-01",
        None,
    )
    early = shell.run("billing", "commitment", "shop-8", "--minimum", "5", "--from", "2026-09", "--yes")
    assert (early.code, "2026-09 is closed" in early.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("commitment", "shop-7", "--from", "2099-01"), "--minimum: say how much"),
        (("commitment", "shop-7", "--minimum", "5"), "--from: '' is no month"),
        (("commitment", "shop-7", "--minimum", "x", "--from", "2099-01"), "--minimum"),
        (("close", "shop-7", "2026-13"), "no month"),
        (("close", "shop-7", "2099-01"), "is not over yet in Europe/Paris"),
        (("credit", "F-2026-000001", "--line", "two"), "no LINE=QUANTITY"),
        (("invoice", "F-2026-999999"), "No document has the number"),
        (("explain", "msg_4SM5xMC6jN0nK0nRvRX2rZ"), "No message has the id 'msg_4SM5xMC6jN0nK0nRvRX2rZ'"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    shell: Shell, messages: list[str], arguments: tuple[str, ...], sentence: str
) -> None:
    assert messages
    found = shell.run("billing", *arguments)
    assert found.code in {1, 2}
    assert sentence in found.err
