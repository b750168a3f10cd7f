"""PDUs from other projects' suites and captured from their software, each checked by several decoders."""

from __future__ import annotations

from typing import Any

import pytest

from smsgate.errors import BodyError, FramingError
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import Address, Unsuccess, decode_pdu, encode_pdu
from tests.unit.protocol.vectors import PDUS, READ, VERIFIED, Vector, first_frame, ids, octets_of

ACCEPTED = [row for row in VERIFIED if row["verdict"] in READ and row["pdu"] != "receipt_text"]
REJECTED = [row for row in PDUS if row["verdict"] == "reject_request"]

# Octets that a re-encoding has to lose, with the reason.
CHANGED_BY_ENCODING = {"deliver_sm-003": "ends in a cut TLV, which is dropped"}
DERIVED = {"command_length", "command_id", "command_status", "sequence_number", "sm_length", "udh"}


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


@pytest.mark.parametrize("vector", ACCEPTED, ids=ids(ACCEPTED))
def test_a_usable_pdu_is_read_as_independent_decoders_read_it(vector: Vector) -> None:
    pdu = decode_pdu(first_frame(octets_of(vector)))
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
def test_a_pdu_that_was_read_is_written_with_the_same_octets(vector: Vector) -> None:
    frame = first_frame(octets_of(vector))
    pdu = decode_pdu(frame)
    same = encode_pdu(pdu) == frame.encode()
    assert same == (vector["id"] not in CHANGED_BY_ENCODING)
    assert bool(pdu.dropped) == (vector["id"] in CHANGED_BY_ENCODING)


def outcome(octets: bytes, size: int) -> tuple[list[Frame], str]:
    """Return the frames, and what ended the stream, when it comes in pieces of `size` octets."""
    decoder = FrameDecoder()
    frames: list[Frame] = []
    try:
        for at in range(0, len(octets), size):
            frames.extend(decoder.feed(octets[at : at + size]))
    except FramingError as exc:
        return frames, str(exc)
    return frames, ""


@pytest.mark.parametrize("vector", PDUS, ids=ids(PDUS))
def test_octets_one_by_one_and_in_one_block_give_the_same_frames(vector: Vector) -> None:
    octets = octets_of(vector)
    frames, error = outcome(octets, len(octets))
    assert outcome(octets, 1) == outcome(octets, 7) == (frames, error)
    if len(octets) == sum(len(frame.encode()) for frame in frames) or not frames:
        assert bool(error) == (vector["verdict"] == "fatal_framing")
    assert bool(frames) == (vector["verdict"] not in {"fatal_framing", "incomplete"})


@pytest.mark.parametrize("vector", REJECTED, ids=ids(REJECTED))
def test_a_request_that_cannot_be_meant_is_refused_with_a_status_or_is_a_pdu_with_a_lying_header(
    vector: Vector,
) -> None:
    """The user data header may be refused, or be taken for text, as mo_text does."""
    frame = first_frame(octets_of(vector))
    try:
        message = decode_pdu(frame).fields["short_message"]
    except BodyError as exc:
        assert exc.status  # noqa: PT017 - one of the two outcomes
    else:
        assert message[0] >= len(message)
