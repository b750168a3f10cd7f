"""Which alphabet is the cheapest for a text, and what each of them would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.errors import TextError
from smsgate.protocol.segmentation import SEGMENTS_MAX, Air, Concat, measure
from smsgate.protocol.shift_tables import DEFAULT, LANGUAGE_IDS, LOCKING, SINGLE, Shift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.protocol.gsm0338 import Encoding


class Written(NamedTuple):
    """A text in one alphabet: `shift` are the language tables of gsm7."""

    encoding: Encoding
    shift: Shift
    air: Air


ALL_SHIFTS: Final = tuple(
    shift
    for number in LANGUAGE_IDS.values()
    for shift in (Shift(number, 0), Shift(0, number), Shift(number, number))
    if (not shift.single or shift.single in SINGLE) and (not shift.locking or shift.locking in LOCKING)
)


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
    return sorted(fitting, key=lambda way: (way.air.segments, _rank(way), way.air.units))


def _rank(way: Written) -> int:
    if way.encoding == "ucs2":
        return 2
    if way.shift == DEFAULT:
        return 0
    return 3 if way.shift.locking else 1
