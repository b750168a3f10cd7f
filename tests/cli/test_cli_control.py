"""What the commands say of a gateway that has no carriers, or that cannot be asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from smsgate.daemon import control
from smsgate.daemon.control import SOCKET_NAME, ask_carriers, ask_trace
from smsgate.errors import LinkError
from tests.cli.command_shell import Running, Shell, free_ports

NOBODY = 65_534


def test_a_gateway_without_carriers_says_that_it_has_none(
    shell: Shell, started: Callable[..., Running]
) -> None:
    (port,) = free_ports(1)
    shell.extra["SMSGATE_HTTP_PORT"] = str(port)
    shell.extra["SMSGATE_HTTP_HEALTH_PORT"] = "0"
    gateway = started("run")
    gateway.await_line("smsgate runs as")
    assert shell.ok("carrier", "list", "--json").json() == []
    for words in (["trace", "x", "--pcap", "-"], ["trace", "a/b", "--pcap", "-"]):
        refused = shell.run("carrier", *words)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == f"smsgate: No carrier is called {words[1]}.\n"
    assert gateway.end() == 0
    gone = shell.run("carrier", "list")
    assert gone.code == 1
    assert "No gateway answers on" in gone.err


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(state_dir: Path, octets: bytes | None) -> AsyncIterator[None]:
    """Listen as a gateway does and answer with these octets, or never."""
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if octets is None:
            await done.wait()
        else:
            writer.write(octets)
        writer.close()

    server = await asyncio.start_unix_server(talk, state_dir / SOCKET_NAME)
    try:
        yield
    finally:
        done.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\n500: ", "answered 500"),
        (b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 2\r\n\r\n{}", "answered 405"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "broke off"),
        (b"", "broke off"),
        (None, "gave no answer within 0.5 s"),
    ],
)
async def test_a_gateway_that_runs_and_does_not_answer_is_not_said_to_be_away(
    reachable_dir: Path, monkeypatch: pytest.MonkeyPatch, octets: bytes | None, words: str
) -> None:
    monkeypatch.setattr(control, "TIMEOUT", aiohttp.ClientTimeout(total=0.5))
    async with answering(reachable_dir, octets):
        with pytest.raises(LinkError, match=f"the gateway on {reachable_dir} .*{words}"):
            await ask_carriers(reachable_dir)
        with pytest.raises(LinkError, match=f"the gateway on {reachable_dir} .*{words}"):
            await ask_trace(reachable_dir, "x", bind=None, texts=False, numbers=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root can become somebody else")
async def test_a_socket_that_is_closed_to_this_user_is_told_as_such(reachable_dir: Path) -> None:
    async with answering(reachable_dir, b""):
        (reachable_dir / SOCKET_NAME).chmod(0o600)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(LinkError, match=f"{SOCKET_NAME} is closed to this user"):
                await ask_carriers(reachable_dir)
        finally:
            os.seteuid(0)
