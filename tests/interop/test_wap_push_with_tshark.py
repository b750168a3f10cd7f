"""tshark reads every WAP push that we can make: the port, the push, the document, and nothing malformed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame
from smsgate.protocol.pdus import encode_body
from smsgate.protocol.wap_push import Indication, Loading, SiAction, SlAction, push_messages, push_pdu
from tests.interop.interop_tshark import fields, judge_capture
from tests.interop.interop_wire import Piece, capture

pytestmark = pytest.mark.interop

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


def submits(documents: Sequence[Indication | Loading]) -> list[bytes]:
    """Return a submit_sm per segment."""
    pdus: list[bytes] = []
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
            pdus.append(Frame(CommandId.SUBMIT_SM, len(pdus) + 1, 0, body).encode())
    return pdus


@pytest.mark.parametrize(
    ("documents", "content_type", "public_id"),
    [
        pytest.param(INDICATIONS, "application/vnd.wap.sic", 5, id="SI"),
        pytest.param(LOADINGS, "application/vnd.wap.slc", 6, id="SL"),
    ],
)
def test_tshark_reads_every_push_and_finds_nothing_malformed(
    documents: Sequence[Indication | Loading], content_type: str, public_id: int
) -> None:
    pdus = submits(documents)
    octets = capture([Piece(float(at), 0, True, pdu) for at, pdu in enumerate(pdus)])
    assert judge_capture(octets, {0: b"".join(pdus)}, by_client=True) == len(pdus)
    pushes = fields(octets, "wsp", "wsp.TID", "wsp.header.content_type", "wbxml.public_id.known")
    assert len(pushes) == len(documents)
    assert [int(row[0], 0) for row in pushes] == list(range(len(documents)))
    assert {(row[1], int(row[2], 0)) for row in pushes} == {(content_type, public_id)}
