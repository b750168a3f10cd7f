"""Where ESMEs may connect, apart from what listens there: each command line reads the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from smsgate.protocol.server_states import ServerSettings


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
