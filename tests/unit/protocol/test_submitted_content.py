"""What an ESME may put into a message, how many segments it makes, and times as SMPP writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.protocol.commands import Status
from smsgate.protocol.frames import Frame
from smsgate.protocol.pdus import decode_pdu
from smsgate.protocol.receipt_pdus import receipt_body
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.receipts import parse_receipt
from smsgate.protocol.submitted_content import (
    INVDCS,
    PASSING_TAGS,
    REPEATED_MAX,
    VENDOR_OCTETS_MAX,
    VENDOR_TAGS,
    VENDOR_TAGS_MAX,
    content_refusal,
    header_elements,
    message_class,
    segments_of,
)
from smsgate.protocol.times import absolute_time, read_time, relative_time
from smsgate.protocol.tlvs import Tag

NOW = datetime(2026, 11, 26, 15, 4, 5, tzinfo=UTC)


def fields_of(**changes: Any) -> dict[str, Any]:
    return {"esm_class": 0, "protocol_id": 0, "data_coding": 0, "short_message": b"text", **changes}


@pytest.mark.parametrize(
    ("data_coding", "octets", "segments"),
    [
        (0, 160, 1),
        (0, 161, 2),
        (0, 306, 2),
        (0, 307, 3),
        (3, 160, 1),
        (8, 140, 1),
        (8, 142, 2),
        (8, 268, 2),
        (8, 269, 3),
        (4, 141, 2),
        (0x48, 142, 2),
        (0x54, 141, 2),
        (0, 0, 1),
    ],
)
def test_a_payload_counts_as_the_segments_that_it_makes(data_coding: int, octets: int, segments: int) -> None:
    payload = ((Tag.MESSAGE_PAYLOAD, b"x" * octets),)
    assert segments_of(fields_of(data_coding=data_coding, short_message=b""), payload) == segments


@pytest.mark.parametrize(
    ("data_coding", "expected"),
    [(0, None), (8, None), (0xF0, 0), (0xF5, 1), (0xF2, 2), (0xF6, 2), (0x12, 2), (0x02, None), (0xC8, None)],
)
def test_the_class_of_a_message_is_read_from_its_data_coding(data_coding: int, expected: int | None) -> None:
    assert message_class(data_coding) == expected
    if expected == 2:
        assert content_refusal(fields_of(data_coding=data_coding), (), allow_binary=True) == INVDCS


@pytest.mark.parametrize("group", [0x00, 0x10, 0x40, 0x50, 0x60])
def test_octets_are_octets_also_of_a_message_that_is_marked_for_deletion(group: int) -> None:
    """TS 23.038 §4: group 01xx is coded exactly as group 00xx."""
    refusal = content_refusal(fields_of(data_coding=group | 0x04), (), allow_binary=False)
    assert refusal == INVDCS


@pytest.mark.parametrize("protocol_id", [0x40, 0x7C, 0x7D, 0x7E, 0x7F])
def test_what_only_operators_send_is_refused_to_everybody(protocol_id: int) -> None:
    refusal = content_refusal(fields_of(protocol_id=protocol_id), (), allow_binary=True)
    assert refusal == Status.SUBMITFAIL


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((Tag.DEST_ADDR_SUBUNIT, b"\0"), (Tag.DEST_ADDR_SUBUNIT, b"\3")),  # the SIM hides behind the display
        ((Tag.MESSAGE_PAYLOAD, b"short"), (Tag.MESSAGE_PAYLOAD, b"x" * 20_000)),  # 131 segments behind one
        ((Tag.MESSAGE_PAYLOAD, b""), (Tag.MESSAGE_PAYLOAD, b"x" * 20_000)),
    ],
)
def test_an_optional_parameter_cannot_hide_behind_another_of_its_kind(
    first: tuple[int, bytes], second: tuple[int, bytes]
) -> None:
    assert content_refusal(fields_of(short_message=b""), (first,), allow_binary=False) == 0
    both = content_refusal(fields_of(short_message=b""), (first, second), allow_binary=True)
    assert both == Status.INVOPTPARSTREAM


@pytest.mark.parametrize(("tag", "octets_max"), [each for each in PASSING_TAGS.items() if each[1] < 100])
def test_an_optional_parameter_that_passes_has_at_most_its_octets(tag: int, octets_max: int) -> None:
    fields = fields_of(data_coding=0)
    assert content_refusal(fields, ((tag, b"\0" * octets_max),), allow_binary=True) == 0
    assert content_refusal(fields, ((tag, b"\0" * (octets_max + 1)),), allow_binary=True) == Status.INVPARLEN


def test_vendors_parameters_stand_once_each_within_what_the_api_takes() -> None:
    full = tuple((tag, b"x" * VENDOR_OCTETS_MAX) for tag in VENDOR_TAGS[:VENDOR_TAGS_MAX])
    assert content_refusal(fields_of(), full, allow_binary=False) == 0
    for more in ((VENDOR_TAGS[-1], b""), full[0]):
        assert content_refusal(fields_of(), (*full, more), allow_binary=False) == Status.INVOPTPARSTREAM
    long = ((0x1400, b"x" * (VENDOR_OCTETS_MAX + 1)),)
    assert content_refusal(fields_of(), long, allow_binary=False) == Status.INVPARLEN


def test_what_does_not_pass_is_not_judged_and_call_back_numbers_may_be_several() -> None:
    reserved = ((0x4000, b"x" * 5_000),) * 3
    assert content_refusal(fields_of(), reserved, allow_binary=False) == 0
    several = ((Tag.CALLBACK_NUM, b"\1\1\1331234567"),) * REPEATED_MAX
    assert content_refusal(fields_of(), several, allow_binary=False) == 0
    more = (*several, several[0])
    assert content_refusal(fields_of(), more, allow_binary=False) == Status.INVOPTPARSTREAM


@given(st.binary(max_size=60))
def test_a_header_of_any_octets_is_read_or_is_none(octets: bytes) -> None:
    elements = header_elements(octets)
    if elements is None:
        refusal = content_refusal(fields_of(esm_class=0x40, short_message=octets), (), allow_binary=True)
        assert refusal == Status.INVESMCLASS
    else:
        assert octets[0] < len(octets)


@given(st.integers(1_000_000_000, 4_000_000_000))
def test_an_absolute_time_is_read_as_it_was_written(second: int) -> None:
    at = datetime.fromtimestamp(second, UTC)
    assert read_time(absolute_time(at), NOW) == at


@given(st.integers(0, 30 * 86_400))
def test_a_relative_time_is_read_from_now(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert read_time(relative_time(span), NOW) == NOW + span


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"261126170405008+", datetime(2026, 11, 26, 15, 4, 5, tzinfo=UTC)),
        (b"261126130405908-", datetime(2026, 11, 26, 15, 4, 5, 900_000, tzinfo=UTC)),
        (b"000100000000000R", NOW + timedelta(days=30)),
        (b"261326170405008+", None),
        (b"261126170405099+", None),
        (b"261126170405", None),
        (b"", None),
    ],
)
def test_times_of_other_zones_are_read_and_what_is_none_is_none(
    octets: bytes, expected: datetime | None
) -> None:
    assert read_time(octets, NOW) == expected


@pytest.mark.parametrize("state", ReceiptState)
def test_a_receipt_that_we_write_is_one_that_we_read(state: ReceiptState) -> None:
    body = receipt_body(
        message_id=b"1vyUGuusNiaVq5yQMK9mDg",
        state=state,
        error=b"11",
        submitted_at=NOW,
        done_at=NOW + timedelta(minutes=1),
        source=(1, 1, b"33612345678"),
        destination=(3, 0, b"38123"),
        quoted=b"Rendez-vous demain 9 h, Dr Martin",
        user_message_reference=b"\x12\x34",
    )
    pdu = decode_pdu(Frame(5, 1, 0, body))
    read = parse_receipt(pdu.fields["short_message"])
    assert read is not None
    assert (read.message_id, read.state, read.error) == (b"1vyUGuusNiaVq5yQMK9mDg", state, "011")
    assert pdu.fields["short_message"].endswith(b" text:Rendez-vous demain 9")
    tlvs = dict(pdu.tlvs)
    assert tlvs[Tag.RECEIPTED_MESSAGE_ID] == b"1vyUGuusNiaVq5yQMK9mDg\0"
    assert tlvs[Tag.MESSAGE_STATE] == bytes((state,))
    assert tlvs[Tag.NETWORK_ERROR_CODE] == b"\x03\x00\x0b"
    assert tlvs[Tag.USER_MESSAGE_REFERENCE] == b"\x12\x34"
    intermediate = state in {ReceiptState.ENROUTE, ReceiptState.ACCEPTD}
    assert pdu.fields["esm_class"] == (0x20 if intermediate else 0x04)
