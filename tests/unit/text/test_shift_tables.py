from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import TextError
from smsgate.protocol.encodings import ALL_SHIFTS, alternatives
from smsgate.protocol.gsm0338 import BASIC, ESC, EXTENSION
from smsgate.protocol.segmentation import measure, segment
from smsgate.protocol.shift_tables import (
    LOCKING,
    SINGLE,
    Shift,
    decode_shifted,
    encode_shifted,
    shift_of,
)

PORTUGUESE = Shift(single=3)


@pytest.mark.parametrize("shift", ALL_SHIFTS, ids=str)
def test_every_character_of_the_tables_survives(shift: Shift) -> None:
    locking = LOCKING.get(shift.locking, BASIC).replace("\x1b", "")
    single = "".join(SINGLE.get(shift.single, EXTENSION).values())
    assert decode_shifted(encode_shifted(locking + single, shift), shift) == locking + single


@pytest.mark.parametrize("shift", ALL_SHIFTS, ids=str)
@given(octets=st.binary(max_size=160))
def test_decoding_never_raises(shift: Shift, octets: bytes) -> None:
    decode_shifted(octets, shift)


def test_places_of_the_specification() -> None:
    """TS 23.038 tables A.2.1, A.2.2, A.2.3 and A.3.1, A.3.3: a few places that other tables mix up."""
    assert encode_shifted("ş", Shift(locking=1)) == b"\x1d"
    assert encode_shifted("ş", Shift(single=1)) == bytes((ESC, 0x73))
    assert encode_shifted("ç", Shift(single=2)) == bytes((ESC, 0x09))
    assert encode_shifted("ç", Shift(locking=3)) == b"\x09"
    assert encode_shifted("∞", Shift(locking=3)) == b"\x15"
    assert encode_shifted("Φ", Shift(3, 3)) == bytes((ESC, 0x12))


def test_spanish_has_no_locking_table_and_nobody_else_is_known() -> None:
    assert shift_of("es", single=True, locking=False) == Shift(single=2)
    assert shift_of("es", single=True, locking=True) is None
    assert shift_of("fr", single=True, locking=False) is None


def test_a_character_in_neither_table_is_named() -> None:
    with pytest.raises(TextError) as caught:
        encode_shifted("Reçu, œuf", PORTUGUESE)
    assert caught.value.characters == ("œ",)


def test_a_phone_without_the_table_shows_the_letter_below() -> None:
    septets = encode_shifted("ça été être", PORTUGUESE)
    assert decode_shifted(septets, Shift(single=99)) == "Ça été étre"


def test_french_with_a_cedilla_takes_one_part_in_the_portuguese_table_and_two_in_ucs2() -> None:
    text = "Votre commande est bien reçue, elle est prête à être livrée. Merci et à bientôt chez Boxman"
    best, *rest = alternatives(text, [PORTUGUESE])
    assert (best.shift, best.air.segments) == (PORTUGUESE, 1)
    assert [(way.encoding, way.air.segments) for way in rest] == [("ucs2", 2)]


def test_the_default_alphabet_is_taken_wherever_it_does() -> None:
    assert alternatives("Déjà livré", ALL_SHIFTS)[0].shift == Shift()


def test_a_text_beyond_every_limit_is_refused() -> None:
    with pytest.raises(TextError) as caught:
        alternatives("a" * (153 * 255 + 1))
    assert caught.value.code == "text_too_long"


def test_every_part_of_a_shifted_text_tells_its_tables() -> None:
    first, second = segment("ç" * 80, shift=PORTUGUESE, reference=7).short_messages
    assert first[:9] == bytes.fromhex("08 240103 000307 0201")
    assert second[:9] == bytes.fromhex("08 240103 000307 0202")


@pytest.mark.parametrize(
    ("shift", "single", "several"),
    [(Shift(), 160, 153), (Shift(single=1), 155, 149), (Shift(locking=3), 155, 149), (Shift(3, 3), 152, 146)],
)
def test_headers_take_their_room(shift: Shift, single: int, several: int) -> None:
    assert measure("a" * single, shift=shift).segments == 1
    assert measure("a" * (single + 1), shift=shift).segment_units == (several, single + 1 - several)
