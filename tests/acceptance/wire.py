"""A wire between two peers that can be watched and cut; it knows neither side's code."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CHUNK_OCTETS = 65_536


@dataclass
class Wire:
    """Carries whatever comes; `sent` and `answered` hold the octets of both directions when `recording`."""

    connect: Callable[[], Awaitable[Streams]]
    recording: bool = False
    sent: list[bytearray] = field(default_factory=list)  # by connection, from who connected
    answered: list[bytearray] = field(default_factory=list)
    _up: bool = True
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            writer.transport.abort()
            return
        self._writers.add(writer)
        other_writer: asyncio.StreamWriter | None = None
        try:
            other_reader, other_writer = await self.connect()
            self._writers.add(other_writer)
            there, back = bytearray(), bytearray()
            self.sent.append(there)
            self.answered.append(back)
            await asyncio.gather(
                self._pass_on(reader, other_writer, there), self._pass_on(other_reader, writer, back)
            )
        except OSError:
            pass
        finally:
            for each in (writer, other_writer):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray
    ) -> None:
        while octets := await reader.read(CHUNK_OCTETS):
            if self.recording:
                seen += octets
            writer.write(octets)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    def cut(self) -> None:
        """Break every connection, and every one that is made until `mend`."""
        self._up = False
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._up = True


W = TypeVar("W", bound=Wire)


@asynccontextmanager
async def smpp_wire(smsc_port: int) -> AsyncIterator[tuple[Wire, int]]:
    """Lay a wire before an SMSC; return it with its own port."""
    wire = Wire(lambda: asyncio.open_connection("127.0.0.1", smsc_port), recording=True)
    async with await asyncio.start_server(wire.carry, "127.0.0.1", 0) as server:
        yield wire, server.sockets[0].getsockname()[1]
        wire.cut()


@asynccontextmanager
async def database_wire(
    dsn: str, directory: Path, make: Callable[[Callable[[], Awaitable[Streams]]], W]
) -> AsyncIterator[tuple[W, str]]:
    """Lay a wire made by `make` before the database of `dsn`; return it with the DSN that leads over it."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    (host,), (port,) = query["host"], query["port"]
    name = f".s.PGSQL.{port}"
    wire = make(lambda: asyncio.open_unix_connection(f"{host}/{name}"))
    async with await asyncio.start_unix_server(wire.carry, str(directory / name)):
        yield wire, f"postgresql://{parts.username}@/{parts.path[1:]}?host={directory}&port={port}"
        wire.cut()


def commands_of(octets: bytes | bytearray) -> list[tuple[int, int]]:
    """Return (command_id, command_status) of every PDU in a stream (header: SMPP 3.4 §3.2)."""
    found, at = [], 0
    while at + 16 <= len(octets):
        length, command_id, status, _ = struct.unpack_from(">4I", octets, at)
        assert length >= 16
        found.append((command_id, status))
        at += length
    assert at == len(octets), "the stream ends inside a PDU"
    return found
