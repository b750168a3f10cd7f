"""tshark as the judge of the octets that we sent: it sees every PDU of them, and none is malformed."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.interop.interop_processes import DEADLINE_S
from tests.interop.interop_wire import CLIENT_PORT_FIRST, SERVER_PORT, Wire

HEADER = struct.Struct(">IIII")
# tshark's own levels: chat, note, warning, error. TCP's handshake is a chat.
COMPLAINTS = "_ws.malformed or _ws.expert.severity >= 0x600000"
OPTIONS = ("-o", "gsm_sms_ud.port_number_udh_means_wsp:TRUE", "-d", f"tcp.port=={SERVER_PORT},smpp")
Header = tuple[int, int, int]  # command_length, command_id, sequence_number


def fields(capture: Path, display_filter: str, *names: str) -> list[list[str]]:
    """Return what tshark shows of these fields, a list a packet; what occurs twice is joined by ','."""
    tshark = shutil.which("tshark")
    assert tshark is not None, "tshark is missing: run tests/interop/install"
    wanted = [option for name in names for option in ("-e", name)]
    done = subprocess.run(
        [tshark, "-r", str(capture), *OPTIONS, "-Y", display_filter, "-T", "fields", *wanted],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=2 * DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def judge(wire: Wire, *, by_client: bool) -> int:
    """Fail if tshark finds anything wrong in what that side sent; return how many PDUs it saw."""
    with tempfile.TemporaryDirectory() as directory:
        capture = Path(directory) / "wire.pcap"
        wire.write_capture(capture)
        return judge_capture(capture, wire.sent(by_client=by_client), by_client=by_client)


def judge_capture(capture: Path, sent: dict[int, bytes], *, by_client: bool) -> int:
    side, other = ("dst", "src") if by_client else ("src", "dst")
    ours = f"tcp.{side}port == {SERVER_PORT}"
    complaints = fields(
        capture, f"{ours} and ({COMPLAINTS})", "frame.number", "_ws.malformed", "_ws.expert.message"
    )
    assert not complaints, f"tshark complains of what we sent: {complaints}"
    seen: dict[int, list[Header]] = {}
    shown = ("smpp.command_length", "smpp.command_id", "smpp.sequence_number")
    for port, *lists in fields(capture, f"{ours} and smpp", f"tcp.{other}port", *shown):
        columns = [[int(value, 0) for value in column.split(",")] for column in lists]
        seen.setdefault(int(port) - CLIENT_PORT_FIRST, []).extend(zip(*columns, strict=True))
    expected = {connection: list(headers(octets)) for connection, octets in sent.items()}
    assert seen == expected, "tshark sees other PDUs than we sent"
    return sum(map(len, expected.values()))


def headers(octets: bytes) -> Iterator[Header]:
    """Yield what the whole PDUs of one connection say of themselves; the last may be cut when a line was."""
    start = 0
    while start + HEADER.size <= len(octets):
        length, command_id, _status, sequence_number = HEADER.unpack_from(octets, start)
        if start + length > len(octets):
            return
        yield length, command_id, sequence_number
        start += length
