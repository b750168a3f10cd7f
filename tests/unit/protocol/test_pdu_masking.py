from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdu_masking import masked
from smsgate.protocol.pdus import Address, Pdu, decode_pdu, encode_pdu
from smsgate.protocol.tlvs import Tag, tlv_value

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "protocol-vectors.jsonl").read_text().splitlines()
]


def covered(pdu: Pdu, *, texts: bool = False, numbers: bool = False) -> Pdu:
    [frame] = FrameDecoder().feed(masked(encode_pdu(pdu), texts=texts, numbers=numbers))
    return decode_pdu(frame)


def a_deliver(text: bytes, **fields: object) -> Pdu:
    known = {"source_addr": b"33612345678", "destination_addr": b"36111", "short_message": text}
    return Pdu(CommandId.DELIVER_SM, 0, 7, known | fields)


@pytest.mark.parametrize("command_id", [CommandId.BIND_TRANSCEIVER, CommandId.OUTBIND])
def test_a_password_is_covered_whatever_is_asked_for(command_id: int) -> None:
    bind = Pdu(command_id, 0, 1, {"system_id": b"boxman", "password": b"s3cret"})
    assert covered(bind, texts=True, numbers=True).fields["password"] == b"******"
    assert covered(bind).fields["system_id"] == b"boxman"


def test_a_text_is_covered_and_its_length_is_kept() -> None:
    assert covered(a_deliver(b"OK for two")).fields["short_message"] == b"xxxxxxxxxx"
    assert covered(a_deliver(b"OK for two"), texts=True).fields["short_message"] == b"OK for two"


def test_a_text_in_ucs2_is_covered_by_words_that_show_as_letters() -> None:
    pdu = a_deliver("Привет".encode("utf-16-be"), data_coding=8)
    assert covered(pdu).fields["short_message"].decode("utf-16-be") == "xxxxxx"


def test_a_user_data_header_stays() -> None:
    header = bytes((5, 0, 3, 9, 2, 1))
    pdu = a_deliver(header + b"first part", esm_class=0x40)
    assert covered(pdu).fields["short_message"] == header + b"x" * 10


def test_a_header_longer_than_its_message_is_covered_with_it() -> None:
    assert covered(a_deliver(b"\xffsecret", esm_class=0x40)).fields["short_message"] == b"xxxxxxx"


def test_a_receipt_keeps_what_the_smsc_says_and_not_what_the_customer_was_told() -> None:
    text = (
        b"id:17 sub:001 dlvrd:001 submit date:2611261200 done date:2611261201 stat:DELIVRD err:000 text:Hello"
    )
    shown = covered(a_deliver(text, esm_class=4)).fields["short_message"]
    assert shown == text[:-5] + b"xxxxx"


def test_message_payload_and_callback_number_are_covered() -> None:
    pdu = Pdu(
        CommandId.DATA_SM,
        0,
        7,
        {},
        ((Tag.MESSAGE_PAYLOAD, b"hello"), (Tag.CALLBACK_NUM, b"\x01\x01\x0133612345678")),
    )
    shown = covered(pdu)
    assert tlv_value(shown.tlvs, Tag.MESSAGE_PAYLOAD) == b"xxxxx"
    assert tlv_value(shown.tlvs, Tag.CALLBACK_NUM) == b"\x01\x01\x0133*******78"


def test_subscribers_are_covered_and_services_are_not() -> None:
    shown = covered(a_deliver(b"")).fields
    assert (shown["source_addr"], shown["destination_addr"]) == (b"33*******78", b"36111")
    assert covered(a_deliver(b""), numbers=True).fields["source_addr"] == b"33612345678"
    assert covered(a_deliver(b"", source_addr=b"BOXMAN-SHOP")).fields["source_addr"] == b"BOXMAN-SHOP"


def test_every_destination_of_a_submit_multi_is_covered() -> None:
    fields = {"dest_address": (Address(1, 1, b"33612345678"), Address(list_name=b"everybody"))}
    shown = covered(Pdu(CommandId.SUBMIT_MULTI, 0, 7, fields)).fields["dest_address"]
    assert shown == (Address(1, 1, b"33*******78"), Address(list_name=b"everybody"))


def test_what_has_no_known_form_is_covered_whole() -> None:
    vendor = Frame(0x0001_0200, 7, 0, b"any secret").encode()
    assert masked(vendor) == vendor[:16] + b"x" * 10
    cut_bind = Frame(CommandId.BIND_TRANSCEIVER, 1, 0, b"boxman\0s3cret").encode()
    assert masked(cut_bind, texts=True, numbers=True) == cut_bind[:16] + b"boxman\0xxxxxx"


@pytest.mark.parametrize(
    "row", [row for row in VECTORS if row["pdu"] != "receipt_text"], ids=lambda row: row["id"]
)
def test_masking_changes_no_length_and_no_structure(row: dict[str, str]) -> None:
    octets = bytes.fromhex(row["hex"])
    assert len(masked(octets)) == len(octets)
    assert masked(masked(octets)) == masked(octets)
    assert masked(octets)[:16] == octets[:16]


@given(st.binary(max_size=300))
def test_masking_never_raises(octets: bytes) -> None:
    assert len(masked(octets)) == len(octets)
    with_header = Frame(CommandId.SUBMIT_MULTI, 1, 0, octets).encode()
    assert len(masked(with_header)) == len(with_header)
