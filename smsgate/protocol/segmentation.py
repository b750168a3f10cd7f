"""
How much air a text needs, and its short_messages.

Source: 3GPP TS 23.038 §6.2.1 and TS 23.040 §9.2.3.24. Septets are unpacked, one an octet, as SMPP has them in
short_message, unless they are packed for a carrier that wants them so.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import regex

from smsgate.errors import TextError
from smsgate.protocol.gsm0338 import DATA_CODING, ESM_CLASS_UDHI, Encoding, encode_gsm
from smsgate.protocol.packing import fill_bits_after, pack
from smsgate.protocol.shift_tables import DEFAULT, Shift, encode_shifted
from smsgate.protocol.tlvs import Tag, Tlvs

if TYPE_CHECKING:
    from collections.abc import Sequence

SEGMENT_OCTETS: Final = 140  # TP-UD of one SMS
SINGLE_SEPTETS: Final = 160
SEGMENTS_MAX: Final = 255  # one octet of the concatenation header counts them
PAYLOAD_OCTETS_MAX: Final = 0xFFFF  # of message_payload: a TLV's length has 16 bits

# How the parts of a long text are told: by a header with a reference of 8 or 16 bits, by the SAR TLVs, or not
# at all: the SMSC cuts what message_payload brings.
Concat = Literal["udh8", "udh16", "sar", "payload"]

_HEADER_OCTETS: Final[dict[Concat, int]] = {"udh8": 5, "udh16": 6, "sar": 5, "payload": 5}
_CLUSTER: Final = regex.compile(r"\X")


class Air(NamedTuple):
    """What one text costs: `units` are septets (gsm7), 16-bit words (ucs2) or octets (latin1), no headers."""

    encoding: Encoding
    units: int
    segments: int
    segment_units: tuple[int, ...]

    @property
    def data_coding(self) -> int:
        return DATA_CODING[self.encoding]


class Segments(NamedTuple):
    """
    A text ready for submit_sm: one short_message per segment, with its user data header if it has one.

    `tlvs` are those of each segment: SAR, or message_payload with one empty short_message for the whole text.
    `units` count what the text itself takes in each of the parts that phones get.
    """

    data_coding: int
    esm_class: int
    short_messages: tuple[bytes, ...]
    tlvs: tuple[Tlvs, ...] = ()
    units: tuple[int, ...] = ()


def capacity(encoding: Encoding, header_octets: int) -> int:
    """Return how many units fit into one SMS beside a header of so many octets, its length octet included."""
    room = SEGMENT_OCTETS - header_octets
    return {"gsm7": room * 8 // 7, "ucs2": room // 2, "latin1": room}[encoding]


def header_octets(shift: Shift = DEFAULT, concat: Concat | None = None) -> int:
    """Return the octets of a user data header with these elements; 0 when there are none."""
    elements = len(shift.elements) + (0 if concat is None else _HEADER_OCTETS[concat])
    return elements + 1 if elements else 0


def measure(
    text: str, *, encoding: Encoding | None = None, shift: Shift = DEFAULT, concat: Concat = "udh8"
) -> Air:
    """
    Return what `text` costs on air.

    One segment holds 160 septets or 70 words; one of several 153 or 67. An escape pair, a surrogate pair or a
    character of several code points never straddles two segments, so a long text may need one more than
    division says. The empty text: one.

    Raises:
        TextError: a lone surrogate, which no alphabet can carry, or a named alphabet that lacks a character.
    """
    chosen, octets, widths = _encode(text, encoding, shift)
    width = _octets_of_unit(chosen)
    places = [0, *accumulate(widths)]
    cuts = _cuts(text, places, chosen, shift, concat)
    units = tuple(places[end] - places[start] for start, end in cuts)
    return Air(chosen, len(octets) // width, len(units), units)


def segment(
    text: str,
    *,
    reference: int = 0,
    concat: Concat = "udh8",
    encoding: Encoding | None = None,
    shift: Shift = DEFAULT,
    packed: bool = False,
) -> Segments:
    """
    Cut `text` into short_messages, told by `concat`.

    `encoding` None takes GSM 03.38 (in the tables of `shift`) when it can carry the text, else UCS-2; a named
    one is used or refused. `packed` packs septets into octets, fill bits after a header included.

    Raises:
        TextError: `charset_ucs2`: the named alphabet lacks a character; `text_too_long`: over 255 segments.
    """
    assert 0 <= reference < (1 << 8 if concat == "udh8" else 1 << 16)
    chosen, octets, widths = _encode(text, encoding, shift)
    if chosen != "gsm7":
        shift, packed = DEFAULT, False
    width = _octets_of_unit(chosen)
    places = [0, *accumulate(widths)]
    cuts = _cuts(text, places, chosen, shift, concat)
    total = len(cuts)
    if total > SEGMENTS_MAX:
        raise TextError(f"{total} segments, at most {SEGMENTS_MAX} can be sent", code="text_too_long")
    units = tuple(places[end] - places[start] for start, end in cuts)
    if total > 1 and concat == "payload":
        return _payload(chosen, octets, shift, units, packed=packed)
    parts: list[bytes] = []
    tlvs: list[Tlvs] = []
    for number, (start, end) in enumerate(cuts, 1):
        elements = shift.elements
        if total > 1 and concat != "sar":
            elements += _concat_element(concat, reference, total, number)
        elif total > 1:
            tlvs.append(_sar(reference, total, number))
        parts.append(
            _with_header(elements, octets[places[start] * width : places[end] * width], packed=packed)
        )
    udhi = bool(shift.elements) or (total > 1 and concat != "sar")
    return Segments(DATA_CODING[chosen], ESM_CLASS_UDHI if udhi else 0, tuple(parts), tuple(tlvs), units)


def _encode(text: str, encoding: Encoding | None, shift: Shift) -> tuple[Encoding, bytes, Sequence[int]]:
    """Return the alphabet, the octets, and how many units each character takes."""
    if encoding is None:
        try:
            octets = encode_shifted(text, shift) if shift != DEFAULT else encode_gsm(text)
        except TextError:
            encoding = "ucs2"
        else:
            return "gsm7", octets, _septets(text, octets, shift)
    if encoding == "gsm7":
        octets = encode_shifted(text, shift) if shift != DEFAULT else encode_gsm(text)
        return encoding, octets, _septets(text, octets, shift)
    if encoding == "latin1":
        try:
            return encoding, text.encode("latin-1"), [1] * len(text)
        except UnicodeEncodeError:
            bad = tuple(dict.fromkeys(c for c in text if ord(c) > 0xFF))
            raise TextError("Latin-1 cannot carry this text", code="charset_ucs2", characters=bad) from None
    try:
        return encoding, text.encode("utf-16-be"), [1 if ord(c) < 0x1_0000 else 2 for c in text]
    except UnicodeEncodeError as exc:
        raise TextError("the text holds half a surrogate pair", characters=(text[exc.start],)) from None


def _septets(text: str, octets: bytes, shift: Shift) -> Sequence[int]:
    if len(octets) == len(text):
        return [1] * len(text)
    known: dict[str, int] = {c: len(encode_shifted(c, shift)) for c in set(text)}
    return [known[c] for c in text]


def _octets_of_unit(encoding: Encoding) -> int:
    return 2 if encoding == "ucs2" else 1


def _cuts(
    text: str, places: Sequence[int], encoding: Encoding, shift: Shift, concat: Concat
) -> list[tuple[int, int]]:
    """Return (start, end) in characters of every segment; `places` are the characters' first units."""
    shift = shift if encoding == "gsm7" else DEFAULT
    if places[-1] <= capacity(encoding, header_octets(shift)):
        return [(0, len(text))]
    room = capacity(encoding, header_octets(shift, concat))
    starts = [match.start() for match in _CLUSTER.finditer(text)]
    cuts: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = bisect_right(places, places[start] + room) - 1
        if end < len(text):
            end = _before_cluster(starts, places, start, end, room)
        cuts.append((start, end))
        start = end
    return cuts


