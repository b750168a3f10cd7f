"""tshark as the judge of the octets that we sent: it sees every PDU of them, and none is malformed."""

from __future__ import annotations

import shutil
import struct
import subprocess

from tests.interop.interop_processes import DEADLINE_S
from tests.interop.interop_wire import CLIENT_PORT_FIRST, SERVER_PORT, Wire, cut_pdus

HEADER = struct.Struct(">IIII")
# tshark's own levels: chat, note, warning, error. TCP's handshake is a chat.
COMPLAINTS = "_ws.malformed or _ws.expert.severity >= 0x600000"
OPTIONS = ("-o", "gsm_sms_ud.port_number_udh_means_wsp:TRUE", "-d", f"tcp.port=={SERVER_PORT},smpp")
Header = tuple[int, int, int]  # command_length, command_id, sequence_number


def fields(capture: bytes, display_filter: str, *names: str) -> list[list[str]]:
    """Return what tshark shows of these fields, a list a packet; what occurs twice is joined by ','."""
    tshark = shutil.which("tshark")
    assert tshark is not None, "tshark is missing: run tests/interop/install"
    wanted = [option for name in names for option in ("-e", name)]
    done = subprocess.run(
        [tshark, "-r", "-", *OPTIONS, "-Y", display_filter, "-T", "fields", *wanted],
        input=capture,
        capture_output=True,
        timeout=2 * DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.decode().splitlines()]


def judge(wire: Wire, *, by_client: bool) -> int:
    """Fail if tshark finds anything wrong in what that side sent; return how many PDUs it saw."""
    return judge_capture(wire.capture(), wire.sent(by_client=by_client), by_client=by_client)


def judge_capture(capture: bytes, sent: dict[int, bytes], *, by_client: bool) -> int:
    """Judge one side of a capture; `sent` are that side's octets by connection."""
    side, other = ("dst", "src") if by_client else ("src", "dst")
    ours = f"tcp.{side}port == {SERVER_PORT}"
    shown = ("smpp.command_length", "smpp.command_id", "smpp.sequence_number")
    seen: dict[int, list[Header]] = {}
    for port, complaint, *lists in fields(
        capture,
        f"{ours} and (smpp or {COMPLAINTS})",
        f"tcp.{other}port",
        "_ws.malformed",
        *shown,
    ):
        assert not complaint, f"tshark finds what we sent malformed: {complaint} {lists}"
        columns = [[int(value, 0) for value in column.split(",")] for column in lists]
        seen.setdefault(int(port) - CLIENT_PORT_FIRST, []).extend(zip(*columns, strict=True))
    # The last PDU of a line that was cut may be cut with it.
    expected = {
        connection: [_header(pdu) for pdu in cut_pdus(octets)[0]] for connection, octets in sent.items()
    }
    assert seen == expected, "tshark sees other PDUs than we sent"
    return sum(map(len, expected.values()))


def _header(pdu: bytes) -> Header:
    length, command_id, _status, sequence_number = HEADER.unpack_from(pdu)
    return length, command_id, sequence_number
