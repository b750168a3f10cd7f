"""A read is taken to pieces alike, whether its PDUs come together, in runs, or each in a read of its own."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.protocol.columns import Columns, walk
from smsgate.protocol.commands import CommandId
from smsgate.protocol.runs import RUN_MIN, read_run

LENGTH_MAX = 70_000


def pdu(command_id: int, number: int, body: bytes, status: int = 0) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, status, number) + body


def response(number: int, message_id: bytes = b"5f00a1", status: int = 0, more: bytes = b"") -> bytes:
    return pdu(CommandId.SUBMIT_SM_RESP, number, message_id + b"\0" + more, status)


def receipt(
    number: int,
    message_id: bytes = b"5f00a1",
    *,
    source: bytes = b"33612345678",
    destination: bytes = b"36111",
    kind: bytes = b"\x04",
    word: bytes = b"DELIVRD",
    done: bytes = b"2611281925",
    error: bytes = b"000",
    added: bytes = b" text:",
    said_id: bytes | None = b"",
    state: int = 2,
    size_off: int = 0,
    id_size_off: int = 0,
    more: bytes = b"",
    status: int = 0,
) -> bytes:
    """`said_id` empty: the text's id again in a TLV; None: no TLVs."""
    text = b"id:" + message_id + b" sub:001 dlvrd:001 submit date:2611281925 done date:" + done
    text += b" stat:" + word + b" err:" + error + added
    body = b"\0\1\1" + source + b"\0\0\1" + destination + b"\0" + kind + b"\0\0\0\0\0\0\0\0"
    body += bytes(((len(text) + size_off) & 0xFF,)) + text
    if said_id is not None:
        said = (said_id or message_id) + b"\0"
        body += (
            struct.pack(">HH", 0x1E, len(said) + id_size_off) + said + struct.pack(">HHB", 0x427, 1, state)
        )
    return pdu(CommandId.DELIVER_SM, number, body + more, status)


# Of the length of the others, so they stand in their run. What is all of a run is its form.
ODD_RECEIPTS: list[dict[str, Any]] = [
    {"source": b"336\0\0\0" + b"34567"}, {"destination": b"36\x0012"}, {"kind": b"\x00"}, {"kind": b"\x44"},
    {"message_id": b"a b 01"}, {"message_id": b"a\0b001"}, {"said_id": b"5f00a9"}, {"word": b"XXXXXXX"},
    {"word": b"rejectd"}, {"word": b"12ABCDE"}, {"word": b"UNDELIV", "state": 0}, {"state": 9}, {"state": 0},
    {"done": b"26112819x5"}, {"error": b"a/b"}, {"error": b"0 b"}, {"size_off": 1}, {"size_off": -1},
    {"size_off": -6}, {"added": b"!text:"}, {"added": b" \0ext:"}, {"added": b" other"}, {"status": 8},
    {"id_size_off": 1}, {"id_size_off": -1}, {"said_id": None, "more": b"\x04\x23\0\x03\3\0\0" + bytes(9)},
    {"said_id": None, "more": b"\x02\x04\0\x0c" + bytes(12)},
]  # fmt: skip
RECEIPT_FORMS: list[dict[str, Any]] = [
    {"said_id": None}, {"said_id": None, "added": b""}, {"said_id": None, "more": b"\0"},
    {"said_id": None, "more": b"\x04\x23\0\x03abc"},
    *({"more": more} for more in (b"\0", b"\x04\x23\0\x03abc")),
    {"message_id": b""}, {"message_id": b"9" * 65}, {"message_id": b"9" * 66}, {"added": b" text:\x07"},
]  # fmt: skip
ODD_RESPONSES = [
    response(2), response(40), response(1), response(35, b"a\0b\0cd"), response(35, b"5f00a1", 0x58),
    response(35, b"x", 0, struct.pack(">HHB", 0x428, 1, 80)), pdu(CommandId.SUBMIT_SM_RESP, 35, b"5f00a1x"),
]  # fmt: skip
RECEIPTS = st.builds(receipt, st.integers(1, 40), word=st.sampled_from([b"DELIVRD", b"UNDELIV"])) | st.builds(
    lambda odd: receipt(7, **odd), st.sampled_from(ODD_RECEIPTS + RECEIPT_FORMS)
)
RESPONSES = st.builds(response, st.integers(1, 40)) | st.sampled_from(ODD_RESPONSES)
OTHERS = st.sampled_from([pdu(CommandId.ENQUIRE_LINK, 7, b""), pdu(CommandId.UNBIND, 8, b"")])
READS = st.lists(RECEIPTS, max_size=30) | st.lists(RESPONSES, max_size=30) | st.lists(
    st.one_of(RECEIPTS, RESPONSES, OTHERS), max_size=30
)  # fmt: skip


