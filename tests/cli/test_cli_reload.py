"""`smsgate reload` and SIGHUP: the running gateway follows its file, and a bad file changes nothing."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.carriers import write_config
from tests.cli.command_shell import Running, Shell, free_ports, until

SECOND = """
[[carriers]]
name = "second"
hosts = ["{smpp}"]
system_id = "smsgate"
password = "secret"
tls = "none"
insecure_plaintext = true
senders = [{{ number = "36111" }}]

[[routes]]
name = "all"
carriers = ["second", "sim"]
"""


@pytest.fixture
def gateway(shell: Shell, started: Callable[..., Running]) -> tuple[Running, Path, dict[str, str]]:
    smpp, control, http = map(str, free_ports(3))
    path = shell.cwd / "smsgate.toml"
    shell.extra["SMSGATE_CONFIG"] = str(path)
    given = {"smpp": f"127.0.0.1:{smpp}", "http": http}
    write_config(path, smpp=given["smpp"], http_port=int(http))
    started("smsc", "--port", smpp, "--control-port", control)
    process = started("run")
    until(lambda: '"bound"' in shell.run("carrier", "list", "--json").out)
    return process, path, given


def test_a_running_gateway_follows_its_file(
    shell: Shell, gateway: tuple[Running, Path, dict[str, str]]
) -> None:
    process, path, given = gateway
    head = {"smpp": given["smpp"], "http_port": int(given["http"])}
    since = shell.ok("carrier", "list", "--json").json()[0]["binds"][0]["since"]

    write_config(path, **head, more='[[routes]]\nname = "all"\ncarriers = ["nobody"]\n')  # type: ignore[arg-type]
    refused = shell.run("reload")
    assert refused.code == 2
    assert "no carrier is called nobody" in refused.err

    write_config(path, **head, more=SECOND.format(smpp=given["smpp"]))  # type: ignore[arg-type]
    done = shell.ok("reload", "--json").json()
    assert (done["added"], done["untouched"], done["routes"]) == (["second"], ["sim"], ["all"])
    assert done["restart_needed"] == []
    until(lambda: shell.ok("carrier", "list", "--json").out.count('"bound"') == 2)
    assert shell.ok("carrier", "list", "--json").json()[0]["binds"][0]["since"] == since

    assert shell.ok("carrier", "drain", "second").err == "Carrier second is draining.\n"
    assert shell.ok("carrier", "stop", "second", "--json").json() == {"name": "second", "state": "stopped"}
    assert "stopped" in shell.ok("carrier", "list").out
    assert shell.ok("carrier", "start", "second").err == "Carrier second is running.\n"
    unknown = shell.run("carrier", "stop", "third")
    assert (unknown.code, unknown.err) == (
        1,
        "smsgate: No carrier is called third; there are second, sim.\n",
    )

    write_config(path, smpp=given["smpp"], http_port=1)
    os.kill(process.process.pid, signal.SIGHUP)
    process.await_line(
        "Reloaded; drained and removed: second; untouched: sim; 0 routes in force; a restart is"
    )
    write_config(path, **head, more="[[routes]]\n")  # type: ignore[arg-type]
    os.kill(process.process.pid, signal.SIGHUP)
    process.await_line("Not reloaded, nothing changed: ")
    write_config(path, **head)  # type: ignore[arg-type]
    assert len(shell.ok("carrier", "list", "--json").json()) == 1
    assert process.end() == 0


def test_a_reload_that_would_leave_no_carrier_is_refused_unless_it_is_asked_for(
    shell: Shell, gateway: tuple[Running, Path, dict[str, str]]
) -> None:
    process, path, given = gateway
    whole = path.read_text("utf-8")
    since = shell.ok("carrier", "list", "--json").json()[0]["binds"][0]["since"]

    path.write_text("", "utf-8")
    empty = shell.run("reload")
    assert (empty.code, empty.out) == (2, "")
    assert "the configuration is empty" in empty.err

    path.write_text(whole[: whole.index("[[carriers]]")], "utf-8")
    cut = shell.run("reload")
    assert (cut.code, cut.out) == (1, "")
    assert "has no [[carriers]] any more, and sim would be removed" in cut.err
    assert "--remove-all-carriers" in cut.err
    os.kill(process.process.pid, signal.SIGHUP)
    process.await_line("Not reloaded, nothing changed: The configuration has no [[carriers]] any more")
    process.await_line("carriers_would_be_removed")
    assert shell.ok("carrier", "list", "--json").json()[0]["binds"][0]["since"] == since

    done = shell.ok("reload", "--remove-all-carriers", "--json").json()
    assert done["removed"] == ["sim"]
    assert shell.ok("reload").err == "Reloaded; 0 routes in force.\n"  # nothing is left to be lost
    path.write_text(whole, "utf-8")
    assert shell.ok("reload", "--json").json()["added"] == ["sim"]
    assert given["smpp"] in whole
    assert process.end() == 0


def catches_hangups(pid: int) -> bool:
    (mask,) = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text("ascii"), re.MULTILINE)
    return bool(int(mask, 16) >> (signal.SIGHUP - 1) & 1)


def test_a_hangup_during_the_start_reloads_once_it_serves(
    shell: Shell, started: Callable[..., Running]
) -> None:
    smpp, http = free_ports(2)
    path = shell.cwd / "smsgate.toml"
    shell.extra["SMSGATE_CONFIG"] = str(path)
    write_config(path, smpp=f"127.0.0.1:{smpp}", http_port=http)
    process = started("run")
    until(lambda: catches_hangups(process.process.pid))
    os.kill(process.process.pid, signal.SIGHUP)
    assert "smsgate runs as" not in process.out + process.err
    process.await_line("Reloaded; untouched: sim; 0 routes in force.")
    assert process.end() == 0


def test_a_reload_without_a_gateway_is_told(shell: Shell) -> None:
    write_config(shell.cwd / "alone.toml", smpp="127.0.0.1:1")
    gone = shell.run("reload", "--config", str(shell.cwd / "alone.toml"))
    assert gone.code == 1
    assert "No gateway answers on" in gone.err
