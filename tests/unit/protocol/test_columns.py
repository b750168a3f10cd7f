from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import BodyError
from smsgate.protocol.columns import (
    Columns,
    SubmitTemplate,
    deliver_responses,
    digits,
    submit_frames,
    submit_responses,
    walk,
)
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_body, encode_pdu
from smsgate.protocol.receipt_states import FINAL, STATE_WORDS, ReceiptState
from smsgate.protocol.receipts import parse_receipt
from smsgate.protocol.tlvs import Tag, Tlvs, encode_tlvs

RECEIPT_TEXTS = Path(__file__).parents[2] / "data" / "receipt-texts.jsonl"
TEXT = (
    b"id:00a1_b2 sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:Hi"
)


def a_receipt(text: bytes = TEXT, tlvs: Tlvs = (), number: int = 9, **fields: Any) -> bytes:
    fields = {"source_addr": b"33612345678", "destination_addr": b"12345", "esm_class": 4} | fields
    return encode_pdu(Pdu(CommandId.DELIVER_SM, 0, number, {"short_message": text, **fields}, tlvs))


def read(
    data: bytes, in_flight: dict[int, int] | None = None, *, receipts: bool = True
) -> tuple[Columns, Any]:
    columns = Columns()
    _, item = walk(data, 0, {} if in_flight is None else in_flight, columns, receipts=receipts)
    return columns, item


@pytest.mark.parametrize(
    "tlvs",
    [
        (),
        ((Tag.RECEIPTED_MESSAGE_ID, b"00a1_b2\0"), (Tag.MESSAGE_STATE, b"\x02")),
        ((Tag.MESSAGE_STATE, b"\x00"), (Tag.NETWORK_ERROR_CODE, b"000")),
    ],
)
@pytest.mark.parametrize(
    "text", [TEXT, TEXT.removesuffix(b" text:Hi"), TEXT + b"\0", TEXT.replace(b":Hi", b":\xff\x1b~")]
)
@pytest.mark.parametrize("esm_class", [0x04, 0x84])
def test_a_receipt_of_the_common_form_is_a_row(text: bytes, tlvs: Tlvs, esm_class: int) -> None:
    columns, item = read(a_receipt(text, tlvs, esm_class=esm_class, data_coding=3) * 2)
    assert item is None
    assert columns.sequence_numbers == [9, 9]
    assert columns.receipt_ids == [b"00a1_b2"] * 2
    assert columns.other_ids == [b""] * 2
    assert columns.states == [ReceiptState.DELIVRD] * 2
    assert columns.errors == [b"000"] * 2


def test_when_text_and_tlv_name_different_ids_both_are_told() -> None:
    """As in a captured receipt: decimal in the text, hexadecimal in the TLV."""
    text = TEXT.replace(b"00a1_b2", b"59113978")
    columns, _ = read(a_receipt(text, ((Tag.RECEIPTED_MESSAGE_ID, b"38601fa\0"),)))
    assert (columns.receipt_ids, columns.other_ids) == ([b"38601fa"], [b"59113978"])


@pytest.mark.parametrize("line", RECEIPT_TEXTS.read_text("utf-8").splitlines())
def test_what_the_fast_reader_takes_it_reads_as_the_tolerant_parser_does(line: str) -> None:
    text = bytes.fromhex(json.loads(line)["hex"])
    columns, item = read(a_receipt(text))
    if item is None:
        receipt = parse_receipt(text)
        assert receipt is not None
        assert columns.receipt_ids == [receipt.message_id]
        assert columns.states == [receipt.state]
        assert columns.errors == [receipt.error.encode()]


def test_the_state_of_the_tlv_goes_before_the_word() -> None:
    columns, _ = read(a_receipt(tlvs=((Tag.MESSAGE_STATE, b"\x05"),)))
    assert columns.states == [ReceiptState.UNDELIV]


@pytest.mark.parametrize(
    ("text", "tlvs", "fields"),
    [
        pytest.param(TEXT, (), {"esm_class": 0}, id="forged by an MO"),
        pytest.param(TEXT, (), {"esm_class": 0x20}, id="intermediate notification"),
        pytest.param(b"\x05\x00\x03\x01\x02\x01" + TEXT, (), {"esm_class": 0x44}, id="with a header"),
        pytest.param(b"", ((Tag.RECEIPTED_MESSAGE_ID, b"1"), (Tag.MESSAGE_STATE, b"\2")), {}, id="TLVs only"),
        pytest.param(TEXT.replace(b"00a1_b2", b""), (), {}, id="empty id"),
        pytest.param(TEXT.replace(b"DELIVRD", b"SICAPOK"), (), {}, id="unknown state"),
        pytest.param(TEXT.replace(b"err:000", b"err:00-1"), (), {}, id="odd error"),
        pytest.param(TEXT.replace(b" submit date:2611231200", b""), (), {}, id="a field is missing"),
        pytest.param(TEXT, ((0x1400, b"x"),), {}, id="a vendor's TLV"),
        pytest.param(TEXT, ((Tag.MESSAGE_STATE, b"\x09"),), {}, id="a state that does not exist"),
        pytest.param(b"OK", (), {}, id="some text"),
    ],
)
def test_any_other_deliver_sm_is_handed_up_whole(text: bytes, tlvs: Tlvs, fields: dict[str, Any]) -> None:
    octets = a_receipt(text, tlvs, **fields)
    columns, item = read(octets)
    assert not columns.sequence_numbers
    assert not columns.states
    assert isinstance(item, Frame)
    assert item.encode() == octets


