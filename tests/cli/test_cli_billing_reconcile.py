"""`smsgate billing reconcile` and `margins`, as an operator runs them when the carrier's bill has come."""

from __future__ import annotations

import asyncio
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.cli.command_shell import Shell
from tests.store.books import CARRIER, IN_OCTOBER, Books, some_books

CONFIG = """
[[billing.carrier_files]]
carrier = "sim"
timezone = "Europe/London"
dates = "dmy"
columns = { message_id = "Reference", amount = "Montant HT" }
keep = { Type = ["MT"] }
tolerance_percent = "1"

[[carriers]]
name = "sim"
hosts = ["127.0.0.1:2775"]
system_id = "boxman"
password = "changeit"
tls = "none"
insecure_plaintext = true
cost_list = "List 3"
senders = [{ number = "36111", receives = true, merchants = "*" }]
"""
SHOP = 7
COST = 31


@pytest.fixture(scope="module")
def ids(shell: Shell) -> list[str]:
    """Have the carrier take five messages at 0.03; return its ids of them."""
    path = shell.cwd / "conf" / "smsgate.toml"
    path.parent.mkdir()
    path.write_text(CONFIG, encoding="utf-8")
    path.chmod(0o600)

    async def write(database: Database) -> list[str]:
        books: Books = await some_books(database)
        await books.prices((COST, "mt", "*", 30_000), list_id=3, side="cost")
        await books.execute("INSERT INTO carrier (carrier_id, name) VALUES ($1, 'sim')", CARRIER)
        await books.merchant(SHOP)
        taken = await books.take(SHOP, 5, cost=(COST, 30_000))
        await books.write_messages(SHOP, taken)
        return [f"{id_:x}" for id_ in taken]

    async def run() -> list[str]:
        async with EmbeddedPostgres(shell.state_dir) as server, await Database.open(server) as database:
            return await write(database)

    with ThreadPoolExecutor(1) as thread:  # the loops of the tests are not touched
        return thread.submit(asyncio.run, run()).result()


def a_bill(path: Path, ids: list[str], price: str) -> Path:
    at = (IN_OCTOBER + timedelta(hours=1)).strftime("%d/%m/%Y %H:%M:%S")  # in London
    rows = [f"{id_};MT;{at};{price};20810" for id_ in ids]
    rows += [f"{ids[0]};MO;{at};9,99;20810"]
    path.write_bytes("\n".join(["Reference;Type;Date;Montant HT;MCCMNC", *rows, ""]).encode("cp1252"))
    return path


def test_a_bill_is_accepted_or_disputed_with_a_pack_that_others_can_check(
    shell: Shell, ids: list[str], tmp_path: Path
) -> None:
    good = a_bill(tmp_path / "good.csv", ids, "0,03")
    accepted = shell.ok("billing", "reconcile", "sim", "2026-10", str(good))
    assert "matched: 5" in accepted.out
    assert "sim, 2026-10 (Europe/London): we count 0.15, it asks 0.15" in accepted.out
    bad = a_bill(tmp_path / "bad.csv", ids, "0,035")
    pack, result = tmp_path / "pack", tmp_path / "result.csv"
    arguments = (
        "billing",
        "reconcile",
        "sim",
        "2026-10",
        str(bad),
        "--pack",
        str(pack),
        "--output",
        str(result),
    )
    disputed = shell.run(*arguments)
    assert (disputed.code, f"The pack for the carrier is in {pack}." in disputed.err) == (1, True)
    assert "a difference of 0.025 EUR; 0.0015 is tolerated: dispute." in disputed.out
    assert sorted(path.name for path in pack.iterdir()) == [
        "README.txt", "SHA256SUMS", "lines.csv", "manifest.json", "manifest.proof.jsonl", "messages.csv",
    ]  # fmt: skip
    subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=pack, check=True, capture_output=True)
    shell.ok("order", "verify", str(pack / "manifest.proof.jsonl"))
    assert result.read_text().count("price_differs") == 5
    again = shell.run(*arguments)
    assert (again.code, "is not empty" in again.err) == (2, True)
    told = shell.run("billing", "reconcile", "sim", "2026-10", str(bad), "--json", "--amount", "0.151")
    assert (told.code, told.json()["verdict"], told.json()["invoiced"]) == (0, "accepted", "0.151")


def test_margins_are_told_with_what_loses_money(shell: Shell, ids: list[str]) -> None:
    assert ids
    found = shell.ok("billing", "margins", "2026-10", "--by", "carrier", "--json").json()
    assert [(row["carrier"], row["revenue"], row["cost"], row["margin"]) for row in found["data"]] == [
        ("sim", "0.225", "0.15", "0.075")
    ]
    assert found["prices_below_cost"] == []
    shown = shell.ok("billing", "margins", "2026-10", "--merchant", "shop-7")
    assert "shop-7" in shown.out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("sim", "2026-13", "x.csv"), 2, "no month"),
        (("sim", "2026-10", "none.csv"), 2, "none.csv cannot be read"),
        (("nobody", "2026-10", "bill.csv"), 2, "no carrier 'nobody' with a cost_list"),
        (("sim", "2026-10", "bill.csv", "--amount", "much"), 2, "--amount"),
        (("sim", "2026-10", "bill.csv"), 1, "bill.csv has no column 'Montant HT'"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    shell: Shell, ids: list[str], arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    assert ids
    (shell.cwd / "bill.csv").write_text("a,b\n1,2\n")
    found = shell.run("billing", "reconcile", *arguments)
    assert (found.code, sentence in found.err) == (code, True), found
