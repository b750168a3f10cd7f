"""The table [esmes]: where other companies' ESMEs bind."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from smsgate.esmes.limits import ListenSettings
from smsgate.protocol.server_states import ServerSettings
from smsgate.security.esme_passwords import LENGTH_DEFAULT, LENGTH_MAX

_SESSION = ServerSettings()
ListenPort = Annotated[int, Field(strict=True, ge=0, le=65_535)]


class EsmesSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field(
        default="127.0.0.1", min_length=1, max_length=253, description="an address of this machine"
    )
    tls_port: ListenPort | None = Field(
        default=None, description="the port for SMPP over TLS, usually 3550; leave it out for none"
    )
    cert_file: str | None = Field(default=None, description="PEM file of our certificate and its chain")
    key_file: str | None = Field(default=None, description="PEM file of the certificate's key")
    client_ca_file: str | None = Field(
        default=None, description="PEM file of the authority whose certificates ESMEs must show"
    )
    plain_port: ListenPort | None = Field(
        default=None, description="the port for SMPP in plain text, usually 2775; leave it out for none"
    )
    insecure_plaintext: bool = Field(
        strict=True, default=False, description="true to let passwords and texts come unprotected"
    )
    system_id: str = Field(
        default=_SESSION.system_id.decode("ascii"),
        pattern=r"^[!-~]{1,15}$",
        description="who we say we are, 1 to 15 characters",
    )
    password_length: int = Field(
        strict=True,
        default=LENGTH_DEFAULT,
        ge=LENGTH_DEFAULT,
        le=LENGTH_MAX,
        description="characters of a new password: 8 for every ESME, up to 16 where theirs take more",
    )
    tell_unknown_system_id: bool = Field(
        strict=True,
        default=False,
        description="true: an unknown system_id is answered 0x0F; false: as a wrong password, 0x0E",
    )
    enquire_interval_s: float = Field(
        default=_SESSION.enquire_interval_s, gt=0, le=3_600, description="seconds of silence"
    )
    response_timeout_s: float = Field(
        default=_SESSION.response_timeout_s, gt=0, le=60, description="seconds, up to 60"
    )
    bind_timeout_s: float = Field(
        default=_SESSION.bind_timeout_s, gt=0, le=60, description="seconds from connection to bind"
    )

    @property
    def on(self) -> bool:
        return self.tls_port is not None or self.plain_port is not None

    def listen(self) -> ListenSettings:
        return ListenSettings(
            host=self.host,
            tls_port=self.tls_port,
            plain_port=self.plain_port,
            cert_file=self.cert_file,
            key_file=self.key_file,
            client_ca_file=self.client_ca_file,
            session=ServerSettings(
                system_id=self.system_id.encode("ascii"),
                enquire_interval_s=self.enquire_interval_s,
                response_timeout_s=self.response_timeout_s,
                bind_timeout_s=self.bind_timeout_s,
            ),
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tls_port is not None and (self.cert_file is None or self.key_file is None):
            raise ValueError("tls_port needs cert_file and key_file")
        if self.plain_port is not None and not self.insecure_plaintext:
            raise ValueError("plain_port needs insecure_plaintext = true: passwords can be read on the way")
        return self
