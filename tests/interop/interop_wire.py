"""A wire between two peers that remembers every octet, and writes it down as a capture that tshark reads."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from smsgate.protocol.pcap import TracedPdu, pcap_octets

READ_OCTETS = 32_768  # at once
HEADER_OCTETS = 16  # of SMPP
JOIN_S = 10.0  # for a thread whose sockets are closed
SERVER_PORT = 2775  # in the capture, whatever the true one is
CLIENT_PORT_FIRST = 20_001  # in the capture: one a connection
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Piece:
    at: float
    connection: int
    from_client: bool
    octets: bytes


@dataclass
class Wire:
    """Listens on a port of its own; what comes there goes to `server_port`, and back."""

    server_port: int
    pieces: list[Piece] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cut every connection and let no new one in."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(JOIN_S)  # it may be letting one in
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(JOIN_S)
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        for connection in itertools.count():
            try:
                client, _address = self._listener.accept()
            except OSError:  # closed
                return
            self._sockets.append(client)
            try:
                server = socket.create_connection((LOOPBACK, self.server_port))
            except OSError:
                client.close()
                continue
            self._sockets.append(server)
            for source, target, from_client in ((client, server, True), (server, client, False)):
                thread = threading.Thread(
                    target=self._carry, args=(source, target, connection, from_client), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _carry(
        self, source: socket.socket, target: socket.socket, connection: int, from_client: bool
    ) -> None:
        try:
            while octets := source.recv(READ_OCTETS):
                with self._lock:
                    self.pieces.append(Piece(time.time(), connection, from_client, octets))
                target.sendall(octets)
        except OSError:  # reset: so is the other side
            pass
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def sent(self, *, by_client: bool) -> dict[int, bytes]:
        """Return the octets of one side, by connection."""
        found: dict[int, bytes] = {}
        for piece in self.pieces:
            if piece.from_client == by_client:
                found[piece.connection] = found.get(piece.connection, b"") + piece.octets
        return found

    def capture(self) -> bytes:
        """Return a pcap file of all that went by; the server's port in it is always SERVER_PORT."""
        return capture(self.pieces)


def capture(pieces: Sequence[Piece]) -> bytes:
    """
    Return a pcap file of them, each PDU a segment of its own.

    tshark does not put a PDU together whose header is cut by the end of a segment.
    """
    waiting: dict[tuple[int, bool], bytes] = {}
    pdus: list[TracedPdu] = []
    for piece in pieces:
        side = (piece.connection, piece.from_client)
        whole, waiting[side] = cut_pdus(waiting.get(side, b"") + piece.octets)
        client, server = (LOOPBACK, CLIENT_PORT_FIRST + piece.connection), (LOOPBACK, SERVER_PORT)
        pdus += [
            TracedPdu(piece.at, piece.connection, piece.from_client, pdu, local=client, peer=server)
            for pdu in whole
        ]
    return pcap_octets(pdus)


def cut_pdus(octets: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole PDUs at the start of a stream, and what is left."""
    pdus = []
    while len(octets) >= HEADER_OCTETS:
        length = int.from_bytes(octets[:4], "big")
        assert length >= HEADER_OCTETS, f"no PDU has {length} octets"
        if length > len(octets):
            break
        pdus.append(octets[:length])
        octets = octets[length:]
    return pdus, octets
