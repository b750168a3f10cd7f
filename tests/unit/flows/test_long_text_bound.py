"""No carrier makes more of a text than the bound by which money is set aside for it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from smsgate.errors import TextError
from smsgate.flows.long_texts import measured, segments_max
from smsgate.protocol.encodings import ALL_SHIFTS, GSM, UCS2, Alphabet
from smsgate.protocol.segmentation import Concat
from tests.fuzz.texts import CONCATS, PIECES, PIECES_MAX

TEXTS = st.lists(st.sampled_from(PIECES), max_size=PIECES_MAX).map("".join)
ALPHABETS = [(UCS2,), (GSM,), (GSM, UCS2), *((GSM, Alphabet("gsm7", shift)) for shift in ALL_SHIFTS)]


@given(TEXTS, st.sampled_from(CONCATS), st.sampled_from(ALPHABETS))
@example("\u0430" * 65 + "\U0001f600" + "\u0430" * 65, "udh16", (GSM, UCS2))
@example("a" + "e" + "\u0301" * 66 + "a", "udh8", (UCS2,))
def test_no_carrier_makes_more_segments_of_a_text_than_its_bound(
    text: str, concat: Concat, alphabets: tuple[Alphabet, ...]
) -> None:
    try:
        _, segments = measured(text, alphabets, alphabets, concat)
    except TextError:
        return  # this carrier has not all of its letters
    assert segments <= segments_max(text)


def test_a_push_has_no_alphabet_and_is_cut_in_one_way() -> None:
    assert segments_max(bytes(400)) == 1
