"""A wire between two peers that remembers every octet, and writes it down as a capture that tshark reads."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

READ_OCTETS = 32_768  # at once; it must fit into one IPv4 packet
JOIN_S = 10.0  # for a thread whose sockets are closed
LINKTYPE_RAW = 101  # packets begin with the IP header (https://www.tcpdump.org/linktypes.html)
SERVER_PORT = 2775  # in the capture, whatever the true one is
CLIENT_PORT_FIRST = 20_001  # in the capture: one a connection
LOOPBACK = bytes((127, 0, 0, 1))
SYN, ACK, PSH_ACK = 0x02, 0x10, 0x18


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
        self._listener = socket.create_server(("127.0.0.1", 0))
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
        for sock in list(self._sockets):
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
                server = socket.create_connection(("127.0.0.1", self.server_port))
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

    def write_capture(self, path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(capture(self.pieces))


def capture(pieces: list[Piece]) -> Iterator[bytes]:
    """Yield a pcap file: each piece a TCP segment, after a handshake for each connection."""
    yield struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, LINKTYPE_RAW)
    next_of: dict[tuple[int, bool], int] = {}
    for piece in pieces:
        here, there = (piece.connection, piece.from_client), (piece.connection, not piece.from_client)
        if here not in next_of:
            next_of[piece.connection, True] = next_of[piece.connection, False] = 1
            yield _packet(piece.at, piece.connection, True, 0, 0, SYN)
            yield _packet(piece.at, piece.connection, False, 0, 1, SYN | ACK)
        yield _packet(piece.at, *here, next_of[here], next_of[there], PSH_ACK, piece.octets)
        next_of[here] += len(piece.octets)


def _packet(
    at: float, connection: int, from_client: bool, seq: int, ack: int, flags: int, octets: bytes = b""
) -> bytes:
    """Return one record of the file; checksums are 0, for tshark does not look at them."""
    ports = [CLIENT_PORT_FIRST + connection, SERVER_PORT]
    source, target = ports if from_client else reversed(ports)
    tcp = struct.pack(">HHIIBBHHH", source, target, seq, ack, 5 << 4, flags, 65_535, 0, 0) + octets
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + LOOPBACK + LOOPBACK
    seconds, microseconds = divmod(round(at * 1_000_000), 1_000_000)
    length = len(ip) + len(tcp)
    return struct.pack("<IIII", seconds, microseconds, length, length) + ip + tcp
