from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smsgate.errors import Invalid, TextError
from smsgate.protocol.encodings import permitted
from smsgate.protocol.replacements import Replacement, replace_for, replace_for_segment
from smsgate.protocol.shift_tables import Shift
from smsgate.protocol.text_inspection import inspect_text

VECTORS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "text-vectors.jsonl").read_text("utf-8").splitlines()
]
NOT_EXPECTATIONS = {
    "id",
    "kind",
    "text",
    "options",
    "source",
    "verified_by",
    "note",
    "data_coding",
    "fill_bits",
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_every_published_row_is_answered_as_it_expects(vector: dict[str, Any]) -> None:
    answer = inspect_text(vector)
    if vector["kind"] == "decode":
        assert answer["text"] in vector["text_any_of"]
        return
    expected = {key: value for key, value in vector.items() if key not in NOT_EXPECTATIONS}
    assert {key: answer.get(key) for key in expected} == expected


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_what_a_row_expects_is_not_looked_at(vector: dict[str, Any]) -> None:
    asked = {"id", "kind", "text", "options", "data_coding", "fill_bits"}
    if vector["kind"] == "decode":
        asked.add("hex")
    assert inspect_text({key: value for key, value in vector.items() if key in asked}) == inspect_text(vector)


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "sing", "text": "a"},
        {"kind": "segment"},
        {"kind": "segment", "text": 7},
        {"kind": "segment", "text": "a", "options": []},
        {"kind": "segment", "text": "a", "options": {"concat_ref_bits": 9}},
        {"kind": "segment", "text": "a", "options": {"force": "ebcdic"}},
        {"kind": "shift", "text": "a", "options": {"language": "xx", "single_shift": True}},
        {"kind": "pack", "text": "a", "fill_bits": 7},
        {"kind": "decode", "hex": "0g"},
        {"kind": "decode", "hex": "00", "data_coding": 256},
        {"kind": "decode", "hex": "00", "options": {"default_alphabet": "baudot"}},
        {"kind": "unpack", "packed_hex": "00", "septets": "two"},
        {"kind": "unpack", "packed_hex": "00", "septets": -5},
        {"kind": "unpack", "packed_hex": "00", "septets": 2},
        {"kind": "unpack", "packed_hex": "00", "septets": True},
        {"kind": ["segment"], "text": "a"},
        {"kind": [], "text": "a"},
        {"kind": "segment", "text": "a", "options": {"force": {"gsm7": 1}}},
        {"kind": "segment", "text": "a", "options": {"concat": ["udh8"]}},
        {"kind": "segment", "text": "a", "options": {"concat_ref_bits": [8]}},
        {"kind": "segment", "text": "a", "options": {"data_coding": [8]}},
        {"kind": "shift", "text": "a", "options": {"language": ["tr"], "single_shift": True}},
        {"kind": "decode", "hex": "00", "options": {"default_alphabet": ["gsm7"]}},
    ],
)
def test_a_row_without_meaning_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        inspect_text(row)


def test_a_forced_alphabet_that_lacks_a_character_is_refused() -> None:
    with pytest.raises(TextError):
        inspect_text({"kind": "segment", "text": "œ", "options": {"force": "gsm7"}})


def test_packed_octets_are_read_again() -> None:
    assert inspect_text({"kind": "unpack", "packed_hex": "31d98c56b3dd00"})["text"] == "1234567"


def test_replacements_are_told_one_by_one_and_letters_are_composed_first() -> None:
    replaced = replace_for("L’œuf « rec\u0327u » e\u0301te\u0301 你")
    assert replaced.text == 'L\'oeuf " recu " été 你'
    assert replaced.replacements[:3] == (
        Replacement(1, "’", "'"),
        Replacement(2, "œ", "oe"),
        Replacement(6, "«", '"'),
    )
    assert Replacement(10, "c\u0327", "c") in replaced.replacements
    assert Replacement(16, "e\u0301", "é") in replaced.replacements
    assert replaced.left == ("你",)


def test_a_text_that_fits_is_not_touched() -> None:
    assert replace_for("Déjà 9€ {ok}") == ("Déjà 9€ {ok}", (), ())


def test_only_what_keeps_a_text_from_one_segment_is_replaced() -> None:
    carrier = permitted([Shift(single=3)])
    long = " de la boutique" * 8
    assert replace_for_segment(f"L’ami a reçu{long}", carrier) == (
        f"L'ami a reçu{long}",
        (Replacement(1, "’", "'"),),
        (),
    )
    assert replace_for_segment(f"reçu{long}", carrier) == (f"reçu{long}", (), ())
    assert replace_for_segment("L’ami", carrier) == ("L’ami", (), ())  # one segment of UCS-2 costs the same
    assert replace_for_segment(f"reçu{long}", permitted([])).text == f"recu{long}"
    assert replace_for_segment(f"你{long}", carrier).left == ("你",)
