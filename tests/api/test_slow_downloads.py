"""Answers leave after their request has ended, and their clients take them at their own pace."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from aiohttp import web

from smsgate.api.app import build_app
from smsgate.api.serving import Serving, serve
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.api.api_server import a_context
from tests.flows.world import eventually

IDLE_S, HEADER_S, STALLED_S = 0.2, 0.3, 1.5
OCTETS = 20 << 20  # more than the kernel takes for a client that does not read
Loop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])


@asynccontextmanager
async def a_client(
    server: EmbeddedPostgres, name: str, connection: str
) -> AsyncIterator[tuple[Serving, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Have a large answer asked for, by a client that reads nothing by itself."""
    async with await Database.open(server, database=name, migrate=False) as database:
        limits = {"idle_timeout_s": IDLE_S, "header_timeout_s": HEADER_S, "stalled_s": STALLED_S}
        app = build_app(a_context(database, **limits))

        async def large(_request: web.Request) -> web.Response:
            return web.Response(body=bytes(OCTETS))

        app.router.add_get("/large", large)
        serving = await serve(app, "127.0.0.1", 0)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", serving.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=16_384)
        writer.write(f"GET /large HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n".encode())
        try:
            yield serving, reader, writer
        finally:
            writer.close()
            await serving.stop()


def told(loop: Loop, story: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story)


@LOOPS
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_client_that_pauses_longer_than_a_connection_may_idle_gets_the_whole_answer(
    postgres_server: EmbeddedPostgres,
    database_name: str,
    loop: Loop,
    connection: str,
) -> None:
    async def story() -> None:
        async with a_client(postgres_server, database_name, connection) as (serving, reader, _):
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(4):  # longer than STALLED_S together
                await asyncio.sleep(STALLED_S / 2.5)
                await reader.readexactly(OCTETS // 4)
            assert await reader.read() == b"", "and it is closed once it idles"
            await eventually(lambda: serving.connections.total == 0)

    told(loop, story())


@LOOPS
def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(
    postgres_server: EmbeddedPostgres, database_name: str, loop: Loop
) -> None:
    async def story() -> None:
        async with a_client(postgres_server, database_name, "keep-alive") as (serving, reader, _):
            started = asyncio.get_running_loop().time()
            await eventually(lambda: serving.connections.total == 1)
            await eventually(lambda: serving.connections.total == 0)
            assert asyncio.get_running_loop().time() - started >= STALLED_S
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(OCTETS)

    told(loop, story())


@LOOPS
def test_a_client_that_sends_its_next_request_meanwhile_gets_both_answers_whole(
    postgres_server: EmbeddedPostgres, database_name: str, loop: Loop
) -> None:
    async def story() -> None:
        async with a_client(postgres_server, database_name, "keep-alive") as (_, reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(2 * HEADER_S)
            await reader.readexactly(OCTETS)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")

    told(loop, story())


@LOOPS
def test_a_header_that_begins_meanwhile_has_its_time_from_the_end_of_the_answer(
    postgres_server: EmbeddedPostgres, database_name: str, loop: Loop
) -> None:
    async def story() -> None:
        async with a_client(postgres_server, database_name, "keep-alive") as (serving, reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"GET /livez HTTP/1.1\r\n")
            await asyncio.sleep(2 * HEADER_S)
            await reader.readexactly(OCTETS)
            assert serving.connections.total == 1
            async with asyncio.timeout(30):
                while serving.connections.total:  # octets that come give it no more
                    await asyncio.sleep(HEADER_S / 2)
                    if not writer.is_closing():
                        writer.write(b"X")

    told(loop, story())


@LOOPS
def test_a_client_that_takes_little_at_a_time_is_not_taken_for_one_that_takes_nothing(
    postgres_server: EmbeddedPostgres, database_name: str, loop: Loop
) -> None:
    """The kernel holds megabytes for it, and takes more of the gateway only when a third of them are gone."""

    async def story() -> None:
        async with a_client(postgres_server, database_name, "keep-alive") as (serving, reader, _):
            for _ in range(12):
                await asyncio.sleep(STALLED_S / 3)
                await reader.readexactly(65_536)
            assert serving.connections.total == 1
            await reader.readexactly(OCTETS - 12 * 65_536)

    told(loop, story())
