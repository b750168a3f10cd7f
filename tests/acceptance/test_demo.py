"""
The demonstration, as `smsgate demo --once --json` plays it, with 60 subscribers on an embedded database.

It ends by itself, its last line is one JSON object, and every check in it holds. Its books can be billed:
the month before its story is closed, proved and printed by the commands that it prints.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smsgate.billing.periods import Month, month_of
from smsgate.clock import SystemClock
from smsgate.demo.last_month import PEOPLE
from smsgate.demo.main import DemoOptions, run_demo
from smsgate.demo.one_demo import only_one
from smsgate.store.embedded import EmbeddedPostgres
from tests.cli.command_shell import Outcome, Shell


@contextmanager
def working_in(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.mark.timeout(
    300
)  # two starts, two stories and eight commands: half a minute, and on a busy machine five times it
async def test_the_demonstration_ends_well_and_leaves_a_month_to_bill(
    reachable_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with working_in(reachable_dir):  # as in a clone: its state is in ./var
        assert await run_demo(DemoOptions(once=True, as_json=True, subscribers=60, port=0), said.append) == 0
    story = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [check["name"] for check in story["checks"] if not check["ok"]] == []
    assert len(story["checks"]) == 10
    assert story["subscribers"] == story["delivered"] == 60
    assert story["submitted"] == story["accepted"] > 60
    assert story["orders"] == story["confirmed"] > 0
    assert any("Gateway on http://127.0.0.1:" in line for line in said)

    month = str(month_of(SystemClock().now(), "Europe/Paris").previous())
    assert f"    .venv/bin/smsgate billing close boxman {month}" in said
    (exported,) = [line.split()[1] for line in said if "export SMSGATE_CONFIG=" in line]
    async with EmbeddedPostgres(reachable_dir / "var"):  # runs all the time, so the commands are quick
        await asyncio.to_thread(bill_the_month, Shell(reachable_dir), exported, month)


def bill_the_month(shell: Shell, exported: str, month: str) -> None:
    name, _equals, path = exported.partition("=")

    def ask(*arguments: str) -> Outcome:
        outcome = shell.run("billing", *arguments, env={name: path})
        assert outcome.code == 0, outcome
        return outcome

    assert "0.045 x 1 = 0.045 EUR" in ask("rate", "boxman", "+33612345678", "Bonjour").out
    statement = ask("statement", "boxman", month, "--json").json()
    assert PEOPLE <= statement["messages"] < 5 * PEOPLE
    (document,) = ask("close", "boxman", month, "--json").json()
    assert document["month"] == month
    assert "Boxman SARL" in ask("invoice", document["number"]).out
    ask("invoice", document["number"], "--as", "pdf", "--output", "invoice.pdf")
    assert (shell.cwd / "invoice.pdf").read_bytes().startswith(b"%PDF")
    ask("export", "boxman", month, "--as", "csv", "--output", "messages.csv")
    running = str(Month.parse(month).next())
    rows = sum(
        ask("export", "boxman", each, "--as", "csv", "--output", f"{each}.csv", "--json").json()["rows"]
        for each in (month, running)
    )
    proved = ask("verify", "--export", "messages.csv", "--json").json()
    assert proved["holds"]
    assert "I17" in {each["name"] for each in proved["invariants"]}
    assert proved["charged_messages"] == proved["message_rows"] > 2 * PEOPLE
    assert proved["charged_replies"] > 0
    assert proved["charged_messages"] + proved["charged_replies"] == rows

    number = document["number"]
    ask("proof", number, "--output", "invoice.proof")
    assert f"{number} holds" in ask("proof", "--check", "invoice.proof", "--records", f"{month}.csv").out
    ask("budget", "boxman", "--prepaid")
    ask("topup", "boxman", "10", "--reference", "transfer 1")
    paid = next(each for each in ask("invoice", "boxman", "--json").json() if each["type"] == "386")
    refused = shell.run("billing", "proof", paid["number"], "--output", "none.proof", env={name: path})
    assert refused.code == 1
    assert "is a prepayment invoice: no messages stand behind it" in refused.err
    assert not (shell.cwd / "none.proof").exists()

    with only_one(shell.state_dir):  # as beside a running demonstration
        wrong = shell.run("billing", "invoice", "boxman")
    assert wrong.code == 1
    assert "This is the database smsgate in var." in wrong.err
    assert "The running demo's: SMSGATE_CONFIG=var/demo.toml" in wrong.err
    assert "No merchant has the slug 'boxman'" in wrong.err
    after = shell.run("billing", "invoice", "boxman")
    assert (after.code, "the demo's: SMSGATE_CONFIG=var/demo.toml" in after.err) == (1, True)
