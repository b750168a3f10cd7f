"""`smsgate carrier`: what an operator sees of a running gateway, and where there is none."""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable

import pytest

from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import decode_pdu
from tests.cli.carriers import write_config
from tests.cli.command_shell import Running, Shell, free_ports, until


@pytest.fixture(scope="module")
def running(shell: Shell) -> None:
    smpp, control, http = free_ports(3)
    write_config(shell.cwd / "smsgate.toml", smpp=f"127.0.0.1:{smpp}", http_port=http)
    shell.extra["SMSGATE_CONFIG"] = str(shell.cwd / "smsgate.toml")
    shell.extra["SMPP_PORTS"] = f"{smpp},{control}"


@pytest.fixture
def gateway(shell: Shell, running: None, started: Callable[..., Running]) -> Running:
    smpp, control = shell.extra["SMPP_PORTS"].split(",")
    started("smsc", "--port", smpp, "--control-port", control)
    process = started("run")
    until(lambda: '"bound"' in shell.run("carrier", "list", "--json").out)
    return process


def frames_of(pcap: bytes) -> list[Frame]:
    frames: list[Frame] = []
    position = 24
    while position < len(pcap):
        (kept,) = struct.unpack_from("<I", pcap, position + 8)
        packet = pcap[position + 16 : position + 16 + kept]
        frames += FrameDecoder().feed(packet[40:])
        position += 16 + kept
    return frames


def test_the_last_pdus_are_written_with_the_password_covered(shell: Shell, gateway: Running) -> None:
    done = shell.ok("carrier", "trace", "sim", "--pcap", "sim.pcap", "--texts", "--numbers")
    assert "PDUs written to sim.pcap" in done.err
    path = shell.cwd / "sim.pcap"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"secret" not in path.read_bytes()
    bind, answer = frames_of(path.read_bytes())[:2]
    assert decode_pdu(bind).fields["password"] == b"******"
    assert (bind.command_id, answer.command_id) == (
        CommandId.BIND_TRANSCEIVER,
        CommandId.BIND_TRANSCEIVER_RESP,
    )
    socket_file = shell.state_dir / "gateway.sock"
    assert stat.S_IMODE(socket_file.stat().st_mode) == 0o600

    assert "bound" in shell.ok("carrier", "list").out
    unknown = shell.run("carrier", "trace", "nobody", "--pcap", "x.pcap")
    assert (unknown.code, unknown.err) == (1, "smsgate: No carrier is called nobody.\n")
    no_bind = shell.run("carrier", "trace", "sim", "--bind", "rx-9", "--pcap", "x.pcap")
    assert (no_bind.code, no_bind.err) == (1, "smsgate: Carrier sim has no bind rx-9: it has trx-1.\n")
    nowhere = shell.run("carrier", "trace", "sim", "--pcap", "no/such/place.pcap")
    assert nowhere.code == 2
    assert "cannot be written" in nowhere.err

    assert gateway.end() == 0
    assert not socket_file.exists()
    gone = shell.run("carrier", "list")
    assert gone.code == 1
    assert gone.err.startswith("smsgate: No gateway answers on ")
    assert "start `smsgate run`" in gone.err
