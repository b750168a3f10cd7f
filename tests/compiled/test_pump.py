"""The compiled pump (`make fast`) does what plain Python does, octet for octet; run by `make test-fast`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgate.compiled import COMPILED
from smsgate.protocol import columns
from smsgate.protocol.columns import Columns, SubmitTemplate, deliver_responses, submit_frames, walk
from smsgate.protocol.frames import Frame
from smsgate.store import copy_rows
from smsgate.store.copy_rows import Kind, RowFormat
from tests.fuzz.streams import stream

pytestmark = pytest.mark.compiled

STREAMS = 60_000
INT8 = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.integers(0, 2**32 - 1)
COLUMNS: dict[str, Any] = {
    "a": Kind.INT8,
    "b": (Kind.BYTEA, None),
    "c": Kind.INT2,
    "d": (Kind.TEXT, None),
    "e": (Kind.INT4, None),
    "f": Kind.INT4,
    "g": Kind.INT8,
    "h": Kind.TEXT,
    "i": (Kind.INT2, None),
}
FORMATS = [RowFormat(ascending=ascending, **COLUMNS) for ascending in (False, True)]
ROW = st.tuples(
    INT8,
    st.none() | st.binary(max_size=30),
    st.integers(-(2**15), 2**15 - 1),
    st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.sampled_from([1, -(2**63)]),
    st.sampled_from(["36111", "é"]),
    st.sampled_from([None, 7]),
)


def both(work: Callable[[], Any]) -> tuple[Any, Any]:
    """Return what the compiled pump makes, and what plain Python makes."""
    with pytest.MonkeyPatch.context() as patch:
        made = work()
        patch.setattr(columns, "COMPILED", False)
        patch.setattr(copy_rows, "COMPILED", False)
        return made, work()


def walked(octets: bytes, *, receipts: bool) -> tuple[Any, ...]:
    found, in_flight, start, items = Columns(), dict.fromkeys(range(32), 5), 0, []
    while True:
        start, item = walk(octets, start, in_flight, found, receipts=receipts)
        items.append(item if isinstance(item, Frame) else str(item))
        if not isinstance(item, Frame):
            return start, items, in_flight, [getattr(found, name) for name in Columns.__slots__]


def test_it_is_there() -> None:
    assert COMPILED, "run `make fast` first"


@pytest.mark.parametrize("seed", range(6))
def test_it_reads_any_stream_as_the_reference_does(seed: int) -> None:
    rnd, common = Random(seed), 0
    for _ in range(STREAMS // 6):
        octets = stream(rnd)
        if rnd.random() < 0.3:  # a submit_sm_resp, whole or with something behind its id
            octets += answer(rnd) + octets
        compiled, plain = both(partial(walked, octets, receipts=rnd.random() < 0.9))
        assert compiled == plain, octets.hex()
        common += len(plain[3][-2]) + len(plain[3][-3])
    assert common > 1_000, "many are of the common form"


def answer(rnd: Random) -> bytes:
    body = rnd.choice(
        [b"%x\0" % rnd.getrandbits(64), b"", b"\0", b"ab\0\x04\x28\x00\x01\x05", b"noend", b"a" * 70 + b"\0"]
    )
    status = rnd.choice([0, 0, 0, 0x58])
    return struct.pack(">IIII", 16 + len(body), 0x80000004, status, rnd.randrange(40)) + body


@given(st.lists(ROW, min_size=1, max_size=40), st.booleans(), st.sampled_from(FORMATS))
def test_rows_for_copy_are_the_same_octets(
    rows: list[tuple[Any, ...]], constant: bool, layout: RowFormat
) -> None:
    given_columns: list[Any] = [list(column) for column in zip(*rows, strict=True)]
    if constant:
        given_columns[2:] = [7, "same", None, -7, 1, "36111", None]
    compiled, plain = both(lambda: layout.pack(*given_columns))
    assert compiled == plain


@pytest.mark.parametrize(
    "wrong", [[2**63], [None], ["1"], [1.5]], ids=["too large", "none", "a text", "a float"]
)
def test_what_is_no_number_of_the_column_is_refused_alike(wrong: list[Any]) -> None:
    def refused() -> str:
        for more in ([], wrong, [1]):  # one row, all alike, and not
            with pytest.raises(struct.error):
                RowFormat(a=Kind.INT8, b=Kind.INT2).pack(wrong + more, [1, 2][: 1 + len(more)])
        for kind, bits in ((Kind.INT2, 15), (Kind.INT4, 31), (Kind.INT8, 63)):
            for value in (2**bits, -(2**bits) - 1):
                with pytest.raises(struct.error):
                    RowFormat(a=kind).pack([1, value])
        return "refused"

    assert both(refused) == ("refused", "refused")


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 10**15), st.binary(max_size=255), NUMBERS), max_size=20))
def test_slices_of_submits_and_answers_are_the_same_octets(rows: list[tuple[int, bytes, int]]) -> None:
    template = SubmitTemplate(((0x1400, b"x"),), source_addr=b"36111", data_coding=8, registered_delivery=1)
    destinations, texts = columns.digits(row[0] for row in rows), [row[1] for row in rows]
    numbers = [row[2] for row in rows]

    def made() -> tuple[bytes, bytes, bytes]:
        bodies = template.bodies_each(destinations, texts)
        return (
            submit_frames(bodies, iter(numbers)),
            submit_frames(bodies, numbers[:-1]),
            deliver_responses(numbers, 0x58),
        )

    compiled, plain = both(made)
    assert compiled == plain
