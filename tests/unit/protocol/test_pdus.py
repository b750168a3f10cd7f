from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import BodyError, ProtocolError
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import (
    ADDRESSES,
    LAYOUTS,
    MESSAGE,
    TEXT,
    U8,
    Address,
    Pdu,
    Unsuccess,
    decode_pdu,
    encode_pdu,
)
from smsgate.protocol.session_states import Delivered
from smsgate.protocol.tlvs import Tag, encode_tlvs, tlv_number

OCTET = st.integers(0, 255)
TEXTS = st.binary(max_size=20).map(lambda octets: octets.replace(b"\0", b"a"))
TLVS = st.lists(st.tuples(st.integers(1, 0xFFFF), st.binary(max_size=30)), max_size=4).map(tuple)


def values(kind: int) -> st.SearchStrategy[Any]:
    if kind == U8:
        return OCTET
    if kind == TEXT:
        return TEXTS
    if kind == MESSAGE:
        return st.binary(max_size=255)
    if kind == ADDRESSES:
        address = st.builds(Address, OCTET, OCTET, TEXTS, st.none()) | TEXTS.map(
            lambda name: Address(list_name=name)
        )
        return st.lists(address, max_size=3).map(tuple)
    return st.lists(st.builds(Unsuccess, OCTET, OCTET, TEXTS, st.integers(0, 0xFFFF_FFFF)), max_size=3).map(
        tuple
    )


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    command_id = draw(st.sampled_from(sorted(LAYOUTS)))
    fields = {name: draw(values(kind)) for name, kind in LAYOUTS[command_id]}
    return Pdu(command_id, 0, draw(st.integers(0, 0xFFFF_FFFF)), fields, draw(TLVS))


def decode(octets: bytes) -> Pdu:
    (frame,) = FrameDecoder().feed(octets)
    return decode_pdu(frame)


@given(pdus())
def test_every_pdu_survives_encoding_and_decoding(pdu: Pdu) -> None:
    octets = encode_pdu(pdu)
    assert decode(octets) == pdu
    assert encode_pdu(decode(octets)) == octets


@given(
    st.sampled_from(sorted(LAYOUTS)) | st.integers(0, 0xFFFF_FFFF),
    st.integers(0, 300),
    st.binary(max_size=120),
)
def test_random_octets_raise_nothing_but_body_error(command_id: int, status: int, body: bytes) -> None:
    with suppress(BodyError):
        pdu = decode_pdu(Frame(command_id, 1, status, body))
        assert len(encode_pdu(pdu)) <= 16 + len(body) + 1  # one NUL that a response lacked


@given(pdus(), st.integers(0, 400))
def test_a_cut_body_is_refused_in_a_request_and_forgiven_in_a_response(pdu: Pdu, cut: int) -> None:
    body = encode_pdu(pdu._replace(tlvs=()))[16:]
    short = body[: cut % len(body)] if body else body
    frame = Frame(pdu.command_id, 1, 0, short)
    if body and not pdu.command_id & RESPONSE_BIT:
        with pytest.raises(BodyError) as caught:
            decode_pdu(frame)
        assert caught.value.status in {Status.INVCMDLEN, Status.INVMSGLEN}
    else:
        decode_pdu(frame)


def test_an_error_response_may_have_no_body_a_body_or_only_tlvs() -> None:
    nothing = Pdu(CommandId.SUBMIT_SM_RESP, 0x58, 4)
    with_id = Pdu(CommandId.SUBMIT_SM_RESP, 0x58, 4, {"message_id": b"77"})
    tlvs_only = Pdu(CommandId.SUBMIT_SM_RESP, 0x58, 4, {}, ((Tag.CONGESTION_STATE, b"\x63"),))
    for pdu in (nothing, with_id, tlvs_only):
        assert decode(encode_pdu(pdu)) == pdu


def test_the_last_field_of_a_response_may_lack_its_nul() -> None:
    assert decode_pdu(Frame(CommandId.SUBMIT_SM_RESP, 1, 0, b"abc")).fields == {"message_id": b"abc"}


