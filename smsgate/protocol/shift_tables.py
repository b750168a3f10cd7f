"""
National language shift tables: more letters in 7 bits, told by the user data header.

Source: 3GPP TS 23.038 §6.2.1.2 and Annex A.2 (single shift), A.3 (locking shift); TS 23.040 §9.2.3.24.15 and
§9.2.3.24.16 (information elements). A phone without the table shows the basic character of the same place.
"""

from __future__ import annotations

import codecs
from functools import cache
from typing import Final, NamedTuple

from smsgate.protocol.gsm0338 import BASIC, ESC, EXTENSION, decode_by, decoding, not_in_alphabet

IEI_SINGLE_SHIFT: Final = 0x24
IEI_LOCKING_SHIFT: Final = 0x25

# Language identifiers of TS 23.038 §6.2.1.2.4. Spanish has a single shift table and no locking one.
LANGUAGE_IDS: Final[dict[str, int]] = {"tr": 1, "es": 2, "pt": 3}

LOCKING: Final[dict[int, str]] = {
    1: (
        "@£$¥€éùıòÇ\nĞğ\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bŞşßÉ"
        " !\"#¤%&'()*+,-./0123456789:;<=>?"
        "İABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
        "çabcdefghijklmnopqrstuvwxyzäöñüà"
    ),
    3: (
        "@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ"
        " !\"#º%&'()*+,-./0123456789:;<=>?"
        "ÍABCDEFGHIJKLMNOPQRSTUVWXYZÃÕÚÜ§"
        "~abcdefghijklmnopqrstuvwxyzãõ`üà"
    ),
}
SINGLE: Final[dict[int, dict[int, str]]] = {
    1: EXTENSION | {0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"},
    2: EXTENSION | {
        0x09: "ç", 0x41: "Á", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x61: "á", 0x69: "í", 0x6F: "ó", 0x75: "ú",
    },
    3: EXTENSION | {
        0x05: "ê", 0x09: "ç", 0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á", 0x12: "Φ", 0x13: "Γ", 0x15: "Ω",
        0x16: "Π", 0x17: "Ψ", 0x18: "Σ", 0x19: "Θ", 0x1F: "Ê", 0x41: "À", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú",
        0x5B: "Ã", 0x5C: "Õ", 0x61: "Â", 0x69: "í", 0x6F: "ó", 0x75: "ú", 0x7B: "ã", 0x7C: "õ", 0x7F: "â",
    },
}  # fmt: skip
assert all(len(table) == 128 for table in LOCKING.values())


class Shift(NamedTuple):
    """The tables that a text is written in: identifiers of languages, 0 is the default table of TS 23.038."""

    single: int = 0
    locking: int = 0

    @property
    def elements(self) -> bytes:
        """Return the information elements that tell them; they stand in the header of every part."""
        single = bytes((IEI_SINGLE_SHIFT, 1, self.single)) if self.single else b""
        locking = bytes((IEI_LOCKING_SHIFT, 1, self.locking)) if self.locking else b""
        return single + locking

    @property
    def name(self) -> str:
        """Return what a carrier's profile calls these tables, such as "single:pt"; "" for the default."""
        kind = "both" if self.single and self.locking else "single" if self.single else "locking"
        number = self.single or self.locking
        return f"{kind}:{_LANGUAGES[number]}" if number else ""


_LANGUAGES: Final = {number: language for language, number in LANGUAGE_IDS.items()}
DEFAULT: Final = Shift()


def shift_of(language: str, *, single: bool, locking: bool) -> Shift | None:
    """Return the tables of a language by its ISO 639-1 code; None when it has no such table."""
    number = LANGUAGE_IDS.get(language, 0)
    if (single and number not in SINGLE) or (locking and number not in LOCKING):
        return None
    return Shift(number if single else 0, number if locking else 0)


def encode_shifted(text: str, shift: Shift) -> bytes:
    """
    Return unpacked septets in these tables; a character of the locking table takes one, of the single two.

    Raises:
        TextError: code `charset_ucs2`, with the characters that the tables lack.
    """
    table = _encoder(shift)
    try:
        return codecs.charmap_encode(text, "strict", table)[0]
    except UnicodeEncodeError:
        lacking = tuple(dict.fromkeys(c for c in text if ord(c) not in table))
        raise not_in_alphabet(lacking, "these language tables") from None


def decode_shifted(septets: bytes, shift: Shift) -> str:
    """Decode unpacked septets; never raises. An unknown language is read as the default table."""
    return decode_by(septets, _decoder(shift.locking), SINGLE.get(shift.single, EXTENSION))


@cache
def _decoder(locking: int) -> str:
    return decoding(LOCKING.get(locking, BASIC))


@cache
def _encoder(shift: Shift) -> dict[int, bytes]:
    base = LOCKING.get(shift.locking, BASIC)
    extension = SINGLE.get(shift.single, EXTENSION)
    shifted = {ord(c): bytes((ESC, code)) for code, c in extension.items()}
    return shifted | {ord(c): bytes((code,)) for code, c in enumerate(base) if code != ESC}
