"""
How much air a text needs, and its octets.

Source: 3GPP TS 23.038 §6.2.1 (alphabet and extension table) and TS 23.040 §9.2.3.24.1 (concatenation).
Septets travel unpacked, one octet each, as SMPP has them in short_message.
"""

from __future__ import annotations

import codecs
import unicodedata
from typing import Final, Literal, NamedTuple

from smsgate.errors import TextError

Encoding = Literal["gsm7", "ucs2", "latin1"]

ESC: Final = 0x1B
SEGMENT_OCTETS: Final = 140  # TP-UD of one SMS
SINGLE_SEPTETS: Final = 160
SINGLE_WORDS: Final = 70
SEGMENTS_MAX: Final = 255  # one octet of the concatenation header counts them
DATA_CODING: Final[dict[Encoding, int]] = {"gsm7": 0x00, "latin1": 0x03, "ucs2": 0x08}
ESM_CLASS_UDHI: Final = 0x40

BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final[dict[int, str]] = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\",
    0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip
assert len(BASIC) == 128

_ENCODE: Final[dict[int, bytes]] = {ord(c): bytes((i,)) for i, c in enumerate(BASIC) if i != ESC} | {
    ord(c): bytes((ESC, i)) for i, c in EXTENSION.items()
}
# Octets above 0x7F are no septets: they show as U+FFFD. A lone ESC shows as a space (TS 23.038 §6.2.1).
_DECODE: Final = BASIC.replace("\x1b", " ") + "\ufffd" * 128

# What a merchant may write instead of a character that GSM 03.38 lacks. Told, never applied.
SUGGESTIONS: Final[dict[str, str]] = {
    "ç": "c", "œ": "oe", "Œ": "OE", "’": "'", "‘": "'", "‚": ",", "“": '"', "”": '"', "„": '"', "«": '"',
    "»": '"', "‹": "'", "›": "'", "`": "'", "´": "'", "…": "...", "–": "-", "—": "-", "‑": "-", "−": "-",
    "•": "-", "·": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ", "\t": " ",
    "\u200b": "", "\u200d": "", "\ufeff": "", "\u00ad": "", "™": "TM", "®": "(R)", "©": "(C)",
    "°": " deg", "×": "x", "½": "1/2", "¼": "1/4", "¾": "3/4", "ª": "a", "º": "o", "ð": "d", "Ð": "D",
    "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i",
}  # fmt: skip


class Air(NamedTuple):
    """What one text costs: `units` are septets for gsm7 and 16-bit words for ucs2, headers not counted."""

    encoding: Encoding
    units: int
    segments: int
    segment_units: tuple[int, ...]

    @property
    def data_coding(self) -> int:
        return DATA_CODING[self.encoding]


class Segments(NamedTuple):
    """A text ready for submit_sm: one short_message per segment, with its user data header if it has one."""

    data_coding: int
    esm_class: int
    short_messages: tuple[bytes, ...]


def is_gsm(text: str) -> bool:
    try:
        codecs.charmap_encode(text, "strict", _ENCODE)
    except UnicodeEncodeError:
        return False
    return True


def encode_gsm(text: str) -> bytes:
    """
    Return unpacked septets, ESC pairs included.

    Raises:
        TextError: code `charset_ucs2`, with the characters that are not in the alphabet.
    """
    try:
        return codecs.charmap_encode(text, "strict", _ENCODE)[0]
    except UnicodeEncodeError:
        characters = characters_forcing_ucs2(text)
        named = ", ".join(f"U+{ord(c):04X}" + (f" {c}" if c.isprintable() else "") for c in characters[:10])
        raise TextError(f"not in GSM 03.38: {named}", code="charset_ucs2", characters=characters) from None


def decode_gsm(septets: bytes) -> str:
    """Decode unpacked septets; never raises. ESC + a code that is no extension shows the basic character."""
    if ESC not in septets:
        return codecs.charmap_decode(septets, "strict", _DECODE)[0]
    characters: list[str] = []
    position, end = 0, len(septets)
    while position < end:
        octet = septets[position]
        position += 1
        if octet == ESC and position < end and septets[position] != ESC:
            octet = septets[position]
            position += 1
            characters.append(EXTENSION.get(octet, _DECODE[octet]))
        else:
            characters.append(_DECODE[octet])
    return "".join(characters)


