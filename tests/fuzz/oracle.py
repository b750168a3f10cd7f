"""What has to hold for any octets: only declared errors leave the codec, and its roads agree."""

from __future__ import annotations

from random import Random

from smsgate.errors import BodyError, FramingError
from smsgate.protocol.columns import Columns, walk
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.inspection import encode_inspected, inspect_pdu, inspect_receipt_text
from smsgate.protocol.mo_text import read_mo
from smsgate.protocol.pdus import decode_pdu, encode_pdu
from smsgate.protocol.receipts import parse_receipt, receipt_date, receipt_fields
from smsgate.protocol.tlvs import Tag, tlv_number, tlv_value
from tests.fuzz.streams import receipt

IN_FLIGHT = dict.fromkeys((1, 2, 7, 15, 16, 171192033), 0)


def try_stream(octets: bytes, rnd: Random) -> None:
    """Give one stream to every road of the codec. Raises whatever should not be raised."""
    frames, error = _framed(octets, rnd)
    for frame in frames:
        _decoded(frame)
    _walked(octets, frames, error)
    if rnd.random() < 0.25:
        found = inspect_pdu(octets)
        if "error" not in found and rnd.random() < 0.5:
            made = encode_inspected(found["fields"], found["tlvs"])
            assert inspect_pdu(made)["fields"].keys() >= found["fields"].keys() - {"udh"}
    choice = rnd.random()  # reading a receipt costs more than all the rest
    if choice < 0.25:
        _receipt(receipt(rnd))
    elif choice < 0.3:
        _receipt(octets)


def _framed(octets: bytes, rnd: Random) -> tuple[list[Frame], str]:
    """Cut the stream, in one block or in two, and say what ended it."""
    decoder = FrameDecoder()
    frames: list[Frame] = []
    at = int(rnd.random() * len(octets)) if rnd.random() < 0.5 else 0
    try:
        for piece in (octets[:at], octets[at:]):
            frames.extend(decoder.feed(piece))
    except FramingError as exc:
        return frames, str(exc)
    return frames, ""


def _decoded(frame: Frame) -> None:
    try:
        pdu = decode_pdu(frame)
    except BodyError as exc:
        assert exc.status  # noqa: PT017 - any outcome is allowed, a refusal without a status is not
        return
    again = encode_pdu(pdu)
    (second,) = FrameDecoder().feed(again)
    assert decode_pdu(second) == pdu._replace(dropped=0)
    if frame.command_id in {CommandId.DELIVER_SM, CommandId.DATA_SM}:
        sar = [tlv_number(pdu.tlvs, tag) for tag in (0x020C, 0x020E, 0x020F)]
        read_mo(
            pdu.fields.get("short_message", b""),
            pdu.fields["data_coding"],
            pdu.fields["esm_class"],
            message_payload=tlv_value(pdu.tlvs, Tag.MESSAGE_PAYLOAD),
            sar=None if None in sar else (sar[0] or 0, sar[1] or 0, sar[2] or 0),
        )


def _walked(octets: bytes, frames: list[Frame], error: str) -> None:
    """The bulk road passes as many PDUs as the framing finds, and ends where and why it ends."""
    columns, start, rare = Columns(), 0, 0
    in_flight = IN_FLIGHT.copy()
    while True:
        start, found = walk(octets, start, in_flight, columns, receipts=True)
        if not isinstance(found, Frame):
            break
        rare += 1
    assert rare + len(columns.slots) + len(columns.sequence_numbers) == len(frames)
    assert start == sum(16 + len(frame.body) for frame in frames)
    assert ("" if found is None else str(found)) == error


def _receipt(octets: bytes) -> None:
    marked = parse_receipt(octets)
    if parse_receipt(octets, marked=False) is not None:
        assert marked is not None
    if marked is not None:
        assert 1 <= marked.state <= 8
    for name, value in receipt_fields(octets).items():
        if name.endswith("_date"):
            receipt_date(value.decode("latin-1"))
    inspect_receipt_text(octets)
