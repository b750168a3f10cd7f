"""
The bulk path: a slice of submit_sm out, a read of responses and receipts in, no object per message.

Source: SMPP 3.4 §4.4 (submit_sm), §4.6 (deliver_sm), Appendix B (receipt text). Whatever does not have the
common form is left to `pdus`, which is slower and forgives more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from smsgate.compiled import COMPILED, pump
from smsgate.errors import BodyError
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.frames import COMMAND_LENGTH_MAX, HEADER, HEADER_SIZE, Frame, framing_error
from smsgate.protocol.pdus import SHORT_MESSAGE_MAX, decode_pdu, encode_body
from smsgate.protocol.receipt_states import STATE_WORDS
from smsgate.protocol.receipts import MESSAGE_ID_OCTETS_MAX
from smsgate.protocol.runs import RECEIPT, read_run
from smsgate.protocol.session_states import Receipts, SubmitAnswers
from smsgate.protocol.tlvs import TLV_HEAD, Tag, Tlvs, encode_tlvs, parse_tlvs, tlv_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from smsgate.errors import FramingError
    from smsgate.protocol.session_states import Event

# It may read past sm_length: `_read_receipt` looks.
_RECEIPT: Final = re.compile(RECEIPT, re.DOTALL)
# TLVs of a receipt that the columns can do without; any other one is somebody's data: hand the PDU up.
_IGNORED_TAGS: Final = frozenset({Tag.NETWORK_ERROR_CODE, Tag.USER_MESSAGE_REFERENCE})
_SPACE: Final = 0x20
# Most receipts bring these two TLVs and no other, in this order: the text's id again, and a state.
_SAME_ID_HEADS: Final = tuple(
    TLV_HEAD.pack(Tag.RECEIPTED_MESSAGE_ID, size + 1) for size in range(MESSAGE_ID_OCTETS_MAX + 1)
)
_STATE_HEAD: Final = b"\0" + TLV_HEAD.pack(Tag.MESSAGE_STATE, 1)
# Plain numbers: a member of an enumeration costs two look-ups a PDU.
_SUBMIT_SM_RESP: Final = int(CommandId.SUBMIT_SM_RESP)
_DELIVER_SM: Final = int(CommandId.DELIVER_SM)
_SUBMIT_SM: Final = int(CommandId.SUBMIT_SM)
_DELIVER_SM_RESP: Final = int(CommandId.DELIVER_SM_RESP)


class Columns:
    """What one read contained. Lists of one group are as long as each other; a row is a message."""

    __slots__ = (
        "congestion_state",
        "errors",
        "message_ids",
        "other_ids",
        "receipt_ids",
        "sequence_numbers",
        "slots",
        "states",
        "statuses",
    )

    def __init__(self) -> None:
        self.slots: list[int] = []
        self.statuses: list[int] = []
        self.message_ids: list[bytes] = []
        self.congestion_state: int | None = None
        self.sequence_numbers: list[int] = []
        self.receipt_ids: list[bytes] = []
        self.other_ids: list[bytes] = []
        self.states: list[int] = []
        self.errors: list[bytes] = []

    def events(self) -> list[Event]:
        events: list[Event] = []
        if self.slots:
            events.append(SubmitAnswers(self.slots, self.statuses, self.message_ids, self.congestion_state))
        if self.sequence_numbers:
            events.append(
                Receipts(self.sequence_numbers, self.receipt_ids, self.other_ids, self.states, self.errors)
            )
        return events


def walk(
    data: bytes,
    start: int,
    in_flight: dict[int, int],
    columns: Columns,
    *,
    receipts: bool,
    command_length_max: int = COMMAND_LENGTH_MAX,
) -> tuple[int, Frame | FramingError | None]:
    """
    Read PDUs from `data[start:]` into `columns` up to the first that is not for the bulk path.

    Submit responses take their slot out of `in_flight` (sequence_number to slot); receipts are read only
    when `receipts`, in the states where a deliver_sm may come.

    Returns:
        Where reading ended, and what is there: the rare frame (already passed), None when an incomplete
        frame or nothing is left, or the error that ends the link.
    """
    end = len(data)
    unpack, take = HEADER.unpack_from, in_flight.pop
    runs = not COMPILED
    while end - start >= HEADER_SIZE:
        if runs:
            octets = read_run(data, start, in_flight, columns, receipts=receipts, longest=command_length_max)
            start += octets
            runs = octets > 0  # where one was read there may be another
            continue
        if COMPILED:
            start = pump.read_common(
                data, start, in_flight, columns, receipts, command_length_max, STATE_WORDS
            )
            if end - start < HEADER_SIZE:
                break
        length, command_id, status, number = unpack(data, start)
        if not HEADER_SIZE <= length <= command_length_max:
            return start, framing_error(length)
        stop = start + length
        if stop > end:
            return start, None
        body = start + HEADER_SIZE
        if command_id == _SUBMIT_SM_RESP and (slot := take(number, None)) is not None:
            nul = data.find(0, body, stop)
            columns.slots.append(slot)
            columns.statuses.append(status)
            if status and body < stop:
                refusal = decode_pdu(Frame(command_id, number, status, data[body:stop]))  # of many forms
                columns.message_ids.append(refusal.fields.get("message_id", b""))
                _note_congestion(refusal.tlvs, columns)
            else:
                columns.message_ids.append(data[body : nul if nul >= 0 else stop])
                if 0 <= nul < stop - TLV_HEAD.size:
                    _note_congestion(parse_tlvs(data, nul + 1, stop)[0], columns)
        elif not (
            receipts and command_id == _DELIVER_SM and _read_receipt(data, body, stop, number, columns)
        ):
            return stop, Frame(command_id, number, status, data[body:stop])
        start = stop
    return start, _early_error(data, start, command_length_max)


def _early_error(data: bytes, start: int, command_length_max: int) -> FramingError | None:
    """Refuse other protocols and absurd lengths before the header is whole."""
    if len(data) - start < 4:
        return None
    length = int.from_bytes(data[start : start + 4], "big")
    return None if HEADER_SIZE <= length <= command_length_max else framing_error(length)


def _note_congestion(tlvs: Tlvs, columns: Columns) -> None:
    congestion = tlv_number(tlvs, Tag.CONGESTION_STATE)
    if congestion is not None:
        columns.congestion_state = congestion


def _read_receipt(data: bytes, start: int, stop: int, number: int, columns: Columns) -> bool:
    """Append the receipt in `data[start:stop]` to `columns`; False, and nothing done, if it is not common."""
    match = _RECEIPT.match(data, start, stop)
    if match is None:
        return False
    _, _, sm_length, _, text_id, _, _, word, error = match.groups()
    text_end = match.end(3) + sm_length[0]
    end = match.end(4)
    if end != text_end and (end > text_end or text_end > stop or data[end] != _SPACE):
        return False
    state = STATE_WORDS.get(word) or STATE_WORDS.get(word.upper(), 0)
    message_id, position = text_id, text_end
    if (
        position < stop
        and len(text_id) < len(_SAME_ID_HEADS)
        and data[position : stop - 1] == _SAME_ID_HEADS[len(text_id)] + text_id + _STATE_HEAD
    ):
        state, position = data[stop - 1] or state, stop  # some SMSCs send 0, which is no state
    while position < stop:
        if stop - position < TLV_HEAD.size:
            return False
        tag, length = TLV_HEAD.unpack_from(data, position)
        value = position + TLV_HEAD.size
        position = value + length
        if position > stop:
            return False
        if tag == Tag.RECEIPTED_MESSAGE_ID:
            if length > MESSAGE_ID_OCTETS_MAX:
                return False
            message_id = data[value:position].rstrip(b"\0") or text_id
        elif tag == Tag.MESSAGE_STATE and length == 1:
            state = data[value] or state  # some SMSCs send 0, which is no state
        elif tag not in _IGNORED_TAGS:
            return False
    if not 1 <= state <= 8:
        return False
    columns.sequence_numbers.append(number)
    columns.receipt_ids.append(message_id)
    columns.other_ids.append(b"" if message_id == text_id else text_id)
    columns.states.append(state)
    columns.errors.append(error)
    return True


class SubmitTemplate:
    """
    submit_sm bodies of one campaign: all but destination and text is encoded once.

    `fields` are those of submit_sm less destination_addr and short_message. A body is joined from ready
    octets; the header comes with `Session.submit_slice`, since it holds the sequence number. Two
    concatenations a message are cheaper than one Struct.pack with a length of its own each.

    Raises:
        BodyError: a field that cannot be encoded.
    """

    __slots__ = ("_after", "_before", "_tlvs")

    def __init__(self, tlvs: Tlvs = (), **fields: Any) -> None:
        assert "destination_addr" not in fields
        assert "short_message" not in fields
        whole = encode_body(CommandId.SUBMIT_SM, fields)
        whole = whole[:-1]  # sm_length 0
        before = encode_body(
            CommandId.SUBMIT_SM,
            {name: fields[name] for name in _BEFORE_DESTINATION if name in fields},
        )
        cut = len(before) - _AFTER_DESTINATION_EMPTY
        self._before = whole[:cut]
        self._after = whole[cut:]
        self._tlvs = encode_tlvs(tlvs)

    def bodies(self, destinations: Iterable[bytes], short_message: bytes) -> list[bytes]:
        """Return one body per destination (digits), one text for all. Raises BodyError: text too long."""
        before = self._before
        after = self._after + _sized(short_message) + self._tlvs
        return [before + destination + after for destination in destinations]

    def bodies_each(self, destinations: Sequence[bytes], short_messages: Sequence[bytes]) -> list[bytes]:
        """Return one body per destination with its own text. Raises BodyError: a text too long."""
        assert len(destinations) == len(short_messages)
        if max(map(len, short_messages), default=0) > SHORT_MESSAGE_MAX:
            raise BodyError(f"a short_message of more than {SHORT_MESSAGE_MAX} octets", Status.INVMSGLEN)
        if COMPILED:
            return pump.submit_bodies(self._before, destinations, self._after, short_messages, self._tlvs)
        before, after, tlvs, sizes = self._before, self._after, self._tlvs, _SIZES
        return [
            b"".join((before, destination, after, sizes[len(text)], text, tlvs))
            for destination, text in zip(destinations, short_messages, strict=True)
        ]


_BEFORE_DESTINATION: Final = (
    *("service_type", "source_addr_ton", "source_addr_npi", "source_addr"),
    *("dest_addr_ton", "dest_addr_npi"),
)
# destination_addr to sm_length when all of them are empty or 0, in octets.
_AFTER_DESTINATION_EMPTY: Final = 1 + 3 + 2 + 4 + 1
_SIZES: Final = tuple(bytes((size,)) for size in range(SHORT_MESSAGE_MAX + 1))


def _sized(short_message: bytes) -> bytes:
    if len(short_message) > SHORT_MESSAGE_MAX:
        raise BodyError(f"a short_message of {len(short_message)} octets", Status.INVMSGLEN)
    return _SIZES[len(short_message)] + short_message


def digits(msisdns: Iterable[int]) -> list[bytes]:
    """Return MSISDNs, kept as numbers in columns, as the octets of destination_addr."""
    return [b"%d" % msisdn for msisdn in msisdns]


def submit_frames(bodies: Iterable[bytes], numbers: Iterable[int]) -> bytes:
    """Return one buffer of submit_sm PDUs; `numbers` ends the slice when it is the shorter."""
    if COMPILED:
        return pump.frames(bodies, numbers, _SUBMIT_SM)
    pack, size, command_id = HEADER.pack, HEADER_SIZE, CommandId.SUBMIT_SM
    return b"".join(
        [pack(size + len(body), command_id, 0, number) + body for number, body in zip(numbers, bodies)]  # noqa: B905
    )


def submit_responses(numbers: Iterable[int], statuses: Iterable[int], message_ids: Iterable[bytes]) -> bytes:
    """Return one buffer of submit_sm_resp; a refusal has no body (SMPP 3.4 §4.4.2)."""
    pack, command_id = HEADER.pack, CommandId.SUBMIT_SM_RESP
    return b"".join(
        [
            pack(HEADER_SIZE, command_id, status, number)
            if status
            else pack(HEADER_SIZE + 1 + len(message_id), command_id, 0, number) + message_id + b"\0"
            for number, status, message_id in zip(numbers, statuses, message_ids, strict=True)
        ]
    )


def deliver_responses(numbers: Iterable[int], status: int) -> bytes:
    """Return one buffer of deliver_sm_resp, each with its empty message_id."""
    if COMPILED:
        return pump.empty_responses(numbers, _DELIVER_SM_RESP, status)
    pack, length, command_id = HEADER.pack, HEADER_SIZE + 1, CommandId.DELIVER_SM_RESP
    return b"".join([pack(length, command_id, status, number) + b"\0" for number in numbers])
