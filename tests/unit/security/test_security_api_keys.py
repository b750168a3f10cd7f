"""The form, check sum and stored code of API keys."""

from __future__ import annotations

import ast
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import smsgate
from smsgate.errors import KeyInvalid
from smsgate.security import base62
from smsgate.security.api_keys import (
    KEY_PATTERN,
    MERCHANT_SCOPES,
    SCOPES,
    Mode,
    Scope,
    key_mac,
    key_matches,
    new_key,
    parse_key,
)

MAC_KEY = bytes(range(32))


@pytest.mark.parametrize("mode", Mode)
def test_a_new_key_has_the_published_form_and_reads_back(mode: Mode) -> None:
    key = new_key(mode)
    assert re.fullmatch(KEY_PATTERN, key.text)
    assert key.text.startswith(f"sgk_{mode.value}_{key.public_id}")
    assert len(key.text) == len("sgk_live_") + 10 + 32 + 6
    parsed = parse_key(key.text)
    assert (parsed.public_id, parsed.mode, parsed.text) == (key.public_id, mode, key.text)


def test_the_last_six_characters_are_crc32_of_all_before_them() -> None:
    text = new_key(Mode.LIVE).text
    assert base62.decode(text[-6:]) == zlib.crc32(text[:-6].encode())


def test_two_keys_share_neither_public_id_nor_secret() -> None:
    keys = [new_key(Mode.LIVE) for _ in range(200)]
    assert len({key.public_id for key in keys}) == 200
    assert len({key.text[19:51] for key in keys}) == 200


def test_any_change_of_one_character_is_refused_by_form_or_check_sum() -> None:
    text = new_key(Mode.TEST).text
    for place in range(len(text)):
        for other in "a0Z":
            if text[place] != other:
                with pytest.raises(KeyInvalid):
                    parse_key(text[:place] + other + text[place + 1 :])


@given(st.text(max_size=80))
def test_foreign_text_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyInvalid) as refusal:
        parse_key(text)
    assert len(text) < 6 or text not in str(refusal.value)


@pytest.mark.parametrize("change", ["{}\n", " {}", "{} ", "{}0", "{}{}"])
def test_a_good_key_with_anything_around_it_is_refused(change: str) -> None:
    text = new_key(Mode.LIVE).text
    with pytest.raises(KeyInvalid):
        parse_key(change.format(text, text))


def test_digits_of_other_scripts_are_refused() -> None:
    text = new_key(Mode.LIVE).text
    with pytest.raises(KeyInvalid):
        parse_key(text[:-1] + "\u0663")


def test_a_key_matches_its_own_stored_code_alone() -> None:
    key, other = (parse_key(new_key(Mode.LIVE).text) for _ in range(2))
    stored = key_mac(MAC_KEY, key.text)
    assert len(stored) == 32
    assert key_matches(MAC_KEY, key, stored)
    assert not key_matches(MAC_KEY, other, stored)
    assert not key_matches(bytes(32), key, stored)
    assert not key_matches(MAC_KEY, key, None)


def test_a_key_never_shows_in_a_repr() -> None:
    key = new_key(Mode.LIVE)
    assert key.text[19:] not in repr(key) + repr(parse_key(key.text))


def test_merchants_cannot_be_given_the_operators_scope() -> None:
    assert MERCHANT_SCOPES | {Scope.OPERATOR} == SCOPES
    assert Scope.OPERATOR not in MERCHANT_SCOPES
    assert "billing.read" in MERCHANT_SCOPES


@given(st.integers(0, 2**128 - 1))
def test_base_62_reads_back_and_keeps_the_order(value: int) -> None:
    text = base62.encode(value, 22)
    assert (len(text), base62.decode(text)) == (22, value)
    if value:
        assert base62.encode(value - 1, 22) < text


def test_secrets_are_compared_in_one_place_of_the_project() -> None:
    root = Path(smsgate.__file__).parent
    elsewhere = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if path != root / "security" / "compare.py"
        for node in ast.walk(ast.parse(path.read_bytes()))
        if getattr(node, "attr", getattr(node, "id", None)) in {"compare_digest", "bytes_eq"}
    ]
    assert elsewhere == []