def characters_forcing_ucs2(text: str) -> tuple[str, ...]:
    """Return the characters outside GSM 03.38, in order of appearance, each once."""
    return tuple(dict.fromkeys(c for c in text if ord(c) not in _ENCODE))


def suggest(char: str) -> str | None:
    """Return what a person may write instead of `char`, "" to leave it out, None when nothing fits."""
    if char in SUGGESTIONS:
        return SUGGESTIONS[char]
    if ord(char) in _ENCODE:
        return char
    base = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    return base if base and base != char and is_gsm(base) else None


def measure(text: str) -> Air:
    """
    Return what `text` costs on air, with an 8-bit concatenation reference.

    One segment holds 160 septets or 70 words; one of several 153 or 67. An escape pair or a surrogate pair
    never straddles two segments, so a long text may need one more than division says. The empty text: one.

    Raises:
        TextError: a lone surrogate, which no alphabet can carry.
    """
    encoding, octets = _encode(text, None)
    width = 2 if encoding == "ucs2" else 1
    units = tuple((end - start) // width for start, end in _cuts(encoding, octets, header_octets=6))
    return Air(encoding, len(octets) // width, len(units), units)


def segment(
    text: str, *, reference: int = 0, reference_bits: Literal[8, 16] = 8, encoding: Encoding | None = None
) -> Segments:
    """
    Cut `text` into short_messages; several carry a concatenation header (IEI 0x00, or 0x08 with 16 bits).

    `encoding` None takes GSM 03.38 when it can carry the text, else UCS-2; a named one is used or refused.

    Raises:
        TextError: `charset_ucs2`: the named alphabet lacks a character; `text_too_long`: over 255 segments.
    """
    assert 0 <= reference < 1 << reference_bits
    chosen, octets = _encode(text, encoding)
    header_octets = 6 if reference_bits == 8 else 7
    cuts = _cuts(chosen, octets, header_octets)
    total = len(cuts)
    if total > SEGMENTS_MAX:
        raise TextError(f"{total} segments, at most {SEGMENTS_MAX} can be sent", code="text_too_long")
    if total == 1:
        return Segments(DATA_CODING[chosen], 0, (octets,))
    if reference_bits == 8:
        head = bytes((5, 0x00, 3, reference, total))
    else:
        head = bytes((6, 0x08, 4, reference >> 8, reference & 0xFF, total))
    parts = (head + bytes((i,)) + octets[start:end] for i, (start, end) in enumerate(cuts, 1))
    return Segments(DATA_CODING[chosen], ESM_CLASS_UDHI, tuple(parts))


def _encode(text: str, encoding: Encoding | None) -> tuple[Encoding, bytes]:
    if encoding is None:
        encoding = "gsm7" if is_gsm(text) else "ucs2"
    if encoding == "gsm7":
        return encoding, encode_gsm(text)
    try:
        return encoding, text.encode("utf-16-be" if encoding == "ucs2" else "latin-1")
    except UnicodeEncodeError as exc:
        if encoding == "ucs2":
            raise TextError("the text holds half a surrogate pair", characters=(text[exc.start],)) from None
        bad = tuple(dict.fromkeys(c for c in text if ord(c) > 0xFF))
        raise TextError("Latin-1 cannot carry this text", code="charset_ucs2", characters=bad) from None


def _cuts(encoding: Encoding, octets: bytes, header_octets: int) -> list[tuple[int, int]]:
    """Return (start, end) in `octets` of every segment; pairs stay whole."""
    if encoding == "gsm7":
        single, room = SINGLE_SEPTETS, (SEGMENT_OCTETS - header_octets) * 8 // 7
    elif encoding == "ucs2":
        single, room = SEGMENT_OCTETS, (SEGMENT_OCTETS - header_octets) // 2 * 2
    else:
        single, room = SEGMENT_OCTETS, SEGMENT_OCTETS - header_octets
    length = len(octets)
    if length <= single:
        return [(0, length)]
    cuts: list[tuple[int, int]] = []
    start = 0
    while start < length:
        end = min(start + room, length)
        if end < length and encoding == "gsm7" and octets[end - 1] == ESC:
            end -= 1
        elif end < length and encoding == "ucs2" and octets[end - 2] & 0xFC == 0xD8:
            end -= 2
        cuts.append((start, end))
        start = end
    return cuts
