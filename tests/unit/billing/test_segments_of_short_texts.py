"""The short way of counting segments says what the long one does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.segments import SHORT, segments_of
from smsgate.errors import TextError
from smsgate.protocol.gsm0338 import encode_gsm

ALPHABETS = st.one_of(
    st.text("aé{}€^[]~\\|", max_size=170),
    st.text("a漢\ue000\ud7ff😀", max_size=90),
    st.text("€😀a", min_size=SHORT - 5, max_size=SHORT + 5),
)


def fits_one(text: str) -> bool:
    """R1: 160 septets, an extension character is two; else 70 UTF-16 units."""
    try:
        return len(encode_gsm(text)) <= 160
    except TextError:
        return len(text.encode("utf-16-be")) // 2 <= 70


@given(ALPHABETS)
def test_one_segment_is_what_fits_into_one(text: str) -> None:
    assert (segments_of(text) == 1) is fits_one(text)
