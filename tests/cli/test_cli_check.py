"""`smsgate check` says what is wrong and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.carriers import write_config
from tests.cli.command_shell import Running, Shell, free_ports

PRICES = "direction,network,unit_price\nmt,208,0.045\nmo,*,0.01\n"


def finding(outcome: Any, name: str, state: str) -> dict[str, str]:
    """Return the first finding of that name and state."""
    for check in outcome.json()["checks"]:
        if (check["name"], check["state"]) == (name, state):
            return dict(check)
    raise AssertionError(outcome.out)


@pytest.fixture
def smpp(started: Callable[..., Running]) -> str:
    smsc = started("smsc", "--port", "0", "--control-port", "0", "--json")
    smsc.await_line("\n")
    return str(json.loads(smsc.out.splitlines()[0])["smpp"])


def test_an_installation_is_mended_as_the_check_says_until_it_is_whole(
    shell: Shell, smpp: str, tmp_path: Path
) -> None:
    config = str(write_config(tmp_path / "c.toml", smpp=smpp, more='cost_list = "sim-cost"'))
    first = shell.run("check", "--config", config, "--json")
    assert first.code == 1
    assert finding(first, "database", "ok")["detail"].startswith("PostgreSQL 18")
    assert finding(first, "carrier sim", "ok")["detail"].startswith(f"bound at {smpp} as smsgate")
    assert "password_file" in finding(first, "configuration", "warning")["detail"]
    assert "key add --operator" in finding(first, "operator keys", "warning")["mend"]
    costs = finding(first, "costs of sim", "failed")["mend"]
    assert costs == "smsgate billing publish sim-cost FILE.csv --side cost"
    shell.ok("billing", "publish", "sim-cost", "-", "--yes", "--side", "cost", stdin=PRICES)
    shell.ok("key", "add", "--operator", "--name", "ops")

    shell.ok("merchant", "add", "boxman", "--name", "Boxman", "--country", "FR")
    second = shell.run("check", "--config", config, "--json")
    assert finding(second, "prices of boxman", "failed")["mend"] == "smsgate merchant price-list boxman LIST"
    shell.ok(
        "billing", "publish", "abroad", "-", "--yes", stdin="direction,network,unit_price\nmt,262,0.08\n"
    )
    shell.ok("merchant", "price-list", "boxman", "abroad")
    third = shell.run("check", "--config", config, "--json")
    assert "networks of FR: 208" in finding(third, "prices of boxman", "failed")["detail"]
    shell.ok("billing", "publish", "abroad", "-", "--yes", stdin=PRICES)
    mended = shell.run("check", "--config", config, "--json")
    detail = finding(mended, "prices of boxman", "failed")["detail"]
    assert "; version 2 begins at 20" in detail  # a minute ahead
    shell.ok("billing", "publish", "home", "-", "--yes", stdin=PRICES)
    shell.ok("merchant", "price-list", "boxman", "home")

    last = shell.run("check", "--config", config, "--json")
    assert last.code == 0, last.out
    assert last.json()["ok"] is True
    assert finding(last, "senders of boxman", "ok")["detail"] == "36111"
    assert finding(last, "master key", "ok")
    assert finding(last, "operator keys", "ok")


def test_refused_credentials_are_told_apart_from_an_address_that_does_not_answer(
    shell: Shell, smpp: str, tmp_path: Path
) -> None:
    wrong = str(write_config(tmp_path / "w.toml", smpp=smpp, password="wrong"))
    refused = finding(shell.run("check", "--config", wrong, "--json"), "carrier sim", "failed")
    assert "refused the bind: ESME_RINVPASWD" in refused["detail"]
    assert "carriers.sim.system_id, password" in refused["mend"]
    not_bound = shell.run("check", "--config", wrong, "--no-bind", "--json")
    assert "not bound, as asked" in finding(not_bound, "carrier sim", "ok")["detail"]
    (port,) = free_ports(1)
    closed = str(write_config(tmp_path / "n.toml", smpp=f"127.0.0.1:{port}", receives="false"))
    for arguments in ((), ("--no-bind",)):
        found = shell.run("check", "--config", closed, "--json", *arguments)
        assert found.code == 1
        assert "no connection" in finding(found, "carrier sim", "failed")["detail"]
        assert "carriers.sim.hosts" in finding(found, "carrier sim", "failed")["mend"]
        assert "nobody can answer" in finding(found, "carrier sim", "warning")["detail"]


def test_configuration_and_database_are_findings_like_the_others(shell: Shell, tmp_path: Path) -> None:
    broken = tmp_path / "b.toml"
    broken.write_text("[node]\nrolls = ['api']\n")
    found = shell.run("check", "--config", str(broken))
    assert found.code == 1
    assert "FAIL  configuration  node.rolls: unknown key" in found.out
    assert "-> did you mean roles?" in found.out
    away = {"SMSGATE_DATABASE_DSN": "postgresql://smsgate:geheim@127.0.0.1:1/smsgate"}
    found = shell.run("check", "--json", env=away)
    assert found.code == 1
    assert "cannot be reached" in finding(found, "database", "failed")["detail"]
    assert "geheim" not in found.out + found.err


def test_another_master_key_is_found_out(shell: Shell) -> None:
    other = {"SMSGATE_MASTER_KEY": "qS6xV4mWq1o9hT0cYb7uNf3kRz8dLp5eGj2wAiXsQ7M="}
    shell.ok("key", "list")  # has made the first key of the database
    found = shell.run("check", "--json", env=other)
    assert found.code == 1
    assert "restore the right one" in finding(found, "master key", "failed")["mend"]


def test_a_gateway_that_never_ran_is_warned_of_its_missing_database(shell: Shell, tmp_path: Path) -> None:
    found = shell.run("check", "--json", env={"SMSGATE_STATE_DIR": str(tmp_path / "new")})
    assert found.code == 0, found.out
    assert finding(found, "database", "warning")["detail"] == "no database yet"
    assert finding(found, "database", "warning")["mend"] == "smsgate run makes it"
    assert not (tmp_path / "new").exists()