@pytest.mark.parametrize("tail", [b"\0", b"\0\0\0\0\0", b"\x04\x27\x00\x09\x02", b"\x14"])
def test_padding_and_a_cut_tlv_are_dropped_and_the_whole_tlvs_kept(tail: bytes) -> None:
    whole = ((0x1400, b"vendor"), (Tag.MESSAGE_STATE, b"\x02"))
    pdu = Pdu(CommandId.DELIVER_SM, 0, 1, {"short_message": b"x"}, whole)
    body = encode_pdu(pdu)[16:] + tail
    read = decode_pdu(Frame(CommandId.DELIVER_SM, 1, 0, body))
    assert read.tlvs == whole
    assert read.dropped == len(tail)
    assert tlv_number(read.tlvs, Tag.MESSAGE_STATE) == 2


def test_enquire_link_and_unbind_with_a_body_are_taken() -> None:
    for command_id in (CommandId.ENQUIRE_LINK, CommandId.UNBIND):
        assert decode_pdu(Frame(command_id, 3, 0, b"junk\0")).sequence_number == 3


def test_a_message_longer_than_its_pdu_is_answered_as_bad_length() -> None:
    octets = encode_pdu(Pdu(CommandId.SUBMIT_SM, 0, 1, {"short_message": b"abc"}))
    with pytest.raises(BodyError) as caught:
        decode_pdu(Frame(CommandId.SUBMIT_SM, 1, 0, octets[16:-1]))
    assert caught.value.status == Status.INVMSGLEN


def test_an_unknown_command_is_answered_as_such() -> None:
    with pytest.raises(BodyError) as caught:
        decode_pdu(Frame(0x0000_7777, 1))
    assert caught.value.status == Status.INVCMDID


@pytest.mark.parametrize(
    "fields",
    [
        {"source_addr": b"a\0b"},
        {"source_addr": "text"},
        {"esm_class": 256},
        {"esm_class": -1},
        {"short_message": bytes(256)},
        {"nonsense": 1},
    ],
)
def test_what_has_no_form_in_smpp_is_not_encoded(fields: dict[str, Any]) -> None:
    with pytest.raises(BodyError):
        encode_pdu(Pdu(CommandId.SUBMIT_SM, 0, 1, fields))


@pytest.mark.parametrize("tlv", [(0, b""), (0x1_0000, b""), (0x0424, bytes(0x1_0000))])
def test_a_tlv_that_does_not_fit_is_not_encoded(tlv: tuple[int, bytes]) -> None:
    with pytest.raises(ProtocolError):
        encode_tlvs([tlv])


def test_a_field_that_is_left_out_of_a_request_is_empty() -> None:
    pdu = decode(encode_pdu(Pdu(CommandId.QUERY_SM, 0, 1, {"message_id": b"7"})))
    assert pdu.fields == {"message_id": b"7", "source_addr_ton": 0, "source_addr_npi": 0, "source_addr": b""}


SECRETS: dict[str, Any] = {"password": b"s3cr3t", "system_id": b"boxman-7", "addr_ton": 1}
A_TEXT: dict[str, Any] = {"source_addr": b"33612345678", "short_message": b"Bonjour"}


@pytest.mark.parametrize(
    ("command_id", "fields", "tlvs"),
    [
        (CommandId.BIND_TRANSCEIVER, SECRETS, ()),
        (CommandId.SUBMIT_SM, A_TEXT, ()),
        (CommandId.DATA_SM, {"source_addr": b"33612345678"}, ((0x0424, b"Bonjour"),)),
    ],
)
def test_no_password_text_or_number_of_a_person_stands_in_the_repr(
    command_id: int, fields: dict[str, Any], tlvs: Any
) -> None:
    pdu = Pdu(command_id, 0, 7, fields, tlvs)
    frame = Frame(command_id, 7, 0, encode_pdu(pdu)[16:])
    shown = f"{pdu!r} {frame!r} {Delivered(pdu)!r} {[pdu, frame]}"
    for secret in ("s3cr3t", "Bonjour", "33612345678"):
        assert secret not in shown
    assert "sequence_number=7" in repr(pdu)
    assert "sequence_number=7" in repr(frame)
