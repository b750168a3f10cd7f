"""Keys of a carrier's profile: where to connect, who we are, when a bind is dead and tried again."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field, SecretStr

from smsgate.links.profile_values import FROZEN, OFFSETS_MAX_S, Ascii, HostText, Seconds
from smsgate.protocol.frames import COMMAND_LENGTH_MAX

SYSTEM_ID_OCTETS_MAX: Final = 64  # SMPP 3.4 says 15; providers use longer ones, 64 keeps a bind PDU small
PASSWORD_MAX_LIMIT: Final = 64  # what `password_max` may be raised to
BINDS_MAX: Final = 64  # sessions of one account; carriers allow 2 to 10
TRACE_OCTETS_LIMIT: Final = 64 << 20  # of one bind: minutes at full speed, and memory that is there


class RebindDelays(BaseModel):
    """
    How long a link waits before it tries again: from the first to the last, doubling, with jitter.

    A refusal of the credentials is retried slowly: hammering gets the account locked.
    """

    model_config = FROZEN

    lost_s: tuple[Seconds, Seconds] = Field(
        default=(1.0, 60.0), description="[first, last] after a lost link"
    )
    refused_tcp_s: tuple[Seconds, Seconds] = Field(
        default=(2.0, 60.0), description="[first, last] after a refused or unreachable address"
    )
    already_bound_s: tuple[Seconds, Seconds] = Field(
        default=(5.0, 60.0),
        description="[first, last] after ESME_RALYBND, which SMSCs say for up to 2 minutes",
    )
    credentials_s: tuple[Seconds, Seconds] = Field(
        default=(60.0, 900.0), description="[first, last] after a refused system_id or password"
    )
    stable_s: Seconds = Field(
        default=30.0, description="a bind that held so long starts from the first delay again"
    )


class SessionKeys(BaseModel):
    model_config = FROZEN

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$",
        description='lower case letters, digits, - and _, 32 at most, "sms-fr"',
    )
    hosts: tuple[HostText, ...] = Field(
        min_length=1, max_length=16, description='one or more of "host:port", tried in turn'
    )
    system_id: Ascii = Field(
        min_length=1, max_length=SYSTEM_ID_OCTETS_MAX, description="what the carrier gave you"
    )
    password: SecretStr = Field(
        description="what the carrier gave you; raise password_max if it is longer than 8"
    )
    password_max: int = Field(default=8, ge=1, le=PASSWORD_MAX_LIMIT, description="8 by SMPP 3.4, up to 64")
    system_type: Ascii = Field(
        default="", max_length=12, description="empty, or what the carrier's manual says"
    )
    bind: Literal["trx", "tx+rx"] = Field(default="trx", description='"trx" or "tx+rx"')
    binds: int = Field(
        default=1, ge=1, le=BINDS_MAX, description="sessions, or pairs of them with tx+rx; 1 to 64"
    )
    interface_version: Literal[0x33, 0x34, 0x50] = Field(default=0x34, description="0x33, 0x34 or 0x50")
    tls: Literal["verify", "none"] = Field(default="verify", description='"verify", or "none" for plain text')
    insecure_plaintext: bool = Field(
        default=False, description="true to let credentials and texts go unprotected"
    )
    ca_file: str | None = Field(default=None, description="PEM file of the CA, when it is no public one")
    cert_file: str | None = Field(default=None, description="PEM file of our client certificate")
    key_file: str | None = Field(default=None, description="PEM file of the client certificate's key")
    enquire_interval_s: Seconds = Field(default=30.0, description="seconds of silence before enquire_link")
    response_timeout_s: Seconds = Field(default=10.0, description="seconds")
    connect_timeout_s: Seconds = Field(default=3.0, description="seconds to connect, TLS included")
    bind_timeout_s: Seconds = Field(default=5.0, description="seconds for the bind's response")
    hosts_use: Literal["priority", "spread"] = Field(
        default="priority",
        description='"priority": the first host that is up; "spread": each bind begins at another',
    )
    host_return_s: float = Field(
        default=300.0,
        ge=0,
        le=OFFSETS_MAX_S,
        description="seconds after which a bind elsewhere looks for the host it prefers; 0 never",
    )
    max_messages_per_bind: int | None = Field(
        default=None, ge=10, description="messages after which the carrier wants a new bind, 10 or more"
    )
    rebind_overlap: bool = Field(
        default=True, description="true: a planned rebind is bound before the old session leaves"
    )
    missing_version_is_old: bool = Field(
        default=False, description="true: an SMSC that names no version gets no TLVs"
    )
    rebind: RebindDelays = Field(default_factory=RebindDelays, description="delays between attempts to bind")
    command_length_max: int = Field(
        default=COMMAND_LENGTH_MAX,
        ge=1_024,
        le=1_048_576,
        description="octets of the longest PDU that is read; a longer one ends the session, 1,024 or more",
    )
    trace_octets_max: int = Field(
        default=262_144,
        ge=0,
        le=TRACE_OCTETS_LIMIT,
        description="octets of each bind's last PDUs that `smsgate carrier trace` can show; 0 keeps none",
    )
