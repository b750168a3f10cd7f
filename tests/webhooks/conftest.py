"""Receivers on loopback, good and hostile; a policy that opens loopback in so many words."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from smsgate.security.addresses import AddressPolicy
from smsgate.security.sealing import MasterKey
from smsgate.store.keyring import StoredKeyring
from smsgate.store.pool import Database
from smsgate.webhooks.client import WebhookClient
from tests.webhooks.gateway import Gateway

LOOPBACK = AddressPolicy.of(allow=["127.0.0.0/8"], extra_ports=None, allow_http=True)


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes


@dataclass
class Shop:
    """A receiver that answers as told, and keeps what it got."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], Awaitable[web.Response]] | None = None

    def url(self, host: str = "shop.example.com", path: str = "/hooks") -> str:
        return f"http://{host}:{self.port}{path}"

    async def take(self, request: web.Request) -> web.StreamResponse:
        received = Received({k.lower(): v for k, v in request.headers.items()}, await request.read())
        self.received.append(received)
        if self.answer is not None:
            return await self.answer(received)
        return web.Response(text="ok")


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    state = Shop()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", state.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state.port = runner.addresses[0][1]
    yield state
    await runner.cleanup()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Hostile:
    port: int
    connections: list[int]

    def url(self, host: str = "shop.example.com") -> str:
        return f"http://{host}:{self.port}/hooks"


@asynccontextmanager
async def _hostile(talk: Talk) -> AsyncIterator[Hostile]:
    connections: list[int] = []

    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                await talk(reader, writer)
        finally:
            writer.transport.abort()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        talks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield Hostile(server.sockets[0].getsockname()[1], connections)
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close in the next turn


@pytest.fixture
def hostile() -> Callable[[Talk], AbstractAsyncContextManager[Hostile]]:
    return _hostile


class Names:
    """A name system; every name leads to loopback unless told otherwise, and each question is kept."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        given = self.answers.get(host, [["127.0.0.1"]])
        return given.pop(0) if len(given) > 1 else given[0]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def policy() -> AddressPolicy:
    return LOOPBACK


@pytest.fixture
async def client(names: Names) -> AsyncIterator[WebhookClient]:
    async with WebhookClient(LOOPBACK, lookup=names) as opened:
        yield opened


@pytest.fixture
async def gateway(database: Database, client: WebhookClient, policy: AddressPolicy) -> Gateway:
    keyring = await StoredKeyring.load(database, MasterKey(secrets.token_bytes(32)))
    return Gateway(database, keyring, client, policy)
