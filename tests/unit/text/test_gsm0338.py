from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import TextError
from smsgate.protocol.gsm0338 import (
    BASIC,
    EXTENSION,
    SUGGESTIONS,
    characters_forcing_ucs2,
    decode_gsm,
    encode_gsm,
    is_gsm,
    suggest,
)
from smsgate.protocol.mo_text import codec_of, decode_text, read_mo
from smsgate.protocol.segmentation import Concat, measure, segment

VECTORS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "text-vectors.jsonl").read_text("utf-8").splitlines()
]
GSM_TEXT = st.text(
    st.sampled_from([c for c in BASIC if c != "\x1b"] + list(EXTENSION.values())), max_size=400
)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["kind"] == "segment"], ids=lambda v: v["id"])
def test_published_segmentation_vectors_come_out_exactly(vector: dict[str, Any]) -> None:
    options = vector.get("options", {})
    forced = options.get("force")
    concat: Concat = "udh16" if options.get("concat_ref_bits") == 16 else "udh8"
    segments = segment(vector["text"], concat=concat, encoding=forced)
    assert len(segments.short_messages) == vector["segments"]
    if forced is None and not options:
        air = measure(vector["text"])
        assert air.encoding == vector["encoding"]
        assert air.units == vector.get("septets", vector.get("units"))
        assert list(air.segment_units) == vector["segment_sizes"]
    if "hex" in vector and len(segments.short_messages) == 1:
        assert segments.short_messages[0].hex() == vector["hex"]
    if "segment_sizes" in vector:
        header = {8: 6, 16: 7}[options.get("concat_ref_bits", 8)] if vector["segments"] > 1 else 0
        width = 2 if vector["encoding"] == "ucs2" else 1
        assert [(len(m) - header) // width for m in segments.short_messages] == vector["segment_sizes"]


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["kind"] == "decode"], ids=lambda v: v["id"])
def test_published_decoding_vectors_come_out(vector: dict[str, Any]) -> None:
    assert decode_text(bytes.fromhex(vector["hex"]), codec_of(vector["data_coding"])) in vector["text_any_of"]


@given(GSM_TEXT)
def test_gsm_text_survives_encoding_and_decoding(text: str) -> None:
    assert decode_gsm(encode_gsm(text)) == text


@given(st.binary(max_size=200))
def test_decoding_never_raises(octets: bytes) -> None:
    decode_gsm(octets)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_segments_joined_give_the_text_and_none_is_too_long(text: str) -> None:
    segments = segment(text)
    parts = [read_mo(m, segments.data_coding, segments.esm_class) for m in segments.short_messages]
    assert "".join(part.text for part in parts) == text
    limit = 140 if segments.data_coding == 8 else 160
    assert all(len(m) <= limit for m in segments.short_messages)
    air = measure(text)
    assert air.segments == len(parts)
    assert air.units == sum(air.segment_units)


def test_every_character_of_the_alphabet_costs_one_septet_and_every_extension_two() -> None:
    assert all(len(encode_gsm(c)) == 1 for c in BASIC if c != "\x1b")
    assert all(len(encode_gsm(c)) == 2 for c in EXTENSION.values())


def test_one_small_cedilla_makes_a_french_text_cost_two_segments() -> None:
    text = "Votre commande est bien reçue. " + "a" * 60
    assert measure(text).encoding == "ucs2"
    assert measure(text).segments == 2
    assert characters_forcing_ucs2(text + "ç’") == ("ç", "’")


def test_encoding_names_the_characters_that_do_not_fit() -> None:
    with pytest.raises(TextError) as caught:
        encode_gsm("ça va, œuf, ça")
    assert caught.value.characters == ("ç", "œ")
    assert caught.value.code == "charset_ucs2"


@pytest.mark.parametrize(
    ("char", "expected"),
    [("ç", "c"), ("’", "'"), ("œ", "oe"), ("\u00a0", " "), ("ê", "e"), ("ő", "o"), ("é", "é"), ("你", None)],
)
def test_a_replacement_is_proposed_where_one_exists(char: str, expected: str | None) -> None:
    assert suggest(char) == expected


def test_every_proposed_replacement_is_in_the_alphabet() -> None:
    assert all(is_gsm(replacement) for replacement in SUGGESTIONS.values())
    assert not any(is_gsm(char) for char in SUGGESTIONS)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(TextError):
        measure("a\ud83d")


def test_more_than_255_segments_are_refused() -> None:
    with pytest.raises(TextError) as caught:
        segment("a" * (153 * 255 + 1))
    assert caught.value.code == "text_too_long"


def test_parts_carry_reference_total_and_index() -> None:
    first, second = segment("a" * 161, reference=0xAB).short_messages
    assert first[:6] == bytes.fromhex("050003ab0201")
    assert second[:6] == bytes.fromhex("050003ab0202")
    wide = segment("a" * 161, reference=0xABCD, concat="udh16").short_messages[0]
    assert wide[:7] == bytes.fromhex("060804abcd0201")
