"""What keys of a carrier's profile are made of: hosts, times, octets, statuses."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, ConfigDict, Field

OFFSETS_MAX_S: Final = 86_400.0  # no time-out or delay is longer than a day
FROZEN: Final = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

_HOST: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")

Seconds = Annotated[float, Field(gt=0, le=OFFSETS_MAX_S)]
Octet = Annotated[int, Field(ge=0, le=0xFF)]
Ascii = Annotated[str, Field(pattern=r"^[ -~]*$")]
CommandStatus = Annotated[int, Field(ge=1, le=0xFFFF_FFFF)]


class Host(NamedTuple):
    """Where an SMSC listens; `name` is what its certificate must hold."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def read_host(text: str) -> Host:
    """Return what "host:port" means. Raises ValueError: nothing."""
    match = _HOST.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65_536:
        raise ValueError("is no host:port")
    return Host(match["ipv6"] or match["host"], int(match["port"]))


def _read_host(value: Any) -> Any:
    return read_host(value) if isinstance(value, str) else value


HostText = Annotated[Host, BeforeValidator(_read_host)]
