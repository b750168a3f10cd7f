"""
Limits of the HTTP side.

Apart from what they limit: the configuration holds them, and each command line reads that.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final

GIB: Final = 1_073_741_824


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Limits of the HTTP side; units last."""

    requests_per_s: int = 100  # per API key; a burst of one second's worth is taken at once
    wrong_keys_per_s: int = 20  # per source address; more than a human's typing, less than a guess is worth
    header_timeout_s: float = 10.0  # from the first octet of a request to the end of its header
    idle_timeout_s: float = 30.0  # a connection without a request
    stalled_s: float = 60.0  # a client that takes nothing of an answer; of a file it may go on where it was
    body_timeout_s: float = 20.0  # plus one second for every 64 KiB that came
    handler_timeout_s: float = 30.0  # JSON requests; a stuck statement must not hold its connection for ever
    import_octets_max: int = 4 * GIB
    connections_max: int = 5_000
    connections_per_source_max: int = 200
    key_cache_s: float = 30.0
    key_cache_max: int = 10_000
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    metrics_public: bool = False  # False: /metrics answers this machine only
    documentation: str = "/v1/openapi.json"
