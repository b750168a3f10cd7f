"""How a receipt says what became of a message. Source: SMPP 3.4 §5.2.28 (numbers) and Appendix B (words)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ReceiptState(IntEnum):
    """`message_state` of TLV 0x0427; on the bulk path the plain number is passed on, never the member."""

    ENROUTE = 1
    DELIVRD = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIV = 5
    ACCEPTD = 6
    UNKNOWN = 7
    REJECTD = 8


_UNSENT: Final = {"expired": ReceiptState.EXPIRED, "cancelled": ReceiptState.DELETED}


def state_of_unsent(reason: str | None) -> ReceiptState:
    """Return how a receipt says that a message was never written to a carrier, and why."""
    return _UNSENT.get(reason or "", ReceiptState.REJECTD)


# `stat:` words, upper case. Appendix B cuts them to 7 letters; many SMSCs write them out or cut elsewhere.
STATE_WORDS: Final[dict[bytes, int]] = {
    b"ENROUTE": 1,
    b"ENROUT": 1,
    b"BUFFERED": 1,
    b"BUFFRED": 1,
    b"DELIVRD": 2,
    b"DELIVERED": 2,
    b"DELIVER": 2,
    b"DELIVERD": 2,
    b"EXPIRED": 3,
    b"EXPIRE": 3,
    b"DELETED": 4,
    b"DELETE": 4,
    b"CANCELED": 4,
    b"CANCELLED": 4,
    b"UNDELIV": 5,
    b"UNDELIVERABLE": 5,
    b"UNDELIVERED": 5,
    b"UNDELIVRD": 5,
    b"UNDELIVR": 5,
    b"FAILED": 5,
    b"ACCEPTD": 6,
    b"ACCEPTED": 6,
    b"ACKED": 6,
    b"UNKNOWN": 7,
    b"REJECTD": 8,
    b"REJECTED": 8,
    b"REJECT": 8,
}
STATE_NAMES: Final[dict[int, bytes]] = {int(state): state.name.encode() for state in ReceiptState}

# A message in one of these states never changes again; UNKNOWN is not among them, a later receipt may know.
FINAL: Final[frozenset[int]] = frozenset({2, 3, 4, 5, 8})
