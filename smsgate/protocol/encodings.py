"""Which alphabet is the cheapest for a text, and what each of them would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.errors import TextError
from smsgate.protocol.gsm0338 import DATA_CODING, ESM_CLASS_UDHI, encode_gsm
from smsgate.protocol.segmentation import SEGMENTS_MAX, Air, Concat, capacity, header_octets, measure
from smsgate.protocol.shift_tables import DEFAULT, LANGUAGE_IDS, LOCKING, SINGLE, Shift, encode_shifted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.protocol.gsm0338 import Encoding


class Alphabet(NamedTuple):
    """What a text of one segment is written in: `shift` are the language tables of gsm7."""

    encoding: Encoding = "gsm7"
    shift: Shift = DEFAULT

    @property
    def data_coding(self) -> int:
        return DATA_CODING[self.encoding]

    @property
    def esm_class(self) -> int:
        return ESM_CLASS_UDHI if self.shift.elements else 0

    @property
    def header(self) -> bytes:
        """Return the user data header that tells the tables; empty when there is nothing to tell."""
        elements = self.shift.elements
        return bytes((len(elements),)) + elements if elements else b""

    @property
    def unit_octets(self) -> int:
        """Return the octets of a unit: of a septet (unpacked), a 16-bit word or an octet."""
        return 2 if self.encoding == "ucs2" else 1

    @property
    def octets_max(self) -> int:
        """Return how many octets of text, the header not counted, one segment holds (septets unpacked)."""
        return self.unit_octets * capacity(self.encoding, header_octets(self.shift))

    def encode(self, text: str) -> bytes:
        """
        Return the octets of a text, septets unpacked.

        Raises:
            TextError: code `charset_ucs2`: a character that is not in this alphabet.
        """
        if self.encoding == "gsm7":
            return encode_gsm(text) if self.shift == DEFAULT else encode_shifted(text, self.shift)
        try:
            return text.encode("utf-16-be" if self.encoding == "ucs2" else "latin-1")
        except UnicodeEncodeError as exc:
            lacking = (text[exc.start],)
            raise TextError(
                f"not in {self.encoding}: {lacking[0]!a}", code="charset_ucs2", characters=lacking
            ) from None


GSM: Final = Alphabet()
UCS2: Final = Alphabet("ucs2")


ALL_SHIFTS: Final = tuple(
    shift
    for number in LANGUAGE_IDS.values()
    for shift in (Shift(number, 0), Shift(0, number), Shift(number, number))
    if (not shift.single or shift.single in SINGLE) and (not shift.locking or shift.locking in LOCKING)
)
SHIFTS_BY_NAME: Final = {shift.name: shift for shift in ALL_SHIFTS}


def permitted(shifts: Sequence[Shift], *, ucs2: bool = True) -> tuple[Alphabet, ...]:
    """Return the alphabets of a carrier that permits these tables, in the order in which they are tried."""
    tabled = [Alphabet("gsm7", shift) for shift in shifts]
    wide = [UCS2] if ucs2 else []
    return tuple(sorted((GSM, *tabled, *wide), key=lambda alphabet: _rank(*alphabet)))


class Written(NamedTuple):
    """A text in one alphabet: `shift` are the language tables of gsm7."""

    encoding: Encoding
    shift: Shift
    air: Air


def alternatives(text: str, shifts: Sequence[Shift] = (), concat: Concat = "udh8") -> list[Written]:
    """
    Return every way to write `text` that carries it whole, the cheapest first.

    Of two that take as many segments the one that more phones can read comes first: GSM 03.38, then a single
    shift table (a phone without it shows the letter below), then UCS-2, then a locking one.

    Raises:
        TextError: half a surrogate pair, which nothing carries, or over SEGMENTS_MAX segments each way.
    """
    ways: list[Written] = []
    for shift in (DEFAULT, *shifts):
        try:
            ways.append(Written("gsm7", shift, measure(text, encoding="gsm7", shift=shift, concat=concat)))
        except TextError:
            continue
    ways.append(Written("ucs2", DEFAULT, measure(text, encoding="ucs2", concat=concat)))
    fitting = [way for way in ways if way.air.segments <= SEGMENTS_MAX]
    if not fitting:
        raise TextError(f"at most {SEGMENTS_MAX} segments can be sent", code="text_too_long")
    return sorted(fitting, key=lambda way: (way.air.segments, _rank(way.encoding, way.shift), way.air.units))


def cheapest(text: str, alphabets: Sequence[Alphabet], concat: Concat = "udh8") -> Alphabet:
    """
    Return the alphabet in which `text` takes the fewest segments, the first of those that take as many.

    Raises:
        TextError: none of them has every character; says what the first one lacks.
    """
    best: tuple[int, Alphabet] | None = None
    first: TextError | None = None
    for alphabet in alphabets:
        try:
            air = measure(text, encoding=alphabet.encoding, shift=alphabet.shift, concat=concat)
        except TextError as exc:
            first = first or exc
            continue
        if best is None or air.segments < best[0]:
            best = (air.segments, alphabet)
    if best is None:
        assert first is not None
        raise first
    return best[1]


def _rank(encoding: Encoding, shift: Shift) -> int:
    if encoding == "ucs2":
        return 2
    if shift == DEFAULT:
        return 0
    return 3 if shift.locking else 1