def read(reads: list[bytes], *, receipts: bool) -> tuple[dict[str, Any], list[Any], dict[int, int]]:
    """Return what the reads have: columns, other frames, and what is still in flight."""
    columns, others = Columns(), list[Any]()
    in_flight = {number: 1_000 + number for number in range(1, 40, 2)} | {
        n: 2_000 + n for n in range(2, 30, 4)
    }
    for data in reads:
        at = 0
        while at < len(data):
            start = at
            at, other = walk(data, at, in_flight, columns, receipts=receipts)
            if other is not None:
                others.append(other)
            assert at > start
    return {name: getattr(columns, name) for name in Columns.__slots__}, others, in_flight


def same(pdus: list[bytes], *, receipts: bool = True) -> None:
    assert read([b"".join(pdus)], receipts=receipts) == read(pdus, receipts=receipts)


@given(READS, st.booleans())
def test_what_comes_together_is_read_as_if_each_came_alone(pdus: list[bytes], receipts: bool) -> None:
    same(pdus, receipts=receipts)


@pytest.mark.parametrize("odd", ODD_RECEIPTS, ids=str)
def test_one_receipt_of_a_run_that_is_not_like_the_others_is_read_as_alone(odd: dict[str, Any]) -> None:
    run = [receipt(n, b"%06x" % n) for n in range(1, 2 * RUN_MIN + 1)]
    for place in (0, RUN_MIN, len(run)):
        same([*run[:place], receipt(40, **odd), *run[place:]])
    same([receipt(n, **odd) for n in range(1, RUN_MIN + 2)])


@pytest.mark.parametrize("form", RECEIPT_FORMS, ids=str)
def test_receipts_of_any_form_are_read_as_alone(form: dict[str, Any]) -> None:
    same([receipt(n, **form) for n in range(1, RUN_MIN + 2)])


@pytest.mark.parametrize("odd", ODD_RESPONSES, ids=str)
def test_one_response_of_a_run_that_is_not_like_the_others_is_read_as_alone(odd: bytes) -> None:
    run = [response(n) for n in range(1, 4 * RUN_MIN, 2)]
    for place in (0, RUN_MIN, len(run)):
        same([*run[:place], odd, *run[place:]])


def test_a_run_is_taken_whole_up_to_what_is_not_of_it() -> None:
    run = [
        receipt(n, b"%06x" % n, source=b"%d" % (33612345678 + n), word=b"UNDELIV", state=5)
        for n in range(1, 21)
    ]
    columns = Columns()
    data = b"".join(run) + receipt(21, b"longer-than-those") + run[0]
    taken = read_run(data, 0, {}, columns, receipts=True, longest=LENGTH_MAX)
    assert taken == sum(map(len, run))
    assert columns.sequence_numbers == list(range(1, 21))
    assert columns.receipt_ids == [b"%06x" % n for n in range(1, 21)]
    assert (columns.states, columns.errors, columns.other_ids) == ([5] * 20, [b"000"] * 20, [b""] * 20)


def test_responses_come_out_of_those_in_flight() -> None:
    in_flight, columns = {number: number * 10 for number in range(1, 31)}, Columns()
    data = b"".join(response(number, b"%06x" % number) for number in range(20, 0, -1))
    assert read_run(data, 0, in_flight, columns, receipts=False, longest=LENGTH_MAX) == len(data)
    assert columns.slots == list(range(200, 0, -10))
    assert columns.message_ids == [b"%06x" % number for number in range(20, 0, -1)]
    assert in_flight == {number: number * 10 for number in range(21, 31)}


def test_nothing_is_taken_of_too_few_or_where_receipts_may_not_come_or_beyond_the_longest_pdu() -> None:
    data = b"".join(receipt(n, b"%06x" % n) for n in range(RUN_MIN))
    few, columns = data[:-1], Columns()
    assert read_run(few, 0, {}, columns, receipts=True, longest=LENGTH_MAX) == 0
    assert read_run(data, 0, {}, columns, receipts=False, longest=LENGTH_MAX) == 0
    assert read_run(data, 0, {}, columns, receipts=True, longest=len(data) // RUN_MIN - 1) == 0
    assert read_run(bytes(200), 0, {}, columns, receipts=True, longest=LENGTH_MAX) == 0
    assert columns.sequence_numbers == []
