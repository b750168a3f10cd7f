"""tshark as the judge of PDUs that our encoders make, and a proof that it can say no."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smsgate.protocol.columns import SubmitTemplate
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import HEADER, HEADER_SIZE
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.segmentation import Segments, segment
from smsgate.protocol.tlvs import Tlvs
from tests.interop.interop_processes import HERE
from tests.interop.interop_tshark import fields, judge_capture
from tests.interop.interop_wire import SERVER_PORT, Piece, capture
from tests.unit.protocol.vectors import PDUS, first_frame, octets_of

pytestmark = pytest.mark.interop

DESTINATION = b"33639980001"
SENDER = b"36111"
TEXTS = [
    json.loads(line)
    for line in (HERE.parent / "data" / "text-vectors.jsonl").read_text(encoding="utf-8").splitlines()
]
# Of node-smpp's suite: short_message and message_payload in one PDU, with a header that is none. We keep what
# comes; nobody makes us send it.
BENT_BY_ITS_AUTHOR = "submit_sm-010"
FRENCH = "Ça coûte 12€ à l’hôtel, [n° 7]"


def judged(pdus: list[bytes]) -> bytes:
    """Have tshark look at these PDUs as octets of one client; return the capture."""
    octets = capture([Piece(float(at), 0, True, pdu) for at, pdu in enumerate(pdus)])
    assert judge_capture(octets, {0: b"".join(pdus)}, by_client=True) == len(pdus)
    return octets


def a_submit(segments: Segments, number: int, sequence_number: int) -> bytes:
    tlvs: Tlvs = segments.tlvs[number] if segments.tlvs else ()
    template = SubmitTemplate(
        tlvs,
        source_addr_ton=3,
        source_addr=SENDER,
        dest_addr_ton=1,
        dest_addr_npi=1,
        esm_class=segments.esm_class,
        data_coding=segments.data_coding,
        registered_delivery=1,
    )
    (body,) = template.bodies([DESTINATION], segments.short_messages[number])
    return HEADER.pack(HEADER_SIZE + len(body), CommandId.SUBMIT_SM, 0, sequence_number) + body


def submits(many: list[Segments]) -> list[bytes]:
    parts = [(segments, number) for segments in many for number in range(len(segments.short_messages))]
    return [a_submit(*part, sequence_number) for sequence_number, part in enumerate(parts, 1)]


def test_a_pdu_with_a_cut_tlv_is_malformed_to_tshark() -> None:
    good = encode_pdu(Pdu(CommandId.ENQUIRE_LINK, 0, 7, {}, ()))
    cut = encode_pdu(Pdu(CommandId.SUBMIT_SM, 0, 8, {"destination_addr": DESTINATION}, ()))
    cut += bytes.fromhex("0424001041")
    cut = len(cut).to_bytes(4, "big") + cut[4:]
    with pytest.raises(AssertionError, match="malformed"):
        judged([good, cut, good])


def test_pdus_that_tshark_does_not_see_are_missed() -> None:
    good = encode_pdu(Pdu(CommandId.ENQUIRE_LINK, 0, 7, {}, ()))
    with pytest.raises(AssertionError, match="other PDUs"):
        judge_capture(capture([Piece(0.0, 0, True, good)]), {0: good + good}, by_client=True)


def test_every_pdu_of_the_vectors_as_we_write_it_reads_the_same_to_tshark() -> None:
    rows = [row for row in PDUS if row["verdict"] == "accept" and row["id"] != BENT_BY_ITS_AUTHOR]
    pdus = [decode_pdu(first_frame(octets_of(row))) for row in rows]
    octets = judged([encode_pdu(pdu) for pdu in pdus])
    shown = fields(
        octets,
        f"tcp.dstport == {SERVER_PORT} and smpp",
        *("smpp.command_status", "smpp.source_addr", "smpp.data_coding", "smpp.message_id", "smpp.sm_length"),
    )
    assert shown == [[*map(str, what_tshark_shows(pdu))] for pdu in pdus]


def what_tshark_shows(pdu: Pdu) -> list[Any]:
    found = pdu.fields
    return [
        f"0x{pdu.status:08x}" if pdu.command_id >> 31 else "",
        found.get("source_addr", b"").decode("latin-1"),
        f"0x{found['data_coding']:02x}" if "data_coding" in found else "",
        found.get("message_id", b"").decode("latin-1"),
        len(found["short_message"]) if "short_message" in found else "",
    ]


def test_every_text_in_every_form_of_long_message_is_well_formed_to_tshark() -> None:
    texts = [row["text"] for row in TEXTS if row["kind"] == "segment"] + [FRENCH]
    many = [
        segment(text, reference=0x7A, concat=concat, packed=packed)
        for text in texts
        for concat in ("udh8", "udh16", "sar", "payload")
        for packed in (False, True)
    ]
    assert {segments.esm_class for segments in many} == {0, ESM_CLASS_UDHI}
    judged(submits(many))
