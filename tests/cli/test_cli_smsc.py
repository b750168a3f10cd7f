"""The simulator as a product: started, looked at, typed on, stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

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


def test_what_waits_for_an_esme_outlives_a_kill_of_the_smsc_by_its_journal(
    shell: Shell, started: Callable[..., Running], tmp_path: Path
) -> None:
    port, control = free_ports(2)
    journal = tmp_path / "smsc.jsonl"
    arguments = (
        "smsc",
        "--json",
        "--port",
        str(port),
        "--control-port",
        str(control),
        "--journal",
        str(journal),
    )
    smsc = started(*arguments)
    smsc.await_line("\n")
    shell.ok("phone", "reply", PHONE, "OK", "--to", "36111", "--control", f"http://127.0.0.1:{control}")
    assert smsc.end(signal.SIGKILL) == -signal.SIGKILL
    again = started(*arguments)
    again.await_line("\n")
    assert again.end() == 0
    assert json.loads(again.out.splitlines()[1])["smsc"]["waiting"] == {"smsgate": 1}
    refused = shell.run("smsc", "--journal", str(journal), "--profile", "ids-empty")
    assert refused.code == 2
    assert "leave --profile out" in refused.err
    nowhere = shell.run(
        "smsc", "--port", "0", "--control-port", "0", "--journal", str(tmp_path / "no" / "file")
    )
    assert nowhere.code == 1
    assert "cannot be written" in nowhere.err


@pytest.mark.parametrize(
    "content",
    [
        b"\x7fELF\x00 without any end of line",
        b"what was lived through\nand never written down again",
        b'{"level":"info"}\n',
        b'{"event":"housekeeping_done"}\n',
        b'["event"]\n{"event":"start"',
        b'{"event":"mo","account":"a","msisdn":1,"to":"1","text":"OK","kind":"","reference":1}\n',
        b'{"event":"start"}\n\x00\x01',
    ],
)
def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(
    shell: Shell, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "kept"
    file.write_bytes(content)
    refused = shell.run("smsc", "--port", "0", "--control-port", "0", "--journal", str(file))
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        f"smsgate: {file} is no journal of `smsgate smsc`, and stays as it is: name another file.\n"
    )
    assert file.read_bytes() == content


def test_without_a_simulator_the_phone_says_how_to_start_one(shell: Shell) -> None:
    (port,) = free_ports(1)
    for arguments in (("inbox", PHONE), ("reply", PHONE, "OK")):
        found = shell.run("phone", *arguments, env={"SMSGATE_PHONES": f"http://127.0.0.1:{port}"})
        assert found.code == 2
        assert f"no simulator answers at http://127.0.0.1:{port}" in found.err
        assert "smsgate smsc" in found.err


def test_profiles_are_listed_for_people_and_for_programs(shell: Shell) -> None:
    table = shell.run("smsc", "--profiles")
    assert table.code == 0
    assert "ids-hex-in-response" in table.out
    lines = shell.run("smsc", "--profiles", "--json").out.splitlines()
    by_name = {each["name"]: each for each in map(json.loads, lines)}
    assert len(by_name) == len(table.out.splitlines()) - 1
    assert by_name["ids-hex-in-response"]["switches"] == {
        "message_id_form": "hex",
        "receipt_id_form": "decimal",
        "receipt_parts": "text",
    }
    assert all(each["sentence"] and each["evidence"] and each["client"] for each in by_name.values())


def test_a_faulty_smsc_says_how_it_is_faulty_and_writes_its_ca(
    started: Callable[..., Running], tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    faults = ("--profile", "tls-good", "--profile", "receipt-data-sm", "--ca-out", str(ca))
    smsc = started("smsc", "--port", "0", "--control-port", "0", "--json", *faults)
    smsc.await_line("\n")
    assert json.loads(smsc.out.splitlines()[0])["profiles"] == ["tls-good", "receipt-data-sm"]
    assert ca.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    assert smsc.end() == 0
    assert json.loads(smsc.out.splitlines()[1])["smsc"]["faults"] == {}


def test_profiles_that_do_not_exist_or_contradict_each_other_are_refused(shell: Shell) -> None:
    unknown = shell.run("smsc", "--profile", "ids-emty")
    assert unknown.code == 2
    assert "Did you mean ids-empty?" in unknown.err
    both = shell.run("smsc", "--profile", "ids-empty", "--profile", "ids-with-dashes")
    assert both.code == 2
    assert "ids-empty and ids-with-dashes both set message_id_form" in both.err
    no_tls = shell.run("smsc", "--ca-out", "ca.pem")
    assert no_tls.code == 2
    assert "--ca-out needs a TLS profile" in no_tls.err


@pytest.mark.parametrize("target", ["nowhere", "127.0.0.1", ":2776", "127.0.0.1:0", "127.0.0.1:65536"])
def test_an_outbind_to_no_address_is_refused(shell: Shell, target: str) -> None:
    found = shell.run("smsc", "--outbind", target)
    assert found.code == 2
    assert "is no HOST:PORT" in found.err