def test_a_cut_tlv_or_a_lying_sm_length_is_handed_up() -> None:
    whole = a_receipt()
    text_at = whole.index(TEXT)
    for body in (
        whole[16:] + b"\x04\x27\x00\x05\x02",
        whole[16:] + b"\0",
        whole[16:-4],
        whole[16 : text_at - 1] + b"\x10" + whole[text_at:],
    ):
        columns, item = read(Frame(CommandId.DELIVER_SM, 9, 0, body).encode())
        assert isinstance(item, Frame)
        assert columns.states == []


@given(st.binary(max_size=80), st.integers(0, 120))
def test_random_octets_in_a_deliver_sm_raise_nothing(noise: bytes, at: int) -> None:
    body = a_receipt()[16:]
    body = body[:at] + noise + body[at + len(noise) :]
    columns, item = read(Frame(CommandId.DELIVER_SM, 9, 0, body).encode())
    assert (item is None) == (len(columns.states) == 1)
    assert all(1 <= state <= 8 for state in columns.states)


def test_before_the_bind_a_receipt_is_nothing_but_a_frame() -> None:
    columns, item = read(a_receipt(), receipts=False)
    assert isinstance(item, Frame)
    assert columns.states == []


def test_responses_take_their_slots_out_of_the_window_once() -> None:
    octets = submit_responses([1, 2, 1], [0, 0x58, 0], [b"a", b"", b"b"])
    in_flight = {1: 100, 2: 200, 3: 300}
    columns, item = read(octets, in_flight)
    assert (columns.slots, columns.statuses, columns.message_ids) == ([100, 200], [0, 0x58], [b"a", b""])
    assert in_flight == {3: 300}
    assert isinstance(item, Frame)  # the second answer to 1
    assert item.sequence_number == 1


def test_the_congestion_state_of_a_response_is_told() -> None:
    octets = encode_pdu(
        Pdu(CommandId.SUBMIT_SM_RESP, 0, 1, {"message_id": b"a"}, ((Tag.CONGESTION_STATE, b"\x55"),))
    )
    columns, _ = read(octets, {1: 7})
    assert (columns.message_ids, columns.congestion_state) == ([b"a"], 0x55)


def test_the_congestion_state_of_a_refusal_that_leaves_out_its_id_is_told() -> None:
    tlv = encode_tlvs(((Tag.CONGESTION_STATE, b"\x5f"),))
    columns, _ = read(Frame(CommandId.SUBMIT_SM_RESP, 1, Status.THROTTLED, tlv).encode(), {1: 7})
    assert (columns.message_ids, columns.congestion_state) == ([b""], 0x5F)


@given(st.binary(max_size=30), st.sampled_from([0, 0x58]))
def test_any_body_of_a_submit_response_is_read_as_the_general_decoder_reads_it(
    body: bytes, status: int
) -> None:
    frame = Frame(CommandId.SUBMIT_SM_RESP, 1, status, body)
    columns, item = read(frame.encode(), {1: 7})
    assert item is None
    assert columns.message_ids == [decode_pdu(frame).fields.get("message_id", b"")]


FIELDS = {
    "service_type": b"WAP",
    "source_addr_ton": 5,
    "source_addr": b"Boxman",
    "dest_addr_ton": 1,
    "dest_addr_npi": 1,
    "esm_class": 3,
    "validity_period": b"000000010000000R",
    "registered_delivery": 1,
    "data_coding": 8,
}


@given(st.lists(st.tuples(st.integers(1, 10**15), st.binary(max_size=255)), max_size=5))
def test_a_template_writes_what_the_general_encoder_writes(rows: list[tuple[int, bytes]]) -> None:
    tlvs = ((0x1400, b"PE"),)
    template = SubmitTemplate(tlvs, **FIELDS)
    destinations, texts = digits(row[0] for row in rows), [row[1] for row in rows]
    expected = [
        encode_body(CommandId.SUBMIT_SM, {**FIELDS, "destination_addr": d, "short_message": t})
        + encode_tlvs(tlvs)
        for d, t in zip(destinations, texts, strict=True)
    ]
    assert template.bodies_each(destinations, texts) == expected
    for body, destination, text in zip(expected, destinations, texts, strict=True):
        assert template.bodies([destination], text) == [body]


def test_a_text_that_is_too_long_is_refused_and_never_cut() -> None:
    template = SubmitTemplate(source_addr=b"1")
    with pytest.raises(BodyError) as caught:
        template.bodies([b"1"], bytes(256))
    assert caught.value.status == Status.INVMSGLEN
    with pytest.raises(BodyError):
        template.bodies_each([b"1", b"2"], [b"", bytes(256)])


def test_slices_of_requests_and_responses_are_ordinary_pdus() -> None:
    body = encode_body(CommandId.SUBMIT_SM, {"short_message": b"x"})
    octets = submit_frames([body, body], [5, 6]) + deliver_responses([7, 0xFFFF_FFFF], Status.MSGQFUL)
    assert [decode_pdu(frame)[:3] for frame in FrameDecoder().feed(octets)] == [
        (CommandId.SUBMIT_SM, 0, 5),
        (CommandId.SUBMIT_SM, 0, 6),
        (CommandId.DELIVER_SM_RESP, Status.MSGQFUL, 7),
        (CommandId.DELIVER_SM_RESP, Status.MSGQFUL, 0xFFFF_FFFF),
    ]


def test_every_state_has_its_word_and_every_word_a_state() -> None:
    assert {STATE_WORDS[state.name.encode()] for state in ReceiptState} == {
        int(state) for state in ReceiptState
    }
    assert {int(state) for state in ReceiptState} - FINAL == {
        ReceiptState.ENROUTE,
        ReceiptState.ACCEPTD,
        ReceiptState.UNKNOWN,
    }
