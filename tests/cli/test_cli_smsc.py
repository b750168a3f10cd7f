"""The simulator as a product: started, looked at, typed on, stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

from tests.cli.command_shell import Running, Shell, free_ports

PHONE = "+33639980001"


def test_smsc_says_how_to_bind_and_ends_in_order(shell: Shell, started: Callable[..., Running]) -> None:
    port, control = free_ports(2)
    smsc = started("smsc", "--port", str(port), "--control-port", str(control), "--password", "geheim")
    smsc.await_line("Ctrl-C ends")
    assert f'hosts = ["127.0.0.1:{port}"]' in smsc.out
    assert "geheim" not in smsc.out
    silent = shell.run("phone", "inbox", PHONE, "--control", f"http://127.0.0.1:{control}")
    assert silent.code == 1
    assert "This phone has received nothing" in silent.err
    again = shell.run("smsc", "--port", str(port), "--control-port", str(control))
    assert again.code == 1
    assert "Choose others by --port and --control-port" in again.err
    assert smsc.end(signal.SIGINT) == 0
    assert "Stopped: 0 submits seen" in smsc.err


def test_programs_read_where_it_listens_and_what_it_saw(
    shell: Shell, started: Callable[..., Running]
) -> None:
    smsc = started("smsc", "--port", "0", "--control-port", "0", "--json", "--ok", "0.5")
    smsc.await_line("\n")
    described = json.loads(smsc.out.splitlines()[0])
    assert described["event"] == "listening"
    assert described["replies"] == {"ok": 0.5}
    assert described["smpp"].startswith("127.0.0.1:")
    assert smsc.end() == 0
    assert json.loads(smsc.out.splitlines()[1])["smsc"]["submits"] == 0


def test_without_a_simulator_the_phone_says_how_to_start_one(shell: Shell) -> None:
    (port,) = free_ports(1)
    for arguments in (("inbox", PHONE), ("reply", PHONE, "OK")):
        found = shell.run("phone", *arguments, env={"SMSGATE_PHONES": f"http://127.0.0.1:{port}"})
        assert found.code == 2
        assert f"no simulator answers at http://127.0.0.1:{port}" in found.err
        assert "smsgate smsc" in found.err
