"""Where ESMEs connect: one socket with TLS, one in plain, or both."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress

import structlog

from smsgate.clock import Clock
from smsgate.errors import ConfigError
from smsgate.esmes.connection import EsmeConnection
from smsgate.esmes.desk import EsmeDesk
from smsgate.esmes.limits import ListenSettings
from smsgate.protocol.server_session import ServerSession

log = structlog.get_logger(__name__)

BACKLOG = 128  # connections that wait to be accepted
TLS_HANDSHAKE_MAX_S = 10.0
ACCEPT_PAUSE_S = 1.0  # after an accept that failed: descriptors that are used up are not free at once


def tls_context(settings: ListenSettings) -> ssl.SSLContext:
    """
    Return our side of TLS.

    Raises:
        ConfigError: a certificate file that cannot be read.
    """
    key = "cert_file"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(settings.cert_file or "", settings.key_file)
        if settings.client_ca_file is not None:
            key = "client_ca_file"
            context.load_verify_locations(settings.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"esmes.{key} cannot be used: {error}", where=f"esmes.{key}", mend="name a readable PEM file"
        ) from error
    return context


class EsmeListener:
    """Accepts by itself, one connection a turn of the loop: who comes is counted before any TLS."""

    def __init__(self, settings: ListenSettings, desk: EsmeDesk, clock: Clock) -> None:
        self._settings = settings
        self._desk = desk
        self._clock = clock
        self.tasks: list[asyncio.Task[None]] = []  # one for each socket; they end by `stop` alone
        self._arriving: set[asyncio.Task[None]] = set()  # as many as the door lets in
        self.plain_port: int | None = None  # that is listened on
        self.tls_port: int | None = None

    async def start(self) -> None:
        """
        Begin to listen.

        Raises:
            ConfigError: an address that is taken or not ours, or a certificate that cannot be read.
        """
        settings = self._settings
        if settings.plain_port is not None:
            self.plain_port = await self._listen("plain_port", settings.plain_port, None)
        if settings.tls_port is not None:
            self.tls_port = await self._listen("tls_port", settings.tls_port, tls_context(settings))
        log.info("esmes_listening", host=settings.host, plain_port=self.plain_port, tls_port=self.tls_port)

    async def _listen(self, key: str, port: int, context: ssl.SSLContext | None) -> int:
        try:
            sockets = await listening_sockets(self._settings.host, port)
        except OSError as error:
            raise ConfigError(
                f"esmes.{key}: {self._settings.host}:{port} cannot be listened on: {error.strerror}",
                where=f"esmes.{key}",
                mend="choose another port, or end what has it",
            ) from error
        for listening in sockets:
            accepting = asyncio.create_task(self._accept(listening, context), name=f"esme-{key}")
            self.tasks.append(accepting)
        return int(sockets[0].getsockname()[1])

    async def _accept(self, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    accepted, address = await loop.sock_accept(listening)
                except OSError as error:  # out of descriptors, or the peer is gone already
                    log.warning("esme_accept_failed", error=str(error))
                    await asyncio.sleep(ACCEPT_PAUSE_S)
                    continue
                self._welcome(accepted, str(address[0]), context)
                await asyncio.sleep(0)  # `sock_accept` gives nobody a turn while connections wait

    def _welcome(self, accepted: socket.socket, source: str, context: ssl.SSLContext | None) -> None:
        session = ServerSession(self._settings.session, self._clock.monotonic())
        connection = EsmeConnection(session, self._desk, self._clock)
        arriving = asyncio.create_task(self._arrive(accepted, connection, context))

        def cut() -> None:
            connection.abort()
            arriving.cancel()

        def arrived(task: asyncio.Task[None]) -> None:
            self._arriving.discard(task)
            if not connection.is_made():
                accepted.close()
                self._desk.disconnected(connection)
            elif task.cancelled():
                connection.drop()

        self._arriving.add(arriving)
        arriving.add_done_callback(arrived)
        if not self._desk.arrives(connection, source, cut):
            cut()

    async def _arrive(
        self, accepted: socket.socket, connection: EsmeConnection, context: ssl.SSLContext | None
    ) -> None:
        with suppress(OSError):  # TLS refused, not spoken, or not in time
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=context,
                ssl_handshake_timeout=None if context is None else TLS_HANDSHAKE_MAX_S,
            )

    def stop(self) -> None:
        """Take no new connection; those that are there go on, but for handshakes under way."""
        for task in [*self.tasks, *self._arriving]:
            task.cancel()


async def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """
    Return a socket for each address of the host.

    Raises:
        OSError: an address is taken, or not ours.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            listening = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(listening)
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has its own
            listening.bind(address)
            listening.listen(BACKLOG)
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    return sockets
