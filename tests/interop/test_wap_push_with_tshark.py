"""tshark reads every WAP push that we can make: the port, the push, the document, and nothing malformed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame
from smsgate.protocol.pcap import TracedPdu, pcap_octets
from smsgate.protocol.pdus import encode_body
from smsgate.protocol.wap_push import Indication, Loading, SiAction, SlAction, push_messages, push_pdu

pytestmark = pytest.mark.interop

SMPP_PORT = 2775
SMSC = ("127.0.0.2", SMPP_PORT)
DISSECTOR_LIMIT_S = 60.0
AT = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
HREFS = (
    *("http://a.example", "http://www.a.com/b", "https://a.edu/", "https://www.a.net/b.org/c", "ftp://a/b"),
    "https://shop.example/" + "o" * 150,
)
INDICATIONS = [
    *(Indication(href, "Rabais d'été ✓", SiAction.HIGH, AT, AT, "sale-7") for href in HREFS),
    *(Indication("http://a.example", "Sale", action, si_id="7") for action in SiAction),
    Indication("http://a.example", ""),
    Indication("", "Sale", si_id="7"),
    Indication("https://a.example", "Sale " * 200),
]
LOADINGS = [
    *(Loading(href) for href in HREFS),
    *(Loading("http://a.example", action) for action in SlAction),
]


def capture(documents: Sequence[Indication | Loading]) -> tuple[bytes, int]:
    """Return a capture file with one submit_sm per segment, and how many there are."""
    pdus: list[TracedPdu] = []
    for number, document in enumerate(documents):
        sent = push_messages(push_pdu(document, transaction_id=number), reference=number)
        for short_message in sent.short_messages:
            body = encode_body(
                CommandId.SUBMIT_SM,
                {
                    "source_addr": b"36111",
                    "destination_addr": b"33639980001",
                    "esm_class": sent.esm_class,
                    "data_coding": sent.data_coding,
                    "short_message": short_message,
                },
            )
            octets = Frame(CommandId.SUBMIT_SM, len(pdus) + 1, 0, body).encode()
            ends = ("127.0.0.1", 40_000), ("127.0.0.2", SMPP_PORT)
            pdus.append(
                TracedPdu(1.0 + len(pdus), 1, outgoing=True, octets=octets, local=ends[0], peer=ends[1])
            )
    return pcap_octets(pdus), len(pdus)


def dissected(directory: Path, octets: bytes, display_filter: str, *fields: str) -> list[list[str]]:
    tshark = shutil.which("tshark")
    assert tshark is not None, "tshark is missing: run tests/interop/install"
    path = directory / "wap-push.pcap"
    path.write_bytes(octets)
    done = subprocess.run(
        [
            *(tshark, "-r", str(path), "-o", "gsm_sms_ud.port_number_udh_means_wsp:TRUE"),
            *("-d", f"tcp.port=={SMPP_PORT},smpp", "-Y", display_filter, "-T", "fields"),
            *(option for field in fields for option in ("-e", field)),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=DISSECTOR_LIMIT_S,
        check=True,
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("documents", "content_type", "public_id"),
    [
        pytest.param(INDICATIONS, "application/vnd.wap.sic", 5, id="SI"),
        pytest.param(LOADINGS, "application/vnd.wap.slc", 6, id="SL"),
    ],
)
def test_tshark_reads_every_push_and_finds_nothing_malformed(
    tmp_path: Path, documents: Sequence[Indication | Loading], content_type: str, public_id: int
) -> None:
    octets, count = capture(documents)
    complaints = "_ws.malformed or _ws.expert.severity >= 0x600000"
    assert dissected(tmp_path, octets, complaints, "frame.number", "_ws.expert.message") == []
    assert len(dissected(tmp_path, octets, "smpp.command_id == 4", "frame.number")) == count
    pushes = dissected(tmp_path, octets, "wsp", "wsp.TID", "wsp.header.content_type", "wbxml.public_id.known")
    assert len(pushes) == len(documents)
    assert [int(row[0], 0) for row in pushes] == list(range(len(documents)))
    assert {(row[1], int(row[2], 0)) for row in pushes} == {(content_type, public_id)}
