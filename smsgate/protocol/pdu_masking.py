"""
One PDU's octets with its secrets covered, for traces: as long as before, and still a PDU that any tool reads.

Passwords are covered always, texts and subscribers' numbers unless asked for. Source: SMPP 3.4 §4.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from smsgate.protocol.frames import HEADER, HEADER_SIZE
from smsgate.protocol.gsm0338 import DATA_CODING, ESM_CLASS_UDHI
from smsgate.protocol.pdus import ADDRESSES, DEST_FLAG_ADDRESS, LAYOUTS, MESSAGE, TEXT, U8, Layout
from smsgate.protocol.tlvs import TLV_HEAD, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator

COVER: Final = b"x"
STAR: Final = b"*"
NUMBER_DIGITS_SHOWN: Final = 2  # at each end, as in logs
SHORT_CODE_DIGITS_MAX: Final = 6  # a shorter number is a service, nobody's phone
CALLBACK_NUMBER_AT: Final = 3  # octets of digit mode, TON and NPI come first (SMPP 3.4 §5.3.2.36)

_ESM_MESSAGE_TYPE: Final = 0x3C
_NUMBERS: Final = frozenset({"source_addr", "destination_addr", "esme_addr", "dest_address", "unsuccess_sme"})
_NUMBER: Final = re.compile(rb"\+?[0-9]+")
_RECEIPT_TEXT: Final = re.compile(rb"\btext ?:", re.IGNORECASE)

Span = tuple[str, int, int]  # field, start and end in the body


def masked(pdu: bytes, *, texts: bool = False, numbers: bool = False) -> bytes:
    """
    Return one whole PDU with secrets covered; `texts` and `numbers` leave those as they are.

    What has no known form is covered whole, since nobody knows what stands there. Never raises.
    """
    if len(pdu) < HEADER_SIZE:
        return pdu
    layout = LAYOUTS.get(HEADER.unpack_from(pdu)[1])
    body = bytearray(pdu[HEADER_SIZE:])
    spans, end, whole = _walk(body, layout or ())
    message = _Message(body, spans)
    for name, start, stop in spans:
        if name == "password":
            body[start:stop] = STAR * (stop - start)
        elif name == "short_message" and not texts:
            message.cover(start, stop)
        elif name in _NUMBERS and not numbers:
            _cover_number(body, start, stop)
    if layout is None or not whole:
        body[end:] = COVER * (len(body) - end)
    for tag, start, stop in _tlvs(body, end) if whole else ():
        if tag == Tag.MESSAGE_PAYLOAD and not texts:
            message.cover(start, stop)
        elif tag == Tag.CALLBACK_NUM and not numbers:
            _cover_number(body, start + CALLBACK_NUMBER_AT, stop)
    return pdu[:HEADER_SIZE] + bytes(body)


class _Message:
    """How the text of one PDU lies: its header stays, and so does what a receipt says before `text:`."""

    def __init__(self, body: bytearray, spans: list[Span]) -> None:
        octets = {name: body[start] for name, start, stop in spans if stop == start + 1}
        self._body = body
        self._esm_class = octets.get("esm_class", 0)
        self._words = octets.get("data_coding", 0) == DATA_CODING["ucs2"]

    def cover(self, start: int, stop: int) -> None:
        body = self._body
        if self._esm_class & ESM_CLASS_UDHI and start < stop and body[start] < stop - start:
            start += body[start] + 1
        if self._esm_class & _ESM_MESSAGE_TYPE:
            match = _RECEIPT_TEXT.search(body, start, stop)
            start = stop if match is None else match.end()
        count = stop - start
        body[start:stop] = (
            (b"\0" + COVER) * (count // 2) + COVER * (count % 2) if self._words else COVER * count
        )


def _walk(body: bytearray, layout: Layout) -> tuple[list[Span], int, bool]:
    """Return where the fields lie, where they end, and whether all that came were whole."""
    spans: list[Span] = []
    position = 0
    try:
        for name, kind in layout:
            if position >= len(body):
                break  # a response may lack its fields
            if kind == U8:
                spans.append((name, position, position + 1))
                position += 1
            elif kind == TEXT:
                end = body.index(0, position)
                spans.append((name, position, end))
                position = end + 1
            elif kind == MESSAGE:
                end = position + 1 + body[position]
                if end > len(body):
                    return spans, position, False
                spans.append((name, position + 1, end))
                position = end
            else:
                for start, end, after in _address_spans(body, position, counted_errors=kind != ADDRESSES):
                    spans.append((name, start, end))
                    position = after
    except (IndexError, ValueError):
        return spans, position, False
    return spans, position, True


def _address_spans(body: bytearray, position: int, *, counted_errors: bool) -> Iterator[tuple[int, int, int]]:
    """Yield (start, end, next position) of every address of a list; the list's count comes first."""
    count, position = body[position], position + 1
    yield position, position, position
    for _ in range(count):
        start = position + 2
        if not counted_errors:
            start = position + (3 if body[position] == DEST_FLAG_ADDRESS else 1)
        end = body.index(0, start)
        position = end + (5 if counted_errors else 1)
        if position > len(body):
            raise ValueError(position)
        yield start, end, position


def _tlvs(body: bytearray, position: int) -> Iterator[tuple[int, int, int]]:
    while len(body) - position >= TLV_HEAD.size:
        tag, length = TLV_HEAD.unpack_from(body, position)
        start = position + TLV_HEAD.size
        position = start + length
        yield tag, start, min(position, len(body))


def _cover_number(body: bytearray, start: int, stop: int) -> None:
    number = bytes(body[start:stop]).rstrip(b"\0")
    if len(number) <= SHORT_CODE_DIGITS_MAX or _NUMBER.fullmatch(number) is None:
        return
    first, last = start + NUMBER_DIGITS_SHOWN, start + len(number) - NUMBER_DIGITS_SHOWN
    body[first:last] = STAR * (last - first)
