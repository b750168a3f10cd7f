"""PDUs from other projects' suites and captured from their software, each checked by several decoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smsgate.errors import FramingError
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import Address, Unsuccess, decode_pdu, encode_pdu

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "protocol-vectors.jsonl")
    .read_text("utf-8")
    .splitlines()
]
# Kinds that are no PDU; every other kind of the file has to pass here.
OTHERS = {"receipt_text": "the text of a receipt alone: read by protocol.receipts"}
PDUS = [vector for vector in VECTORS if vector["pdu"] not in OTHERS]
ACCEPTED = [vector for vector in PDUS if vector["verdict"] in {"accept", "accept_lenient", "stream"}]
FRAMING = [vector for vector in PDUS if vector["verdict"] in {"fatal_framing", "incomplete"}]
REJECTED = [vector for vector in PDUS if vector["verdict"] == "reject_request"]

# Octets that a re-encoding has to lose, with the reason.
CHANGED_BY_ENCODING = {"deliver_sm-003": "ends in a cut TLV, which is dropped"}
DERIVED = {"command_length", "command_id", "command_status", "sequence_number", "sm_length", "udh"}


def ids(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["id"] for vector in vectors]


def only_frame(octets: bytes) -> Frame:
    return next(FrameDecoder().feed(octets))


def expected_field(name: str, value: Any) -> tuple[str, Any]:
    match name:
        case "short_message":
            return name, bytes.fromhex(value)
        case "dests":
            return "dest_address", tuple(
                Address(each["ton"], each["npi"], each["addr"].encode())
                if each["dest_flag"] == 1
                else Address(list_name=each["dl_name"].encode())
                for each in value
            )
        case "unsuccess":
            return "unsuccess_sme", tuple(
                Unsuccess(each["ton"], each["npi"], each["addr"].encode(), each["error"]) for each in value
            )
        case _:
            return name, value.encode("latin-1") if isinstance(value, str) else value


def test_every_vector_is_of_a_verdict_that_some_test_reads() -> None:
    assert len(ACCEPTED) + len(FRAMING) + len(REJECTED) == len(PDUS)


@pytest.mark.parametrize("vector", ACCEPTED, ids=ids(ACCEPTED))
def test_a_usable_pdu_is_read_as_independent_decoders_read_it(vector: dict[str, Any]) -> None:
    pdu = decode_pdu(only_frame(bytes.fromhex(vector["hex"])))
    fields = vector["fields"]
    counts = {"number_of_dests": "dest_address", "no_unsuccess": "unsuccess_sme"}
    assert pdu.command_id == int(fields["command_id"], 16)
    assert pdu.status == fields["command_status"]
    assert pdu.sequence_number == fields["sequence_number"]
    assert pdu.fields == dict(
        expected_field(name, value)
        for name, value in fields.items()
        if name not in DERIVED and name not in counts
    )
    assert pdu.tlvs == tuple((int(tlv["tag"], 16), bytes.fromhex(tlv["value"])) for tlv in vector["tlvs"])
    if "sm_length" in fields:
        assert len(pdu.fields["short_message"]) == fields["sm_length"]
    for count, counted in counts.items():
        if count in fields:
            assert len(pdu.fields[counted]) == fields[count]


@pytest.mark.parametrize("vector", ACCEPTED, ids=ids(ACCEPTED))
def test_a_pdu_that_was_read_is_written_with_the_same_octets(vector: dict[str, Any]) -> None:
    frame = only_frame(bytes.fromhex(vector["hex"]))
    pdu = decode_pdu(frame)
    same = encode_pdu(pdu) == frame.encode()
    assert same == (vector["id"] not in CHANGED_BY_ENCODING)
    assert bool(pdu.dropped) == (vector["id"] in CHANGED_BY_ENCODING)


@pytest.mark.parametrize("in_one_block", [True, False])
@pytest.mark.parametrize("vector", FRAMING, ids=ids(FRAMING))
def test_a_header_that_lies_ends_the_stream_and_a_short_one_waits(
    vector: dict[str, Any], in_one_block: bool
) -> None:
    octets = bytes.fromhex(vector["hex"])
    pieces = [octets] if in_one_block else [octets[at : at + 1] for at in range(len(octets))]
    decoder = FrameDecoder()

    def feed() -> list[Frame]:
        return [frame for piece in pieces for frame in decoder.feed(piece)]

    if vector["verdict"] == "incomplete":
        assert feed() == []
    else:
        with pytest.raises(FramingError):
            feed()


@pytest.mark.parametrize("vector", REJECTED, ids=ids(REJECTED))
def test_a_pdu_whose_user_data_header_lies_is_still_a_pdu(vector: dict[str, Any]) -> None:
    """The vector leaves the choice: refuse it, or take a text without header, as mo_text does."""
    pdu = decode_pdu(only_frame(bytes.fromhex(vector["hex"])))
    assert pdu.sequence_number == vector["fields"]["sequence_number"]
    assert pdu.fields["short_message"][0] > len(pdu.fields["short_message"])
