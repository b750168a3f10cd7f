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
    assert {row["name"] for row in told["invariants"]} >= {"I1", "I2", "I3", "I4", "I10", "I15"}
    assert all(row["wrong"] == 0 and row["first"] is None for row in told["invariants"])
    assert "I13" in told["unproved"]
    shown = shell.ok("billing", "verify")
    assert "I13 is not proved: there are no prepaid accounts" in shown.err
    assert "wrong" not in shown.out


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
def test_a_month_without_usage_is_a_file_with_its_manifest(shell: Shell, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"usage.{form}"
    shell.ok("billing", "export", "proved", "2026-10", "--as", form, "--output", str(path))
    manifest = json.loads((tmp_path / f"usage.{form}.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (manifest["rows"], manifest["ledger"]["equal"], manifest["file"]) == (0, True, path.name)
    assert sorted(found.name for found in tmp_path.iterdir()) == [path.name, f"{path.name}.manifest.json"]


def test_a_stream_needs_a_file(shell: Shell) -> None:
    found = shell.run("billing", "export", "proved", "2026-10", "--as", "parquet")
    assert found.code == 2
    assert "--as parquet needs --output FILE" in found.err
