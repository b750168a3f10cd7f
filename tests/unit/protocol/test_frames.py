from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import FramingError
from smsgate.protocol.columns import Columns, walk
from smsgate.protocol.commands import CommandId, command_name, status_name, status_text
from smsgate.protocol.frames import COMMAND_LENGTH_MAX, HEADER, Frame, FrameDecoder

UINT32 = st.integers(0, 0xFFFF_FFFF)
FRAMES = st.lists(st.builds(Frame, UINT32, UINT32, UINT32, st.binary(max_size=60)), max_size=6)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(FRAMES, st.lists(st.integers(0, 1000), max_size=8))
def test_frames_survive_any_cut_of_the_stream(frames: list[Frame], cuts: list[int]) -> None:
    decoder = FrameDecoder()
    stream = b"".join(frame.encode() for frame in frames)
    assert [frame for piece in pieces(stream, cuts) for frame in decoder.feed(piece)] == frames


@given(FRAMES, st.binary(max_size=40))
def test_the_bulk_walk_cuts_a_stream_as_the_decoder_does(frames: list[Frame], tail: bytes) -> None:
    stream = b"".join(frame.encode() for frame in frames) + tail
    decoder = FrameDecoder().feed(stream)
    expected: list[Frame] = []
    broken = False
    try:
        while (frame := next(decoder, None)) is not None:
            expected.append(frame)
    except FramingError:
        broken = True
    seen: list[Frame] = []
    position = 0
    while True:
        position, item = walk(stream, position, {}, Columns(), receipts=False)
        if not isinstance(item, Frame):
            break
        seen.append(item)
    assert seen == expected
    assert isinstance(item, FramingError) == broken


def test_the_frames_before_a_lying_header_still_count() -> None:
    good = Frame(CommandId.ENQUIRE_LINK, 7)
    decoder = FrameDecoder()
    stream = decoder.feed(good.encode() + bytes(16) + good.encode())
    assert next(stream) == good
    with pytest.raises(FramingError):
        next(stream)
    with pytest.raises(FramingError):
        next(decoder.feed(good.encode()))


@pytest.mark.parametrize("length", [0, 15, COMMAND_LENGTH_MAX + 1, 0xFFFF_FFFF])
def test_a_lying_length_is_refused_at_its_fourth_octet_and_allocates_nothing(length: int) -> None:
    decoder = FrameDecoder()
    octets = HEADER.pack(length, 5, 0, 1)
    assert list(decoder.feed(octets[:3])) == []
    tracemalloc.start()
    try:
        with pytest.raises(FramingError):
            list(decoder.feed(octets[3:]))
        assert tracemalloc.get_traced_memory()[1] < 65_536
    finally:
        tracemalloc.stop()


def test_another_protocol_on_the_port_is_named_in_the_error() -> None:
    with pytest.raises(FramingError, match="HTTP"):
        list(FrameDecoder().feed(b"HTTP/1.1 400 Bad Request\r\n"))


def test_a_message_of_64_kib_passes_and_the_limit_is_a_setting() -> None:
    frame = Frame(CommandId.DELIVER_SM, 1, 0, b"x" * 66_000)
    assert list(FrameDecoder().feed(frame.encode())) == [frame]
    with pytest.raises(FramingError):
        list(FrameDecoder(command_length_max=10_000).feed(frame.encode()))


def test_numbers_have_the_names_of_the_specification_and_vendors_numbers_stay_numbers() -> None:
    assert status_name(0x58) == "ESME_RTHROTTLED (0x58)"
    assert status_name(0x4A1) == "0x4a1"
    assert status_text(0x0E) == "ESME_RINVPASWD (0x0e): Invalid Password"
    assert status_text(0x07) == "ESME_RINVREGDLVFLG (0x07)"
    assert status_text(0x4A1) == "0x4a1"
    assert command_name(CommandId.SUBMIT_SM_RESP) == "submit_sm_resp"
    assert command_name(0x1234) == "0x00001234"
