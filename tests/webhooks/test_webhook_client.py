from __future__ import annotations

import asyncio
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smsgate.security.addresses import PUBLIC_ONLY, AddressPolicy
from smsgate.webhooks.client import ANSWER_OCTETS_MAX, Answer, NoAnswer, WebhookClient
from smsgate.webhooks.resolver import CheckedSockets

HostileServer = Callable[[Any], AbstractAsyncContextManager[Any]]
OK = b"HTTP/1.1 200 OK\r\n"
SHORT_LIMIT_S = 0.5


async def test_an_answer_comes_with_status_body_and_retry_after(client: WebhookClient, shop: Any) -> None:
    async def busy(_received: Any) -> web.Response:
        return web.Response(status=503, text="later", headers={"Retry-After": "7"})

    shop.answer = busy
    answer = await client.post(shop.url(path="/a%20b?x=1"), b"{}", {"webhook-id": "evt_1"})
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.whole, answer.retry_after) == (503, b"later", True, "7")
    (received,) = shop.received
    assert received.body == b"{}"
    assert received.headers["webhook-id"] == "evt_1"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"].startswith("shop.example.com:")
    assert received.headers["accept-encoding"] == "identity"


async def test_no_connection_is_used_twice(hostile: HostileServer, client: WebhookClient) -> None:
    async def keep_alive(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"content-length: 0\r\nconnection: keep-alive\r\n\r\n")
        await writer.drain()

    async with hostile(keep_alive) as server:
        for _ in range(3):
            assert isinstance(await client.post(server.url(), b"{}", {}), Answer)
        assert len(server.connections) == 3


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"content-length: 1000000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_headers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    while True:
        writer.write(b"a: b\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def endless_continue(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("talk", [drip, never, endless_continue, drip_headers])
async def test_a_receiver_that_takes_its_time_gets_no_more_than_the_limit(
    talk: Any, hostile: HostileServer, names: Any, policy: AddressPolicy
) -> None:
    started = asyncio.get_running_loop().time()
    async with hostile(talk) as server, WebhookClient(policy, lookup=names, limit_s=SHORT_LIMIT_S) as client:
        answer = await client.post(server.url(), b"{}", {})
    assert isinstance(answer, NoAnswer)
    assert not answer.refused
    assert asyncio.get_running_loop().time() - started < SHORT_LIMIT_S + 1.5


async def test_of_an_endless_body_64_kib_are_read(hostile: HostileServer, client: WebhookClient) -> None:
    sent = 0

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(OK + b"content-length: 1073741824\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async with hostile(endless) as server:
        answer = await client.post(server.url(), b"{}", {})
    assert isinstance(answer, Answer)
    assert not answer.whole
    assert len(answer.body) == ANSWER_OCTETS_MAX
    assert sent < 64 << 20  # what sockets' buffers hold, never the gigabyte


async def test_a_compressed_bomb_stays_compressed(hostile: HostileServer, client: WebhookClient) -> None:
    bomb = gzip.compress(b"\0" * (10 << 20))

    async def send(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb) + bomb)
        await writer.drain()

    async with hostile(send) as server:
        answer = await client.post(server.url(), b"{}", {})
    assert isinstance(answer, Answer)
    assert answer.body == bomb[:ANSWER_OCTETS_MAX]


@pytest.mark.parametrize(("lines", "length"), [(20, 2_000), (100_000, 50), (1, 10_000_000)])
async def test_headers_of_more_than_32_kib_are_no_answer(
    lines: int, length: int, hostile: HostileServer, client: WebhookClient
) -> None:
    async def send(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        for number in range(lines):
            writer.write(b"x-%d: %b\r\n" % (number, b"v" * length))
            await writer.drain()
        writer.write(b"content-length: 0\r\n\r\n")
        await writer.drain()

    async with hostile(send) as server:
        answer = await client.post(server.url(), b"{}", {})
    assert isinstance(answer, NoAnswer)


async def test_a_redirect_is_an_answer_and_not_a_way(
    shop: Any, hostile: HostileServer, client: WebhookClient
) -> None:
    async with hostile(never) as inner:

        async def elsewhere(_received: Any) -> web.Response:
            return web.Response(status=307, headers={"Location": inner.url()})

        shop.answer = elsewhere
        answer = await client.post(shop.url(), b"{}", {})
        assert isinstance(answer, Answer)
        assert answer.status == 307
        assert inner.connections == []


async def test_the_environments_proxy_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, shop: Any, hostile: HostileServer, client: WebhookClient
) -> None:
    async with hostile(never) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        answer = await client.post(shop.url(), b"{}", {})
        assert isinstance(answer, Answer)
        assert proxy.connections == []


async def test_a_cookie_is_not_carried_to_the_next_merchant(shop: Any, client: WebhookClient) -> None:
    async def cookie(_received: Any) -> web.Response:
        return web.Response(headers={"Set-Cookie": "a=b; Domain=example.com; Path=/"})

    shop.answer = cookie
    await client.post(shop.url("one.example.com"), b"{}", {})
    await client.post(shop.url("two.example.com"), b"{}", {})
    assert "cookie" not in shop.received[1].headers


# ------------------------------------------------------------ where it may go


INNER = [
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "::1",
    "fd00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "0.0.0.0",
]


@pytest.mark.parametrize("inner", INNER)
async def test_one_inner_address_among_the_answers_refuses_the_name(
    inner: str, hostile: HostileServer, client: WebhookClient, names: Any
) -> None:
    async with hostile(never) as server:
        names.answers["shop.example.com"] = [["127.0.0.1", inner]]
        answer = await client.post(server.url(), b"{}", {})
        assert isinstance(answer, NoAnswer)
        assert answer.refused
        assert server.connections == []


async def test_a_name_is_resolved_once_and_that_answer_is_connected_to(
    shop: Any, client: WebhookClient, names: Any
) -> None:
    """A name system that turns to an inner address after the check gets no second question."""
    names.answers["shop.example.com"] = [["127.0.0.1"], ["10.0.0.1"]]
    assert isinstance(await client.post(shop.url(), b"{}", {}), Answer)
    assert names.asked == ["shop.example.com"]
    second = await client.post(shop.url(), b"{}", {})
    assert isinstance(second, NoAnswer)
    assert second.refused
    assert len(shop.received) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "localhost", "metadata.internal"]
)
async def test_without_the_operators_word_nothing_reaches_this_machine(
    host: str, hostile: HostileServer, names: Any
) -> None:
    policy = AddressPolicy.of(extra_ports=None, allow_http=True)
    async with hostile(never) as server, WebhookClient(policy, lookup=names) as client:
        answer = await client.post(server.url(host), b"{}", {})
        assert isinstance(answer, NoAnswer)
        assert answer.refused
        assert server.connections == []
    assert names.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://shop.example.com/",
        "https://u:p@shop.example.com/",
        "https://shop.example.com:22/",
        "http://shop.example.com/",
    ],
)
async def test_other_schemes_users_and_ports_are_refused(url: str, names: Any) -> None:
    async with WebhookClient(PUBLIC_ONLY, lookup=names) as client:
        answer = await client.post(url, b"{}", {})
    assert isinstance(answer, NoAnswer)
    assert answer.refused
    assert names.asked == []


