"""
Octet streams as bad peers send them: random ones, and mutated ones of PDUs that real software wrote.

Everything follows from a seed and the number of a block, so that a run can be cut into pieces and repeated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

from smsgate.protocol.frames import HEADER, HEADER_SIZE
from smsgate.protocol.pdus import LAYOUTS

DATA: Final = Path(__file__).parents[1] / "data"
BLOCK: Final = 1_000  # streams that share one random generator: seeding it costs as much as a stream
RANDOM_OCTETS_MAX: Final = 96
STREAM_PDUS_MAX: Final = 3
COMMAND_IDS: Final = tuple(sorted(LAYOUTS))
# Octets that mean something: NUL, lengths at their limits, UDHI, escape, digits, the words of receipts.
TELLING: Final = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x40",
    b"\x1b",
    b"\0\0\0\x10",
    b"\x04\x24",
    b"\0\x1e",
    b"id:",
    b" stat:",
)


def _load(*names: str) -> tuple[bytes, ...]:
    rows = (json.loads(line) for name in names for line in (DATA / name).read_text("utf-8").splitlines())
    return tuple(bytes.fromhex(row["hex"]) for row in rows if row["hex"])


PDUS: Final = _load("protocol-vectors.jsonl", "pdu-suites.jsonl")
RECEIPTS: Final = _load("receipt-texts.jsonl", "receipt-suites.jsonl")


def block(seed: int, number: int) -> Iterator[bytes]:
    """Yield the BLOCK streams of one block."""
    rnd = Random(seed << 32 | number)
    for _ in range(BLOCK):
        yield stream(rnd)


def stream(rnd: Random) -> bytes:
    """Return noise, or one to STREAM_PDUS_MAX PDUs, whole or mutated, their lengths true or not."""
    choice = rnd.random()
    if choice < 0.08:
        return rnd.randbytes(int(rnd.random() * RANDOM_OCTETS_MAX))
    count = 1 if choice < 0.7 else int(rnd.random() * STREAM_PDUS_MAX) + 1
    return b"".join([_pdu(rnd) for _ in range(count)])


def _pdu(rnd: Random) -> bytes:
    if rnd.random() < 0.15:
        octets = bytearray(HEADER_SIZE) + rnd.randbytes(int(rnd.random() * RANDOM_OCTETS_MAX))
        command_id = COMMAND_IDS[int(rnd.random() * len(COMMAND_IDS))]
        HEADER.pack_into(octets, 0, len(octets), command_id, rnd.choice((0, 0, 0x58)), rnd.getrandbits(32))
        return bytes(octets)
    octets = bytearray(PDUS[int(rnd.random() * len(PDUS))])
    for _ in range(int(rnd.random() * 4)):
        _MUTATIONS[int(rnd.random() * len(_MUTATIONS))](octets, rnd)
    if rnd.random() < 0.85 and len(octets) >= HEADER_SIZE:
        octets[:4] = len(octets).to_bytes(4, "big")  # so that the body is reached
    return bytes(octets)


def receipt(rnd: Random) -> bytes:
    """Return the text of a receipt, mutated."""
    octets = bytearray(RECEIPTS[int(rnd.random() * len(RECEIPTS))])
    for _ in range(int(rnd.random() * 3)):
        _MUTATIONS[int(rnd.random() * len(_MUTATIONS))](octets, rnd)
    return bytes(octets)


def _at(octets: bytearray, rnd: Random) -> int:
    return int(rnd.random() * len(octets))


def _change(octets: bytearray, rnd: Random) -> None:
    if octets:
        octets[_at(octets, rnd)] = rnd.getrandbits(8)


def _flip(octets: bytearray, rnd: Random) -> None:
    if octets:
        octets[_at(octets, rnd)] ^= 1 << rnd.getrandbits(3)


def _cut(octets: bytearray, rnd: Random) -> None:
    del octets[_at(octets, rnd) :]


def _remove(octets: bytearray, rnd: Random) -> None:
    at = _at(octets, rnd)
    del octets[at : at + rnd.getrandbits(3)]


def _insert(octets: bytearray, rnd: Random) -> None:
    at = _at(octets, rnd)
    octets[at:at] = TELLING[int(rnd.random() * len(TELLING))]


def _repeat(octets: bytearray, rnd: Random) -> None:
    at = _at(octets, rnd)
    octets[at:at] = octets[at : at + rnd.getrandbits(5)]


def _splice(octets: bytearray, rnd: Random) -> None:
    other = PDUS[int(rnd.random() * len(PDUS))]
    octets[_at(octets, rnd) :] = other[int(rnd.random() * len(other)) :]


def _command(octets: bytearray, rnd: Random) -> None:
    octets[4:8] = COMMAND_IDS[int(rnd.random() * len(COMMAND_IDS))].to_bytes(4, "big")


def _say_receipt(octets: bytearray, rnd: Random) -> None:
    octets[_at(octets, rnd) :] = RECEIPTS[int(rnd.random() * len(RECEIPTS))]


_MUTATIONS: Final[tuple[Callable[[bytearray, Random], None], ...]] = (
    *(_change, _change, _flip, _cut, _remove, _insert),
    *(_repeat, _splice, _command, _say_receipt),
)
