"""How many segments a text is billed as; the quantities of all documents are segments, for MT and MO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsgate.errors import Invalid, TextError
from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.protocol.segmentation import capacity, header_octets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.protocol.gsm0338 import Encoding


SHORT: Final = 70  # characters: at most 140 septets, at most 70 UTF-16 units where none is of a pair
FIRST_SURROGATE: Final = "\ud800"


def segments_of(text: str) -> int:
    """
    Return the segments of a text: 160 septets or 70 UTF-16 units in one, 153 or 67 in each of several.

    An escape pair and a surrogate pair stay whole, and nothing else. Our own texts are cut before whole
    characters as readers see them, which can take a segment more: a bill never counts that one.

    Raises:
        Invalid: code `text_invalid`: half a surrogate pair, which no alphabet carries.
    """
    if len(text) <= SHORT and max(text, default="") < FIRST_SURROGATE:
        return 1
    encoding, widths = _widths(text)
    total = sum(widths)
    if total <= capacity(encoding, header_octets()):
        return 1
    room = capacity(encoding, header_octets(concat="udh8"))
    segments, left = 1, room
    for width in widths:
        if width > left:
            segments, left = segments + 1, room
        left -= width
    return segments


def _widths(text: str) -> tuple[Encoding, Sequence[int]]:
    """Return the alphabet, and how many of its units each character takes."""
    try:
        known = {character: len(encode_gsm(character)) for character in set(text)}
    except TextError:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise Invalid("the text holds half a surrogate pair", code="text_invalid") from None
        return "ucs2", [1 if ord(character) < 0x1_0000 else 2 for character in text]
    return "gsm7", [known[character] for character in text]
