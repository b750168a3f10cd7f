from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.protocol.receipt_states import STATE_WORDS, ReceiptState
from smsgate.protocol.receipts import Receipt, parse_receipt

VECTORS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "receipt-texts.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_receipts_seen_in_the_field_are_read(vector: dict[str, Any]) -> None:
    receipt = parse_receipt(bytes.fromhex(vector["hex"]))
    assert receipt is not None
    fields = vector["fields"]
    assert receipt.message_id == fields["id"].encode()
    assert receipt.state == STATE_WORDS[fields["stat"].encode()]
    assert receipt.error == fields.get("err", receipt.error)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            b"id:1 submit date:1701240904 done date:1701240904 stat:DELIVRD err:000 text:h",
            (b"1", 2, "000", "1701240904"),
        ),
        (
            (
                b"id:a-b_c sub:000 dlvrd:000 "
                b"submit date:180711070003912+ done date:180711070000012+ stat:UNDELIV err:000"
            ),
            (b"a-b_c", 5, "000", "180711070000012+"),
        ),
        (b"stat:EXPIRED id:77 err:21b", (b"77", 3, "21b", "")),
        (
            (
                b"id:9 sub:001 dlvrd:001 "
                b"submit date:20260101120000 done date:20260101120005 stat:delivrd err: 0\0"
            ),
            (b"9", 2, "0", "20260101120005"),
        ),
        (b"id:362d9701 2 sub:001 dlvrd:001 stat:DELIVRD err:000 text:", (b"362d9701 2", 2, "000", "")),
        (b"id:5 stat:DELIVRD err:000 text:id:6 stat:REJECTD", (b"5", 2, "000", "")),
        (
            b"id:5 sub:1 dlvrd:1 submit date:1 done date:2 stat:NEWWORD err:0 Text:\xe9\xff",
            (b"5", 7, "0", "2"),
        ),
        (b"id: sub:001 dlvrd:000 stat:REJECTD err:255 text:", (b"", 8, "255", "")),
        (b"ID:AB12 STAT:ENROUTE", (b"AB12", 1, "", "")),
    ],
)
def test_dialects_are_read(text: bytes, expected: tuple[bytes, int, str, str]) -> None:
    assert parse_receipt(text) == Receipt(*expected)


@pytest.mark.parametrize(
    "text", [b"", b"OK 2", b"my id: 5", b"stat:DELIVRD", b"Idea: stat wars", b"\0", b"paid:5 stat:OK"]
)
def test_what_a_customer_writes_is_no_receipt(text: bytes) -> None:
    assert parse_receipt(text) is None


@given(st.binary(max_size=300))
def test_no_octets_raise(octets: bytes) -> None:
    parse_receipt(octets)
    parse_receipt(b"id:" + octets + b" stat:" + octets)


def test_the_state_is_the_number_of_the_specification() -> None:
    receipt = parse_receipt(b"id:1 stat:ACCEPTD")
    assert receipt is not None
    assert receipt.state == ReceiptState.ACCEPTD
