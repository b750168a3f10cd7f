from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.protocol.mo_text import read_mo
from smsgate.protocol.packing import fill_bits_after, pack, unpack
from smsgate.protocol.segmentation import segment

VECTORS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "text-vectors.jsonl").read_text("utf-8").splitlines()
]
SEPTETS = st.lists(st.integers(0, 127), max_size=160).map(bytes)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["kind"] == "pack"], ids=lambda v: v["id"])
def test_published_packing_vectors_come_out_exactly(vector: dict[str, Any]) -> None:
    assert pack(encode_gsm(vector["text"]), vector["fill_bits"]).hex() == vector["packed_hex"]


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        # fiorix/go-smpp@a82a321c smpp/encoding/gsm7_test.go
        ("", ""),
        ("1", "31"),
        ("1234567", "31d98c56b3dd00"),
        ("12345678", "31d98c56b3dd70"),
        ("^{}\\[~]|€", "1bca06b5496d5e1bdea6b7f16d809b32"),
    ],
)
def test_vectors_of_go_smpp_come_out_exactly(text: str, packed: str) -> None:
    assert pack(encode_gsm(text)).hex() == packed


@given(SEPTETS, st.integers(0, 6))
def test_what_is_packed_is_unpacked_by_its_count(septets: bytes, fill_bits: int) -> None:
    assert unpack(pack(septets, fill_bits), fill_bits, len(septets)) == septets


@given(SEPTETS, st.integers(0, 6))
def test_without_a_count_only_a_last_character_that_looks_like_padding_is_lost(
    septets: bytes, fill_bits: int
) -> None:
    found = unpack(pack(septets, fill_bits), fill_bits)
    assert septets in {found, found + b"\0", found + b"\r"}


@given(st.binary(max_size=140), st.integers(0, 6))
def test_unpacking_never_raises(octets: bytes, fill_bits: int) -> None:
    unpack(octets, fill_bits)


def test_seven_characters_have_no_at_sign_after_them() -> None:
    assert unpack(pack(encode_gsm("1234567"))) == b"1234567"


@pytest.mark.parametrize(("header", "bits"), [(0, 0), (6, 1), (7, 0), (4, 3), (9, 5), (12, 2)])
def test_fill_bits_let_the_text_begin_on_a_septet(header: int, bits: int) -> None:
    assert fill_bits_after(header) == bits
    assert (header * 8 + bits) % 7 == 0


@pytest.mark.parametrize("length", [10, 160, 161, 305])
def test_a_packed_long_text_is_read_again_and_no_part_exceeds_140_octets(length: int) -> None:
    text = ("Bonjour été " * 40)[:length]
    segments = segment(text, packed=True)
    assert all(len(octets) <= 140 for octets in segments.short_messages)
    parts = [read_mo(octets, 0, segments.esm_class, packed=True) for octets in segments.short_messages]
    assert "".join(part.text for part in parts) == text
