"""
The default alphabet of SMS, its extension table, and what may stand for what it lacks.

Source: 3GPP TS 23.038 §6.2.1. Septets are unpacked here, one octet each, as SMPP has them in short_message.
"""

from __future__ import annotations

import codecs
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

from smsgate.errors import TextError

if TYPE_CHECKING:
    from collections.abc import Mapping

Encoding = Literal["gsm7", "ucs2", "latin1"]

ESC: Final = 0x1B
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


def decoding(table: str) -> str:
    """Return 128 characters as a decoder's table: octets above 0x7F are no septets, ESC alone is a space."""
    return table.replace("\x1b", " ") + "\ufffd" * 128


_DECODE: Final = decoding(BASIC)

# What a merchant may write instead of a character that GSM 03.38 lacks. Told, never applied.
SUGGESTIONS: Final[dict[str, str]] = {
    "ç": "c", "œ": "oe", "Œ": "OE", "’": "'", "‘": "'", "‚": ",", "“": '"', "”": '"', "„": '"', "«": '"',
    "»": '"', "‹": "'", "›": "'", "`": "'", "´": "'", "…": "...", "–": "-", "—": "-", "‑": "-", "−": "-",
    "•": "-", "·": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ", "\t": " ",
    "\u200b": "", "\u200d": "", "\ufeff": "", "\u00ad": "", "™": "TM", "®": "(R)", "©": "(C)",
    "°": " deg", "×": "x", "½": "1/2", "¼": "1/4", "¾": "3/4", "ª": "a", "º": "o", "ð": "d", "Ð": "D",
    "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i",
}  # fmt: skip


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
        raise not_in_alphabet(characters_forcing_ucs2(text), "GSM 03.38") from None


def not_in_alphabet(characters: tuple[str, ...], alphabet: str) -> TextError:
    """Return the error that names the characters, each once, by code point and as it looks."""
    named = ", ".join(f"U+{ord(c):04X}" + (f" {c}" if c.isprintable() else "") for c in characters[:10])
    return TextError(f"not in {alphabet}: {named}", code="charset_ucs2", characters=characters)


def decode_gsm(septets: bytes) -> str:
    """Decode unpacked septets; never raises. ESC + a code that is no extension shows the basic character."""
    if ESC not in septets:
        return codecs.charmap_decode(septets, "strict", _DECODE)[0]
    return decode_by(septets, _DECODE, EXTENSION)


def decode_by(septets: bytes, base: str, extension: Mapping[int, str]) -> str:
    """
    Decode unpacked septets by two tables, `base` of 256 places; never raises.

    A lone ESC shows as a space (TS 23.038 §6.2.1), a code that the extension lacks as the base's character.
    """
    characters: list[str] = []
    position, end = 0, len(septets)
    while position < end:
        octet = septets[position]
        position += 1
        if octet == ESC and position < end and septets[position] != ESC:
            octet = septets[position]
            position += 1
            characters.append(extension.get(octet, base[octet]))
        else:
            characters.append(base[octet])
    return "".join(characters)


def characters_forcing_ucs2(text: str) -> tuple[str, ...]:
    """Return the characters outside GSM 03.38, in order of appearance, each once."""
    costly = {c for c in set(text) if ord(c) not in _ENCODE}
    return tuple(sorted(costly, key=text.index))


def suggest(char: str) -> str | None:
    """Return what a person may write instead of `char`, "" to leave it out, None when nothing fits."""
    if char in SUGGESTIONS:
        return SUGGESTIONS[char]
    if ord(char) in _ENCODE:
        return char
    base = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    return base if base and base != char and is_gsm(base) else None
