"""Every way to write an offer's text, with its parts and its cost: shown before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence

from smsgate.flows.commerce_records import TextChoice
from smsgate.protocol.encodings import ALL_SHIFTS, Alphabet, alternatives
from smsgate.protocol.gsm0338 import is_gsm
from smsgate.protocol.replacements import replace_for_segment


def text_choices(
    text: str, alphabets: Sequence[Alphabet], segment_micros: tuple[int, int] | None
) -> list[TextChoice]:
    """
    Return the ways to write `text` as it is, cheapest first, then with replacements if those make it shorter.

    `alphabets` are those of the carrier; `segment_micros` are the lowest and the highest price of a segment,
    None when there is none.

    Raises:
        TextError: nothing carries the text, or over 255 segments in every alphabet.
    """
    choices = _choices(text, alphabets, segment_micros, replaced=False)
    changed = replace_for_segment(text, alphabets).text
    if changed != text:
        others = _choices(changed, alphabets, segment_micros, replaced=True)
        choices.append(next((choice for choice in others if choice.permitted), others[0]))
    return choices


def _choices(
    text: str, alphabets: Sequence[Alphabet], segment_micros: tuple[int, int] | None, *, replaced: bool
) -> list[TextChoice]:
    least, most = segment_micros or (None, None)
    return [
        TextChoice(
            encoding=way.encoding,
            tables=way.shift.name,
            units=way.air.units,
            segments=way.air.segments,
            replaced=replaced,
            permitted=way.air.segments == 1 and Alphabet(way.encoding, way.shift) in alphabets,
            cost_min_micros=None if least is None else least * way.air.segments,
            cost_max_micros=None if most is None else most * way.air.segments,
        )
        for way in alternatives(text, () if is_gsm(text) else ALL_SHIFTS)
    ]
