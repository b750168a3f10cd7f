"""
PDUs and receipt texts from other projects' suites and captured from their software, with what they are worth.

`protocol-vectors.jsonl` and `receipt-texts.jsonl` hold expected fields that several independent decoders
agree on; `pdu-suites.jsonl` and `receipt-suites.jsonl` are more of the same suites, with a verdict and its
reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from smsgate.protocol.frames import Frame, FrameDecoder

DATA: Final = Path(__file__).parents[2] / "data"
READ: Final = frozenset({"accept", "accept_lenient", "accept_or_nack", "stream"})

Vector = dict[str, Any]


def vectors(*names: str) -> list[Vector]:
    return [json.loads(line) for name in names for line in (DATA / name).read_text("utf-8").splitlines()]


def ids(rows: list[Vector]) -> list[str]:
    return [row["id"] for row in rows]


VERIFIED: Final = vectors("protocol-vectors.jsonl")
SUITES: Final = vectors("pdu-suites.jsonl")
RECEIPTS: Final = vectors("receipt-texts.jsonl", "receipt-suites.jsonl")
PDUS: Final = [row for row in VERIFIED if row["pdu"] != "receipt_text"] + SUITES


def octets_of(row: Vector) -> bytes:
    return bytes.fromhex(row["hex"])


def first_frame(octets: bytes) -> Frame:
    return next(FrameDecoder().feed(octets))
