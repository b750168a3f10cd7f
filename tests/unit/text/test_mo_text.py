from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.protocol.gsm0338 import Encoding
from smsgate.protocol.mo_text import ConcatPart, read_mo


@pytest.mark.parametrize(
    ("octets", "data_coding", "alphabet", "text"),
    [
        (b"\x00\x02\x1b\x65", 0, "gsm7", "@$€"),
        (b"caf\xe9", 0, "latin1", "café"),
        (b"caf\xe9", 3, "gsm7", "café"),
        ("Да".encode("utf-16-be"), 8, "gsm7", "Да"),
        ("Да".encode("utf-16-be") + b"\x00", 8, "gsm7", "Да"),
        ("ok".encode("utf-16-be"), 0x18, "gsm7", "ok"),
        (b"ok", 0x11, "gsm7", "ok"),
        ("ok".encode("utf-16-be"), 0x48, "gsm7", "ok"),  # marked for automatic deletion
        (b"ok", 0x51, "gsm7", "ok"),
        (b"ok", 0xF1, "gsm7", "ok"),
        (b"\x01\x02", 4, "gsm7", ""),
        (b"\x01\x02", 0xF5, "gsm7", ""),
        (b"\xd2\xd6", 6, "gsm7", "вж"),
    ],
)
def test_data_coding_decides_how_octets_are_read(
    octets: bytes, data_coding: int, alphabet: Encoding, text: str
) -> None:
    assert read_mo(octets, data_coding, 0, default_alphabet=alphabet).text == text


def test_headers_give_the_part_whatever_stands_before_it() -> None:
    mo = read_mo(bytes.fromhex("0b05040b8423f0000342030 2".replace(" ", "")) + b"ok", 0, 0x40)
    assert mo.concat == ConcatPart(ref=0x42, total=3, index=2, width=8)
    assert mo.text == "ok"
    wide = read_mo(bytes.fromhex("0608041234020 1".replace(" ", "")) + b"ok", 0, 0x40)
    assert wide.concat == ConcatPart(ref=0x1234, total=2, index=1, width=16)


def test_sar_and_message_payload_are_read() -> None:
    mo = read_mo(b"", 0, 0, message_payload=b"ok", sar=(7, 2, 1))
    assert mo.text == "ok"
    assert mo.concat == ConcatPart(7, 2, 1, 16)


@pytest.mark.parametrize(
    "header", ["ff", "05000300", "050003010000", "0500030102030405", "00", "0500030103 04"]
)
def test_broken_headers_are_no_parts(header: str) -> None:
    mo = read_mo(bytes.fromhex(header.replace(" ", "")), 0, 0x40)
    assert mo.concat is None or 1 <= mo.concat.index <= mo.concat.total


@given(st.binary(max_size=160), st.integers(0, 255), st.integers(0, 255))
def test_nothing_that_a_peer_sends_raises(octets: bytes, data_coding: int, esm_class: int) -> None:
    read_mo(octets, data_coding, esm_class)


@given(st.tuples(*[st.integers(0, 1 << 2_400)] * 3))
def test_a_place_by_tlvs_is_one_that_a_header_could_give(sar: tuple[int, int, int]) -> None:
    concat = read_mo(b"part", 0, 0, sar=sar).concat
    if concat is not None:
        assert concat.reference <= 0x1_FFFF
        assert 1 <= concat.index <= concat.total <= 255


def test_a_long_reference_by_tlv_counts_by_its_last_bits() -> None:
    concat = read_mo(b"part", 0, 0, sar=(0xABCD_1234, 2, 1)).concat
    assert concat is not None
    assert concat.reference == 0x1_1234
    assert read_mo(b"part", 0, 0, sar=(1, 1 << 200, 1)).concat is None
