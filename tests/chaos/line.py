"""The line between gateway and SMSC: single connections break on it, in the middle of a PDU too."""

from __future__ import annotations

import asyncio
import random
from typing import Final

CHUNK_OCTETS: Final = 65_536


class Line:
    """A TCP proxy on loopback; `cut` breaks one connection, the others go on."""

    def __init__(self, smsc_port: int) -> None:
        self._smsc_port = smsc_port
        self._server: asyncio.Server | None = None
        self._connections: dict[int, tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._count = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        while self.cut(random.Random(0)):  # all of them go
            await asyncio.sleep(0)
        await self._server.wait_closed()

    def cut(self, rng: random.Random) -> int:
        """Reset one connection on both sides; return its number, 0 when there is none."""
        if not self._connections:
            return 0
        number = rng.choice(sorted(self._connections))
        for writer in self._connections.pop(number):
            writer.transport.abort()
        return number

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._smsc_port)
        except OSError:
            writer.transport.abort()
            return
        self._count += 1
        number = self._count
        self._connections[number] = (writer, other_writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, other_writer))
                both.create_task(_pass_on(other_reader, writer))
        except* OSError:
            pass
        finally:
            self._connections.pop(number, None)
            for each in (writer, other_writer):
                each.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(CHUNK_OCTETS):
        writer.write(octets)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