def test_no_socket_is_made_for_an_inner_address_whatever_the_resolver_said() -> None:
    with pytest.raises(PermissionError, match="private use"):
        CheckedSockets(PUBLIC_ONLY)((2, 1, 6, "", ("10.0.0.1", 443)))


async def test_a_name_without_an_address_is_told_as_such(client: WebhookClient, names: Any) -> None:
    names.answers["shop.example.com"] = [[]]
    answer = await client.post("http://shop.example.com:8080/", b"{}", {})
    assert answer == NoAnswer("the host's name cannot be resolved", answer.elapsed_s)


# ------------------------------------------------------------ TLS


def certificate_for(name: str, directory: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            False,
        )
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.fixture
async def tls_shop(tmp_path: Path) -> AsyncIterator[tuple[int, Path]]:
    path = certificate_for("shop.example.com", tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)

    async def take(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield runner.addresses[0][1], path
    await runner.cleanup()


async def test_the_certificate_must_be_the_hosts_though_an_address_was_connected_to(
    tls_shop: tuple[int, Path], names: Any, policy: AddressPolicy
) -> None:
    port, path = tls_shop
    trusting = ssl.create_default_context(cafile=str(path))
    async with WebhookClient(policy, lookup=names, tls=trusting) as client:
        good = await client.post(f"https://shop.example.com:{port}/", b"{}", {})
        other = await client.post(f"https://other.example.com:{port}/", b"{}", {})
    assert isinstance(good, Answer)
    assert isinstance(other, NoAnswer)
    assert other.reason.startswith("TLS: ")


async def test_a_certificate_of_nobody_we_know_is_refused(
    tls_shop: tuple[int, Path], client: WebhookClient
) -> None:
    answer = await client.post(f"https://shop.example.com:{tls_shop[0]}/", b"{}", {})
    assert isinstance(answer, NoAnswer)
    assert answer.reason.startswith("TLS: ")
