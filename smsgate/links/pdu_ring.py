"""The last PDUs of one bind, in memory: whole reads and writes are kept, and cut into PDUs when asked."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.errors import FramingError
from smsgate.protocol.frames import HEADER_SIZE, FrameDecoder
from smsgate.protocol.pcap import TracedPdu

if TYPE_CHECKING:
    from smsgate.protocol.pcap import Endpoint

AGE_MAX_S: Final = 86_400.0  # a day: they show what went wrong today (campaigns/law/retention.toml tells it)
RECORD_OVERHEAD_OCTETS: Final = 200  # what Python spends on a record, so that empty reads count too


class _Record(NamedTuple):
    at_s: float
    connection: int
    outgoing: bool
    octets: bytes
    local: Endpoint
    peer: Endpoint


class PduRing:
    """
    Reads and writes of a bind's connections, each a run of whole PDUs; the oldest make room.

    Nothing is older than AGE_MAX_S when the next one comes, which enquire_link sees to within a minute.
    One call and no copy per read or write: the bulk path does not feel it.
    """

    def __init__(self, octets_max: int) -> None:
        assert octets_max > 0
        self._octets_max = octets_max
        self._octets = 0
        self._records: deque[_Record] = deque()

    def add(
        self, at_s: float, connection: int, octets: bytes, ends: tuple[Endpoint, Endpoint], *, outgoing: bool
    ) -> None:
        """Keep a run of whole PDUs; `ends` are (local, peer), `at_s` is Unix time."""
        self._records.append(_Record(at_s, connection, outgoing, octets, *ends))
        self._octets += len(octets) + RECORD_OVERHEAD_OCTETS
        oldest_s = at_s - AGE_MAX_S
        while len(self._records) > 1 and (
            self._octets > self._octets_max or self._records[0].at_s < oldest_s
        ):
            self._octets -= len(self._records.popleft().octets) + RECORD_OVERHEAD_OCTETS

    def pdus(self) -> list[TracedPdu]:
        """Return what is kept, PDU by PDU, oldest first; of a tail that is no SMPP its first octets."""
        return [
            TracedPdu(record.at_s, record.connection, record.outgoing, octets, record.local, record.peer)
            for record in list(self._records)
            for octets in _cut(record.octets)
        ]


def _cut(octets: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    start = 0
    try:
        for frame in FrameDecoder(max(len(octets), HEADER_SIZE)).feed(octets):
            pieces.append(frame.encode())
            start += len(pieces[-1])
    except FramingError:
        pass
    if start < len(octets):
        pieces.append(octets[start : start + HEADER_SIZE])
    return pieces
