"""The tables of the configuration: what each key may hold; a description is what an error says to write."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from smsgate.api.limits import GIB, ApiSettings
from smsgate.campaigns.guard import FIRST_SENDS_MAX, FIRST_SENDS_MIN, GuardLimits, percent, share
from smsgate.config.billing import BillingSettings
from smsgate.config.consent import ConsentSettings
from smsgate.config.esmes import EsmesSettings
from smsgate.config.marketing import CapSettings, HoursSettings
from smsgate.config.routes import ROUTES_MAX, RouteSettings
from smsgate.errors import ConfigError
from smsgate.flows.housekeeping import Retention
from smsgate.flows.sending_limits import SendingLimits
from smsgate.links.profile import CarrierProfile
from smsgate.security.addresses import AddressPolicy
from smsgate.store.dsn import DATABASE, Dsns
from smsgate.telemetry.logs import Form, Level
from smsgate.webhooks.limits import DeliverySettings

CARRIERS_MAX: Final = 1_000

Role = Literal["api", "gateway", "webhooks"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
_TABLE: Final = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

_SENDING, _API, _DELIVERY, _RETENTION = SendingLimits(), ApiSettings(), DeliverySettings(), Retention()

Port = Annotated[int, Field(strict=True, ge=1, le=65_535)]


class NodeSettings(BaseModel):
    model_config = _TABLE

    name: str = Field(
        default="", max_length=60, description="a name for logs, up to 60 characters; empty: the host's name"
    )
    roles: tuple[Role, ...] = Field(
        default=ROLES, min_length=1, description='a list of "api", "gateway" and "webhooks"'
    )
    state_dir: Path = Field(default=Path("var"), description="a directory that this user may write, or make")

    @property
    def shown_name(self) -> str:
        return self.name or socket.gethostname()


class DatabaseSettings(BaseModel):
    model_config = _TABLE

    dsn: SecretStr | None = Field(
        default=None, description="postgresql://user:password@host:5432/smsgate?sslmode=verify-full"
    )
    control_dsn: SecretStr | None = Field(
        default=None, description="a DSN like `dsn`, of the coordinator, where `dsn` is another node of Citus"
    )

    name: str = Field(
        default=DATABASE,
        pattern=r"^[a-z][a-z0-9_]{0,62}$",
        description="the embedded server's database: lower-case letters, digits and _, at most 63",
    )
    disk_floor_mib: int = Field(
        strict=True,
        default=512,
        ge=0,
        le=1_048_576,
        description="MiB that must be free on the embedded database's disk, 0 to 1048576; 0: nobody looks",
    )

    def dsns(self) -> Dsns | None:
        """
        Return the configured server; None: the embedded one.

        Raises:
            ConfigError: not a DSN, or one that would send passwords in the clear.
        """
        data = self.dsn.get_secret_value() if self.dsn else ""
        control = self.control_dsn.get_secret_value() if self.control_dsn else ""
        if control and not data:
            raise ConfigError(
                "control_dsn stands alone", where="database.dsn", mend="set database.dsn as well"
            )
        if not data:
            return None
        try:
            return Dsns(control=control or data, data=data)
        except ConfigError as exc:
            named = exc.where == "database.control_dsn" and bool(control)
            where = "database.control_dsn" if named else "database.dsn"
            raise ConfigError(str(exc), where=where, mend=exc.mend) from exc


class HttpSettings(BaseModel):
    model_config = _TABLE

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        max_length=253,
        description="an address of this machine; 0.0.0.0 for all",
    )
    port: int = Field(
        strict=True, default=8080, ge=0, le=65_535, description="0 to 65535; 0 takes any free port"
    )
    health_port: int = Field(
        strict=True,
        default=8081,
        ge=0,
        le=65_535,
        description="0 to 65535, for a process without the role api; 0 takes any free port",
    )
    port_shared: bool = Field(
        strict=True,
        default=False,
        description="true: other processes of smsgate on this machine listen on the same port",
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description='networks like "10.0.0.0/8" whose X-Forwarded-For is believed'
    )
    metrics_public: bool = Field(
        strict=True, default=False, description="true: /metrics answers everybody, not this machine only"
    )
    requests_per_s: int = Field(
        strict=True,
        default=_API.requests_per_s,
        ge=1,
        le=100_000,
        description="requests a second per API key",
    )
    connections_max: int = Field(
        strict=True,
        default=_API.connections_max,
        ge=10,
        le=100_000,
        description="open connections, 10 to 100000",
    )
    connections_per_source_max: int = Field(
        strict=True,
        default=_API.connections_per_source_max,
        ge=1,
        le=100_000,
        description="open connections of one address",
    )
    import_gib_max: int = Field(
        strict=True,
        default=_API.import_octets_max // GIB,
        ge=1,
        le=1_024,
        description="size of one import, in GiB",
    )

    def api(self) -> ApiSettings:
        return ApiSettings(
            requests_per_s=self.requests_per_s,
            connections_max=self.connections_max,
            connections_per_source_max=self.connections_per_source_max,
            import_octets_max=self.import_gib_max * GIB,
            trusted_proxies=self.trusted_proxies,
            metrics_public=self.metrics_public,
        )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _are_networks(cls, networks: object) -> object:
        for network in networks if isinstance(networks, list | tuple) else ():
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(f"{str(network)[:60]} is no network") from None
        return networks

    @property
    def on_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class SendingSettings(BaseModel):
    model_config = _TABLE

    in_doubt_max: int = Field(
        strict=True,
        default=_SENDING.in_doubt_max,
        ge=100,
        le=100_000,
        description="messages that a crash may leave in doubt, 100 to 100000",
    )
    poll_s: float = Field(
        strict=True,
        default=_SENDING.poll_s,
        ge=0.05,
        le=60,
        description="seconds between two looks for new campaigns",
    )
    failover_s: float = Field(
        strict=True,
        default=_SENDING.failover_s,
        ge=0.5,
        le=3_600,
        description="seconds that a carrier may be away before a route's next one takes over, 0.5 to 3600",
    )

    guard_first_sends: int = Field(
        strict=True,
        default=_SENDING.guard.first_sends,
        ge=FIRST_SENDS_MIN,
        le=FIRST_SENDS_MAX,
        description=f"first sends that the shares are of, {FIRST_SENDS_MIN} to {FIRST_SENDS_MAX}",
    )
    guard_stop_percent: float = Field(
        strict=True,
        default=percent(_SENDING.guard.stop_share),
        ge=0,
        le=100,
        description="per cent of stops beyond which a campaign pauses itself; 100: never",
    )
    guard_failure_percent: float = Field(
        strict=True,
        default=percent(_SENDING.guard.failure_share),
        ge=0,
        le=100,
        description="per cent of failures beyond which a campaign pauses itself; 100: never",
    )

    def limits(self) -> SendingLimits:
        return SendingLimits(
            in_doubt_max=self.in_doubt_max,
            poll_s=self.poll_s,
            failover_s=self.failover_s,
            guard=GuardLimits(
                self.guard_first_sends, share(self.guard_stop_percent), share(self.guard_failure_percent)
            ),
        )


class WebhookSettings(BaseModel):
    model_config = _TABLE

    allow_http: bool = Field(
        strict=True,
        default=False,
        description="true: http:// endpoints too, for development on this machine only",
    )
    allow_networks: tuple[str, ...] = Field(
        default=(), max_length=100, description='inner networks to open, like "127.0.0.0/8"'
    )
    deny_networks: tuple[str, ...] = Field(
        default=(), max_length=1_000, description='networks to refuse besides inner ones, like "192.0.2.0/24"'
    )
    ports: tuple[Port, ...] = Field(
        default=(), max_length=100, description="a list of ports besides 443 and 8443, like [9443]"
    )
    any_port: bool = Field(strict=True, default=False, description="true: every port, for development alone")
    concurrency: int = Field(
        strict=True,
        default=_DELIVERY.concurrency,
        ge=1,
        le=1_000,
        description="requests under way at once, 1 to 1000",
    )
    per_host: int = Field(
        strict=True, default=_DELIVERY.per_host, ge=1, le=1_000, description="of them, to one host, 1 to 1000"
    )
    per_host_per_s: int = Field(
        strict=True,
        default=_DELIVERY.per_host_per_s,
        ge=1,
        le=10_000,
        description="requests a second to one host",
    )
    poll_s: float = Field(
        strict=True,
        default=_DELIVERY.poll_s,
        ge=0.05,
        le=60,
        description="seconds between two looks for due deliveries",
    )

    def policy(self) -> AddressPolicy:
        return AddressPolicy.of(
            extra_deny=self.deny_networks,
            allow=self.allow_networks,
            extra_ports=None if self.any_port else self.ports,
            allow_http=self.allow_http,
        )

    def delivery(self) -> DeliverySettings:
        return DeliverySettings(
            concurrency=self.concurrency,
            per_host=self.per_host,
            per_host_per_s=self.per_host_per_s,
            poll_s=self.poll_s,
        )

    @field_validator("allow_networks", "deny_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        try:
            AddressPolicy.of(allow=networks)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return networks


# An OK is judged by the message that it answers: the longest offer lives 366 days (flows.offers.LIFE_MAX), an
# OK is taken 15 minutes longer, and the last receipts come days later.
MESSAGES_DAYS_MIN: Final = 370
MESSAGES_DAYS_MAX: Final = 4_000


class RetentionSettings(BaseModel):
    model_config = _TABLE

    messages_days: int = Field(
        strict=True,
        default=_RETENTION.messages_days,
        ge=MESSAGES_DAYS_MIN,
        le=MESSAGES_DAYS_MAX,
        description=f"days that messages and receipts are kept, {MESSAGES_DAYS_MIN} to {MESSAGES_DAYS_MAX}",
    )

    def kept(self) -> Retention:
        return Retention(messages_days=self.messages_days)


class LogSettings(BaseModel):
    model_config = _TABLE

    level: Level = Field(default="info", description='"debug", "info", "warning" or "error"')
    form: Form = Field(default="auto", description='"json", "console", or "auto": console on a terminal')


class Settings(BaseModel):
    """All settings; `load_settings` reads them, and a test may make them of parts."""

    model_config = _TABLE

    node: NodeSettings = Field(default_factory=NodeSettings, description="the table [node]")
    database: DatabaseSettings = Field(default_factory=DatabaseSettings, description="the table [database]")
    http: HttpSettings = Field(default_factory=HttpSettings, description="the table [http]")
    carriers: tuple[CarrierProfile, ...] = Field(
        default=(), max_length=CARRIERS_MAX, description="tables [[carriers]]"
    )
    routes: tuple[RouteSettings, ...] = Field(
        default=(), max_length=ROUTES_MAX, description="tables [[routes]]"
    )
    sending: SendingSettings = Field(default_factory=SendingSettings, description="the table [sending]")
    esmes: EsmesSettings = Field(default_factory=EsmesSettings, description="the table [esmes]")
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings, description="the table [webhooks]")
    hours: HoursSettings = Field(default_factory=HoursSettings, description="the table [hours]")
    caps: CapSettings = Field(default_factory=CapSettings, description="the table [caps]")
    consent: ConsentSettings = Field(default_factory=ConsentSettings, description="the table [consent]")
    retention: RetentionSettings = Field(
        default_factory=RetentionSettings, description="the table [retention]"
    )
    billing: BillingSettings = Field(default_factory=BillingSettings, description="the table [billing]")
    log: LogSettings = Field(default_factory=LogSettings, description="the table [log]")

    @property
    def port_key(self) -> Literal["port", "health_port"]:
        """Return the key of [http] that names the port on which a process with these roles listens."""
        return "port" if "api" in self.node.roles else "health_port"

    @property
    def listening_port(self) -> int:
        port: int = getattr(self.http, self.port_key)
        return port
