from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgate.errors import TextError
from smsgate.protocol.encodings import ALL_SHIFTS
from smsgate.protocol.mo_text import decode_text
from smsgate.protocol.segmentation import Concat, measure, segment
from smsgate.protocol.shift_tables import DEFAULT, Shift
from smsgate.protocol.tlvs import Tag, tlv_number, tlv_value
from tests.fuzz.texts import CONCATS, PIECES, PIECES_MAX, check_cut

TEXTS = st.lists(st.sampled_from(PIECES), max_size=PIECES_MAX).map("".join)


@settings(max_examples=1_000)
@given(TEXTS, st.sampled_from(CONCATS), st.sampled_from([DEFAULT, *ALL_SHIFTS]))
def test_parts_joined_are_the_text_and_no_character_is_cut(text: str, concat: Concat, shift: Shift) -> None:
    check_cut(text, concat, shift)


@given(TEXTS, st.sampled_from([DEFAULT, *ALL_SHIFTS]))
def test_what_is_measured_is_what_is_sent(text: str, shift: Shift) -> None:
    air, segments = measure(text, shift=shift), segment(text, shift=shift)
    assert air.segments == len(segments.short_messages)
    assert air.segment_units == segments.units
    assert air.units == sum(air.segment_units)
    assert all(len(m) <= (160 if air.encoding == "gsm7" else 140) for m in segments.short_messages)


@pytest.mark.parametrize(
    ("cluster", "sizes"),
    [
        ("😀", (66, 67, 1)),  # a surrogate pair
        ("🇫🇷", (66, 67, 3)),  # a flag: two pairs
        ("👨‍👩‍👧", (66, 67, 7)),  # a family: three pairs and two joiners
        ("я\u0301", (66, 67, 1)),  # a letter and its accent
    ],
)
def test_what_a_reader_takes_for_one_character_stays_whole(cluster: str, sizes: tuple[int, ...]) -> None:
    assert measure("я" * 66 + cluster + "я" * 66).segment_units == sizes


def test_a_cluster_longer_than_a_part_is_cut_between_code_points() -> None:
    text = "я" * 10 + "Z" + "\u0300" * 100
    assert measure(text).segment_units == (67, 44)


def test_an_escape_pair_is_never_cut() -> None:
    assert measure("a" * 152 + "€" + "a" * 100).segment_units == (152, 102)


def test_sar_parts_have_no_header_and_are_told_by_tlvs() -> None:
    segments = segment("a" * 161, concat="sar", reference=0xABCD)
    assert segments.esm_class == 0
    assert [len(m) for m in segments.short_messages] == [153, 8]
    told = [
        [
            tlv_number(tlvs, tag)
            for tag in (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
        ]
        for tlvs in segments.tlvs
    ]
    assert told == [[0xABCD, 2, 1], [0xABCD, 2, 2]]


def test_message_payload_carries_the_whole_text_and_counts_its_segments() -> None:
    segments = segment("я" * 71, concat="payload")
    assert segments.short_messages == (b"",)
    payload = tlv_value(segments.tlvs[0], Tag.MESSAGE_PAYLOAD)
    assert payload is not None
    assert decode_text(payload, "utf-16-be") == "я" * 71
    assert segments.units == (67, 4)


def test_a_short_text_is_the_same_however_long_ones_are_told() -> None:
    assert len({segment("OK", concat=concat) for concat in [*CONCATS, "payload"]}) == 1


@pytest.mark.parametrize("concat", CONCATS)
def test_a_text_that_is_too_long_is_refused_and_never_cut(concat: Concat) -> None:
    with pytest.raises(TextError) as caught:
        segment("€" * 20_000, concat=concat)
    assert caught.value.code == "text_too_long"
