"""Where ESMEs connect: one socket with TLS, one in plain, or both."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

import structlog

from smsgate.clock import Clock
from smsgate.errors import ConfigError
from smsgate.esmes.connection import EsmeConnection
from smsgate.esmes.desk import EsmeDesk
from smsgate.protocol.server_session import ServerSession
from smsgate.protocol.server_states import ServerSettings

log = structlog.get_logger(__name__)

BACKLOG = 128  # connections that wait to be accepted
TLS_HANDSHAKE_MAX_S = 10.0


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """A port of None is not listened on, 0 takes any that is free."""

    host: str = "127.0.0.1"
    tls_port: int | None = None
    plain_port: int | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None  # ESMEs must show a certificate of this authority
    session: ServerSettings = field(default_factory=ServerSettings)


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
    def __init__(self, settings: ListenSettings, desk: EsmeDesk, clock: Clock) -> None:
        self._settings = settings
        self._desk = desk
        self._clock = clock
        self._servers: list[asyncio.Server] = []
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
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                self._make,
                self._settings.host,
                port,
                ssl=context,
                backlog=BACKLOG,
                ssl_handshake_timeout=None if context is None else TLS_HANDSHAKE_MAX_S,
            )
        except OSError as error:
            raise ConfigError(
                f"esmes.{key}: {self._settings.host}:{port} cannot be listened on: {error.strerror}",
                where=f"esmes.{key}",
                mend="choose another port, or end what has it",
            ) from error
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _make(self) -> EsmeConnection:
        now = self._clock.monotonic()
        return EsmeConnection(ServerSession(self._settings.session, now), self._desk, self._clock)

    def stop(self) -> None:
        """Take no new connection; those that are there go on."""
        for server in self._servers:
            server.close()
