"""Lines of `smsgate text`, `pdu` and `reply`: each has its answer, in order, whatever JSON stands where."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsgate.campaigns.reply_inspection import inspect_reply
from smsgate.cli.exits import UsageRefused
from smsgate.cli.json_lines import Row, answers, text_or_lines, written
from smsgate.cli.pdu import made, read
from smsgate.protocol.commands import COMMAND_NAMES
from smsgate.protocol.frames import COMMAND_LENGTH_MAX
from smsgate.protocol.pdus import LAYOUTS
from smsgate.protocol.text_inspection import inspect_text

Answer = Callable[[Row], Row]
ENQUIRE_LINK = "00000010000000150000000000000001"
HEX = st.binary(max_size=12).map(bytes.hex)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def some_of(places: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw objects with any of these members, each with a value of its kind or with any JSON."""
    return st.fixed_dictionaries({}, optional={name: kind | JSON for name, kind in places.items()})


OCTET = st.integers(-1, 256)
TEXT_OPTIONS = {
    "force": st.sampled_from(["gsm7", "ucs2", "latin1"]),
    "concat": st.sampled_from(["udh8", "udh16", "sar", "payload"]),
    "concat_ref_bits": st.sampled_from([8, 16]),
    "data_coding": OCTET,
    "single_shift": st.booleans(),
    "locking_shift": st.booleans(),
    "language": st.sampled_from(["tr", "es", "pt"]),
    "default_alphabet": st.sampled_from(["gsm7", "ucs2", "latin1"]),
    "packed": st.booleans(),
    "septets": st.integers(-3, 20),
    "fill_bits": st.integers(-1, 7),
    "esm_class": OCTET,
}
TEXT_ROWS = some_of(
    {
        "kind": st.sampled_from(["segment", "shift", "shift-segment", "pack", "unpack", "decode"]),
        "text": st.text(max_size=200),
        "hex": HEX,
        "packed_hex": HEX,
        "septets": st.integers(-3, 20),
        "fill_bits": st.integers(-1, 7),
        "data_coding": OCTET,
        "esm_class": OCTET,
        "options": some_of(TEXT_OPTIONS),
    }
)
NUMBER = st.integers(-1, 2**32) | st.integers(0, 255)
FIELDS = {
    **{name: NUMBER | st.text(max_size=5) for layout in LAYOUTS.values() for name, _ in layout},
    **dict.fromkeys(("command_status", "sequence_number", "sm_length", "number_of_dests"), NUMBER),
    "short_message": HEX,
    "dests": st.lists(some_of({"dest_flag": OCTET, "ton": OCTET, "addr": st.text(), "dl_name": st.text()})),
    "unsuccess": st.lists(some_of({"ton": OCTET, "npi": OCTET, "addr": st.text(), "error": NUMBER})),
}


@st.composite
def pdu_rows(draw: st.DrawFn) -> dict[str, Any]:
    command_id = draw(st.sampled_from(sorted(LAYOUTS)))
    names = [name for name, _ in LAYOUTS[command_id]]
    known = {name: FIELDS[name] for name in [*names, "command_status", "sequence_number"]}
    fields = draw(some_of({**known, "dests": FIELDS["dests"], "unsuccess": FIELDS["unsuccess"]}))
    if draw(st.booleans()):
        fields["command_id"] = draw(st.just(f"0x{command_id:08x}") | JSON)
    tlvs = st.lists(some_of({"tag": st.integers(0, 0x10000) | st.just("0x1400"), "value": HEX}), max_size=3)
    row = draw(some_of({"fields": st.just(fields), "tlvs": tlvs}))
    return {"pdu": draw(st.just(COMMAND_NAMES[command_id]) | JSON), **row}


READ_ROWS = some_of(
    {"hex": HEX | st.just(ENQUIRE_LINK), "pdu": st.just("receipt_text"), "esm_class": st.integers(-1, 300)}
)
REPLY_ROWS = some_of(
    {
        "text": st.text(max_size=40) | st.just("OK 2"),
        "lang": st.sampled_from(["fr", "en"]),
        "context": st.sampled_from(["offer", "offers", "none"]),
        "names": st.lists(st.text(max_size=10), max_size=2),
    }
)


def answered(rows: list[Any], bare: str, answer: Answer) -> list[dict[str, Any]]:
    """Return the answers as a program reads them."""
    lines = [json.dumps(row).encode() for row in rows]
    return [json.loads(written(found)) for found in answers(lines, bare, answer)]