def _before_cluster(starts: Sequence[int], places: Sequence[int], start: int, end: int, room: int) -> int:
    """Return where to cut instead of `end`, so that what a reader takes for one character stays whole."""
    position = bisect_right(starts, end) - 1
    first = starts[position]
    after = starts[position + 1] if position + 1 < len(starts) else len(places) - 1
    fits = places[after] - places[first] <= room
    return first if start < first < end and fits else end


def _with_header(elements: bytes, octets: bytes, *, packed: bool) -> bytes:
    header = bytes((len(elements),)) + elements if elements else b""
    return header + (pack(octets, fill_bits_after(len(header))) if packed else octets)


def _concat_element(concat: Concat, reference: int, total: int, number: int) -> bytes:
    if concat == "udh16":
        return bytes((0x08, 4, reference >> 8, reference & 0xFF, total, number))
    return bytes((0x00, 3, reference, total, number))


def _sar(reference: int, total: int, number: int) -> Tlvs:
    return (
        (Tag.SAR_MSG_REF_NUM, reference.to_bytes(2, "big")),
        (Tag.SAR_TOTAL_SEGMENTS, bytes((total,))),
        (Tag.SAR_SEGMENT_SEQNUM, bytes((number,))),
    )


def _payload(
    encoding: Encoding, octets: bytes, shift: Shift, units: tuple[int, ...], *, packed: bool
) -> Segments:
    whole = _with_header(shift.elements, octets, packed=packed)
    if len(whole) > PAYLOAD_OCTETS_MAX:
        raise TextError(f"{len(whole)} octets, at most {PAYLOAD_OCTETS_MAX} fit", code="text_too_long")
    esm_class = ESM_CLASS_UDHI if shift.elements else 0
    return Segments(DATA_CODING[encoding], esm_class, (b"",), (((Tag.MESSAGE_PAYLOAD, whole),),), units)
