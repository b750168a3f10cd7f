"""What ESMEs submitted, in the carrier's manner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.clock import ManualClock
from smsgate.errors import BodyError, TextError
from smsgate.links.submitted import submitted_bodies
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame
from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.protocol.packing import unpack
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_body
from smsgate.protocol.tlvs import Tag, Tlvs, encode_tlvs, tlv_value
from tests.links.fake_smsc import a_profile

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HEADER = bytes.fromhex("050003070201")  # part 1 of 2, with one bit of fill after it


def written(
    payload: bytes | None = None,
    fields: dict[str, Any] | None = None,
    tlvs: Tlvs = (),
    *,
    with_tlvs: bool = True,
    **settings: Any,
) -> Pdu:
    """Return what a carrier of these settings gets for a submit_sm with these fields."""
    body = encode_body(CommandId.SUBMIT_SM, fields or {}) + encode_tlvs(tlvs)
    if payload is not None:
        body += encode_tlvs(((Tag.MESSAGE_PAYLOAD, payload),))
    (made,) = submitted_bodies(
        a_profile(2775, **settings),
        ManualClock(NOON),
        "38123",
        [33612345678],
        [body],
        NOON + timedelta(hours=1),
        with_tlvs=with_tlvs,
    )
    return decode_pdu(Frame(CommandId.SUBMIT_SM, 0, 0, made))


def test_a_carrier_that_wants_septets_packed_gets_an_esmes_text_packed() -> None:
    text = encode_gsm("Rendez-vous demain à 9 h, 5 €")
    made = written(fields={"short_message": text}, packed=True)
    assert unpack(made.fields["short_message"], count=len(text)) == text
    part = written(fields={"short_message": HEADER + text, "esm_class": 0x40}, packed=True)
    assert part.fields["short_message"][: len(HEADER)] == HEADER
    assert unpack(part.fields["short_message"][len(HEADER) :], fill_bits=1, count=len(text)) == text
    long = written(payload=text * 20, packed=True)
    payload = tlv_value(long.tlvs, Tag.MESSAGE_PAYLOAD)
    assert payload is not None
    assert unpack(payload, count=len(text) * 20) == text * 20


def test_what_is_no_text_of_the_default_alphabet_is_not_packed() -> None:
    for data_coding in (3, 4, 8):
        fields = {"short_message": "Été".encode("utf-16-be"), "data_coding": data_coding}
        made = written(fields=fields, packed=True)
        assert made.fields["short_message"] == fields["short_message"]


def test_octets_that_are_no_septets_are_refused_by_a_carrier_that_packs() -> None:
    with pytest.raises(TextError) as refused:
        written(fields={"short_message": b"\xe9t\xe9"}, packed=True)
    assert refused.value.code == "not_in_alphabet"


def test_an_esmes_vendor_tlvs_reach_the_carrier_that_lets_a_message_bring_them() -> None:
    demanded: dict[str, Any] = {
        "tlvs_out": ({"tag": 0x1400, "value": "ours"}, {"tag": 0x1401, "value": "default"})
    }
    asked = ((Tag.USER_MESSAGE_REFERENCE, b"\0\7"), (0x1401, b"template"), (0x1402, b"nobody asked"))
    made = written(tlvs=asked, message_tlvs=(0x1401,), **demanded)
    assert set(made.tlvs) == {(0x1400, b"ours"), (0x1401, b"template"), (Tag.USER_MESSAGE_REFERENCE, b"\0\7")}
    made = written(tlvs=asked, **demanded)
    assert set(made.tlvs) == {(0x1400, b"ours"), (0x1401, b"default"), (Tag.USER_MESSAGE_REFERENCE, b"\0\7")}
    assert written(tlvs=asked).tlvs == ((Tag.USER_MESSAGE_REFERENCE, b"\0\7"),)


@pytest.mark.parametrize(
    "tlvs",
    [
        (
            (Tag.SAR_MSG_REF_NUM, b"\0\7"),
            (Tag.SAR_TOTAL_SEGMENTS, b"\2"),
            (Tag.SAR_SEGMENT_SEQNUM, b"\1"),
        ),
        ((Tag.DESTINATION_PORT, b"\x0b\x84"),),
        ((Tag.SOURCE_PORT, b"\x23\xf0"),),
    ],
)
def test_a_part_or_a_port_that_only_a_tlv_tells_is_no_text_for_a_carrier_without_tlvs(tlvs: Tlvs) -> None:
    """Written without them a phone shows parts as texts of their own, and what is for a port as garbage."""
    fields = {"short_message": b"x"}
    assert written(fields=fields, tlvs=tlvs).tlvs == tlvs
    with pytest.raises(BodyError):
        written(fields=fields, tlvs=tlvs, with_tlvs=False)


def test_tlvs_that_change_nothing_of_the_text_are_left_out_for_a_carrier_without_tlvs() -> None:
    alone = (
        (Tag.USER_MESSAGE_REFERENCE, b"\0\7"),
        (Tag.SAR_TOTAL_SEGMENTS, b"\1"),
        (Tag.SAR_SEGMENT_SEQNUM, b"\1"),
    )
    made = written(payload=b"x", tlvs=alone, with_tlvs=False)
    assert (made.fields["short_message"], made.tlvs) == (b"x", ())