def check(rows: list[dict[str, Any]], bare: str, answer: Answer) -> None:
    rows.append({"id": "last"})
    found = answered([{"id": number, **row} for number, row in enumerate(rows)], bare, answer)
    assert [each["id"] for each in found] == [*range(len(rows) - 1), "last"]


@given(st.lists(TEXT_ROWS, min_size=1, max_size=3))
@example([{"kind": ["segment"], "text": "a"}, {"kind": {"a": 1}, "text": "a"}])
@example([{"text": "a", "options": {name: value}} for name in TEXT_OPTIONS for value in (["x"], {"a": 1})])
@example([{"kind": "decode", "hex": "41", "options": {"default_alphabet": ["x"]}}])
@example([{"kind": "shift", "text": "a", "options": {"single_shift": True, "language": ["tr"]}}])
def test_each_line_of_text_has_its_answer(rows: list[dict[str, Any]]) -> None:
    check(rows, "text", inspect_text)


@given(st.lists(pdu_rows(), min_size=1, max_size=3))
@example([{"pdu": "submit_multi", "fields": {"dest_address": [5]}}])
@example([{"pdu": "submit_multi_resp", "fields": {"message_id": "1", "unsuccess_sme": [5]}}])
def test_each_pdu_to_make_has_its_answer(rows: list[dict[str, Any]]) -> None:
    check(rows, "pdu", made)


@given(st.lists(READ_ROWS, min_size=1, max_size=3))
def test_each_pdu_to_read_has_its_answer(rows: list[dict[str, Any]]) -> None:
    check(rows, "hex", lambda row: read(row, COMMAND_LENGTH_MAX))


@given(st.lists(REPLY_ROWS, min_size=1, max_size=3))
@example([{"text": "ok", "context": ["offer"]}])
def test_each_reply_has_its_answer(rows: list[dict[str, Any]]) -> None:
    check(rows, "text", inspect_reply)


@given(st.lists(JSON | st.binary(max_size=8), min_size=1, max_size=4))
def test_each_line_of_anything_has_its_answer(values: list[Any]) -> None:
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in values]
    for bare, answer in (("text", inspect_text), ("pdu", made), ("text", inspect_reply)):
        found = [json.loads(written(each)) for each in answers(lines, bare, answer)]
        assert len(found) == sum(1 for line in lines if line.strip())


@pytest.mark.parametrize("depth", [250, 300, 1_020])
def test_a_line_nested_as_deep_as_json_may_be_has_its_answer(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    lines = [
        line.encode()
        for line in (
            f'{{"id":{deep},"text":"a"}}',
            f'{{"id":1.5,"text":"a","note":{deep}}}',
            f'{{"id":3,"kind":{deep},"text":"a"}}',
            f'{{"id":4,"error":{deep},"fields":{{}},"text":"a"}}',
            f'{{"id":5,"pdu":"submit_multi","fields":{{"dests":[{{"addr":{deep}}}]}},"text":"a"}}',
            f'{{"id":6,"context":{deep},"text":"a"}}',
        )
    ]
    for answer in (inspect_text, made, inspect_reply):
        found = [json.loads(written(each)) for each in answers(lines, "text", answer)]
        assert len(found) == len(lines)
        assert [each["id"] for each in found[2:]] == [3, 4, 5, 6]


def test_the_mark_of_utf_8_before_the_first_line_is_not_of_the_line() -> None:
    lines = [b'\xef\xbb\xbf{"id":"first","text":"a"}\r\n', b"a\n"]
    found = list(answers(lines, "text", inspect_text))
    assert [(each["id"], each.get("hex")) for each in found] == [("first", "61"), (2, "61")]


def test_a_file_of_nothing_but_the_mark_of_utf_8_has_no_lines() -> None:
    assert list(answers([b"\xef\xbb\xbf\n"], "text", inspect_text)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root can become somebody else")
def test_a_file_in_a_directory_that_is_closed_to_us_is_refused_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    tmp_path.chmod(0o711)
    monkeypatch.chdir(tmp_path)
    os.seteuid(65_534)
    try:
        with pytest.raises(UsageRefused, match="closed/texts cannot be read: Permission denied"):
            text_or_lines("closed/texts", dict)
    finally:
        os.seteuid(0)
