"""Connection strings: what smsgate accepts, and what each connection asks of the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from smsgate.errors import ConfigError
from smsgate.store.roles import ADMIN, OWNER

SCHEMES: Final = ("postgresql", "postgres")
DATABASE: Final = "smsgate"  # of the embedded server, where nothing else is said


class Source(Protocol):
    """Where connections come from: `EmbeddedPostgres` or `Dsns`."""

    @property
    def database(self) -> str:
        """Return the usual database's name; empty: the one that the DSN names."""
        ...

    def connect_args(self, role: str, database: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Dsns:
    """
    A server by DSN. `control` is for leases, migrations and LISTEN, `data` for the rest; equal by default.

    On Citus `control` is the coordinator and `data` any node. Several hosts may stand in one DSN.

    Raises:
        ConfigError: not a PostgreSQL DSN, or it leaves this machine without `sslmode=verify-full`.
    """

    control: str = field(repr=False)  # holds a password
    data: str = field(default="", repr=False)

    @property
    def database(self) -> str:
        return ""

    def __post_init__(self) -> None:
        if not self.data:
            object.__setattr__(self, "data", self.control)
        check_dsn(self.control, "database.control_dsn")
        check_dsn(self.data, "database.data_dsn")

    def connect_args(self, role: str, database: str = "") -> dict[str, Any]:
        """Return arguments of asyncpg.connect; the user is the DSN's, the role is set by the session."""
        args: dict[str, Any] = {"dsn": self.control if role in {ADMIN, OWNER} else self.data}
        if database:
            args["database"] = database
        if len(hosts_of(args["dsn"])) > 1:
            args["target_session_attrs"] = "primary"
        return args


def check_dsn(dsn: str, where: str) -> None:
    parts = urlsplit(dsn)
    if parts.scheme not in SCHEMES:
        raise ConfigError(
            "This is not the DSN of a PostgreSQL server.",
            where=where,
            mend="Write postgresql://user:password@host:5432/smsgate?sslmode=verify-full.",
        )
    strangers = [host for host in hosts_of(dsn) if not _on_this_machine(host)]
    mode = parse_qs(parts.query).get("sslmode", [""])[-1]
    if strangers and mode != "verify-full":
        raise ConfigError(
            f"The database on {', '.join(strangers)} is another machine, and sslmode is {mode or 'not set'}: "
            "passwords "
            "and persons' data could be read, or answered by somebody else.",
            where=where,
            mend="Add ?sslmode=verify-full (and sslrootcert=/path/to/ca.pem) to the DSN.",
        )


def hosts_of(dsn: str) -> list[str]:
    """Return the hosts of a DSN; none means the local socket."""
    parts = urlsplit(dsn)
    named = parse_qs(parts.query).get("host", [""])[-1]
    hosts = [unquote(place) for place in parts.netloc.rpartition("@")[2].split(",")]
    if named:
        hosts = named.split(",")
    return [_without_port(host) for host in hosts if host]


def _without_port(place: str) -> str:
    if place.startswith("/"):
        return place
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0]


def _on_this_machine(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
