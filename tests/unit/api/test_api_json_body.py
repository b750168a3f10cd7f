from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.api.json_body import BODY_OCTETS_MAX, DEPTH_MAX, SEPARATORS_MAX, JsonRefused, parse_json

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert parse_json(json.dumps(value).encode("utf-8", "surrogatepass")) == value


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused_and_nothing_else_happens(body: bytes) -> None:
    with contextlib.suppress(JsonRefused):
        parse_json(body)


@pytest.mark.parametrize("shape", ["[{}]", '{{"a": {}}}'])
def test_depth_is_taken_up_to_the_limit_and_not_beyond(shape: str) -> None:
    text = "1"
    for _ in range(DEPTH_MAX):
        text = shape.format(text)
    parse_json(text.encode())
    with pytest.raises(JsonRefused, match="deeper"):
        parse_json(shape.format(text).encode())


@pytest.mark.parametrize("text", ["1" * 20, "-" + "1" * 20, "0." + "1" * 19, "1e5"])
def test_numbers_of_twenty_digits_are_taken(text: str) -> None:
    assert parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", ["1" * 21, "0." + "1" * 20, "-" + "1" * 21, "1e400"])
def test_longer_numbers_are_refused(text: str) -> None:
    with pytest.raises(JsonRefused):
        parse_json(text.encode())


def test_a_name_that_stands_twice_is_named() -> None:
    with pytest.raises(JsonRefused, match="'price' stands twice"):
        parse_json(b'[{"price": 1, "x": 2, "price": 3}]')


@pytest.mark.parametrize(
    "unit", [b"[],", b'{"a":1},', b'"\\u0000",', b"1,", b'"x",', b"[[[[[[]]]]]],", b'"",' + b" " * 30]
)
def test_a_body_at_any_limit_is_judged_in_a_moment(unit: bytes) -> None:
    separators = unit.count(b",") + unit.count(b"[") + unit.count(b"{")
    for count in (BODY_OCTETS_MAX // len(unit), (SEPARATORS_MAX - 2) // separators):
        body = b"[" + unit * count + b"0]"
        assert min(cpu_s(body) for _ in range(3)) < 0.5  # some 30 ms; machines differ


def cpu_s(body: bytes) -> float:
    """Return what one reading takes; a collection of other tests' garbage may fall into it."""
    started = time.process_time()
    with contextlib.suppress(JsonRefused):
        parse_json(body)
    return time.process_time() - started
