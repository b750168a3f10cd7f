"""
`smsgate billing verify` and the exports that stream, on a database that is empty but for prices and a
merchant.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.command_shell import Shell

PRICES = "direction,network,unit_price\nmt,208,0.045\nmo,*,0.01\n"


@pytest.fixture(scope="module", autouse=True)
def priced(shell: Shell) -> None:
    shell.ok("billing", "publish", "proved", "-", "--yes", stdin=PRICES)
    shell.ok("merchant", "add", "proved", "--name", "Boxman", "--country", "FR")
    shell.ok("merchant", "price-list", "proved", "proved")


def test_what_was_published_over_the_command_line_is_sealed_and_holds(shell: Shell) -> None:
    told = shell.ok("billing", "verify", "--json").json()
    assert told["holds"] is True
    assert {row["name"] for row in told["invariants"]} == {f"I{number}" for number in range(1, 17)}
    assert all(row["wrong"] == 0 and row["first"] is None for row in told["invariants"])
    assert list(told["unproved"]) == ["I17", "I20"]
    shown = shell.ok("billing", "verify")
    assert "I17 is not proved: no exported file was given" in shown.err
    assert "wrong" not in shown.out


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
def test_a_month_without_usage_is_a_file_with_its_manifest(shell: Shell, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"usage.{form}"
    shell.ok("billing", "export", "proved", "2026-10", "--as", form, "--output", str(path))
    manifest = json.loads((tmp_path / f"usage.{form}.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (manifest["rows"], manifest["ledger"]["equal"], manifest["file"]) == (0, True, path.name)
    assert sorted(found.name for found in tmp_path.iterdir()) == [path.name, f"{path.name}.manifest.json"]


def test_an_exported_file_is_proved_with_the_books_and_found_out_when_it_was_changed(
    shell: Shell, tmp_path: Path
) -> None:
    files = [tmp_path / f"usage.{form}" for form in ("csv", "parquet")]
    for path in (*files, tmp_path / "usage.xlsx"):
        shell.ok("billing", "export", "proved", "2026-10", "--as", path.suffix[1:], "--output", str(path))
    asked = [option for path in files for option in ("--export", str(path))]
    told = shell.ok("billing", "verify", *asked, "--json").json()
    assert told["invariants"][-1] == {
        "name": "I17", "rule": "exported files have the sums of the ledger and of the documents",
        "wrong": 0, "first": None,
    }  # fmt: skip
    assert list(told["unproved"]) == ["I20"]
    offline = ("billing", "verify", "--offline", "--export", str(tmp_path), "--config", "/nowhere.toml")
    assert shell.ok(*offline, "--json").json()["invariants"][0]["wrong"] == 0
    files[0].write_bytes(files[0].read_bytes() + b"\r\n")
    assert "I17: 1 wrong, the first: usage.csv: line 2" in shell.run(*offline).err
    found = shell.run("billing", "verify", *asked)
    assert (found.code, "I17: 1 wrong, the first: usage.csv: line 2: it has 0 cells" in found.err) == (
        1,
        True,
    )
    found = shell.run("billing", "verify", "--export", str(tmp_path / "no.csv"))
    assert (found.code, "is no manifest of an export" in found.err) == (2, True)


def test_a_stream_needs_a_file(shell: Shell) -> None:
    found = shell.run("billing", "export", "proved", "2026-10", "--as", "parquet")
    assert found.code == 2
    assert "--as parquet needs --output FILE" in found.err


def test_a_budget_is_set_paid_in_once_for_a_reference_and_shown(shell: Shell) -> None:
    assert shell.run("billing", "budget", "proved").code == 1
    assert shell.run("billing", "topup", "proved", "5", "--reference", "t1").code == 1
    told = shell.ok("billing", "budget", "proved", "--prepaid", "--month-cap", "2", "--json").json()
    assert (told["prepaid"], told["available"], told["month"]["left"]) == (True, "0.00", "2.00")
    for _ in range(2):
        topped = shell.ok("billing", "topup", "proved", "5.01", "--reference", "t1", "--json")
        told = topped.json()
    assert (told["paid_in"], told["available"]) == ("5.01", "5.01")
    assert "No prepayment invoice yet: the table [billing] does not say who sells." in topped.err
    finer = shell.run("billing", "topup", "proved", "5.000001", "--reference", "t2")
    assert (finer.code, "in whole minor units of EUR" in finer.err) == (1, True)
    refused = shell.run("billing", "topup", "proved", "6", "--reference", "t1")
    assert (refused.code, "5.01 were paid in" in refused.err) == (1, True)
    assert shell.run("billing", "topup", "proved", "0", "--reference", "t2").code == 2
    assert "available 5.01, leased 0.00" in shell.ok("billing", "budget", "proved").out
    told = shell.ok("billing", "budget", "proved", "--month-cap", "none", "--alarm", "1.5", "--json").json()
    assert (told["month"]["cap"], told["alarm"]) == (None, "1.50")
    assert shell.ok("billing", "verify", "--json").json()["holds"] is True
