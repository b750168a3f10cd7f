"""
Where an outgoing request may go: global unicast only, by a table of our own.

The standard library's `is_global` calls many IPv6 forms global that carry an inner IPv4 address, so every
such form is unwrapped and what it carries is judged too. One table judges addresses in URLs and answers of
the name system alike. Ranges follow IANA's special-purpose registries; each names its source.

`check_url` is for the moment of registration and again before each attempt; it cannot know what a name
resolves to. So before connecting, `check_address` must pass for every answer, and the connection must go
to the very address that passed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import idna

from smsgate.errors import AddressRefused, ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

URL_MAX: Final = 2048  # characters
HOST_MAX: Final = 253  # octets, RFC 1035
PORTS: Final = frozenset({443, 8443})

_DENIED_TEXT: Final = (
    ("0.0.0.0/8", "this network", "RFC 791 3.2"),
    ("10.0.0.0/8", "private use", "RFC 1918"),
    ("100.64.0.0/10", "shared by carrier-grade NAT", "RFC 6598"),
    ("127.0.0.0/8", "loopback", "RFC 1122 3.2.1.3"),
    ("168.63.129.16/32", "a cloud's inner service", "Azure virtual network documentation"),
    ("169.254.0.0/16", "link local, metadata services", "RFC 3927"),
    ("172.16.0.0/12", "private use", "RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments", "RFC 6890 2.1"),
    ("192.0.2.0/24", "documentation", "RFC 5737"),
    ("192.31.196.0/24", "AS112", "RFC 7535"),
    ("192.52.193.0/24", "AMT", "RFC 7450"),
    ("192.88.99.0/24", "6to4 relay anycast", "RFC 7526"),
    ("192.168.0.0/16", "private use", "RFC 1918"),
    ("192.175.48.0/24", "AS112", "RFC 7534"),
    ("198.18.0.0/15", "benchmarking", "RFC 2544"),
    ("198.51.100.0/24", "documentation", "RFC 5737"),
    ("203.0.113.0/24", "documentation", "RFC 5737"),
    ("224.0.0.0/4", "multicast", "RFC 5771"),
    ("240.0.0.0/4", "reserved, and broadcast", "RFC 1112 4, RFC 919 7"),
    ("::/128", "unspecified", "RFC 4291 2.5.2"),
    ("::1/128", "loopback", "RFC 4291 2.5.3"),
    ("::/96", "IPv4-compatible", "RFC 4291 2.5.5.1"),
    ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765 2.1"),
    ("64:ff9b:1::/48", "local NAT64", "RFC 8215"),
    ("100::/64", "discard only", "RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    ("2001::/32", "Teredo", "RFC 4380"),
    ("2001::/23", "IETF protocol assignments", "RFC 2928"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2002::/16", "6to4", "RFC 3056"),
    ("2620:4f:8000::/48", "AS112", "RFC 7534"),
    ("3ffe::/16", "6bone, returned", "RFC 3701"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "segment routing", "RFC 9602"),
    ("fc00::/7", "unique local", "RFC 4193"),
    ("fe80::/10", "link local", "RFC 4291 2.5.6"),
    ("fec0::/10", "site local", "RFC 3879"),
    ("ff00::/8", "multicast", "RFC 4291 2.7"),
)
DENIED: Final = tuple((ipaddress.ip_network(network), what, source) for network, what, source in _DENIED_TEXT)

_GLOBAL_UNICAST_6: Final = ipaddress.IPv6Network(
    "2000::/3"
)  # the only block handed out, RFC 4291 2.4 and IANA
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")  # RFC 4291 2.5.5.2
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 2.1
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_TRANSLATED: Final = ipaddress.IPv6Network("::ffff:0:0:0/96")
_NAT64_LOCAL: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_ISATAP_ID: Final = 0x00005EFE  # RFC 5214 6.1; the u and g bits may be set or not
_ISATAP_MASK: Final = 0xFCFFFFFF

# Names of inner hosts, wherever they resolve: RFC 6761, RFC 6762 and its appendix G, RFC 7686, ICANN 2024.
_INNER_NAMES: Final = frozenset(
    {
        "arpa",
        "corp",
        "home",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localhost",
        "onion",
        "private",
    }
)
_URL_FORM: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?", re.DOTALL)
_PATH_FORM: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_LABEL_FORM: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# A last label that a resolver may take for an address: 1, 0x7f, 017700000001 (WHATWG URL, host parsing).
_NUMBER_FORM: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """
    What one installation adds to the table.

    `extra_deny` wins over `allow`, and `allow` over the table: it exists so that a demo or a test opens
    loopback in so many words. `ports` None means any port.
    """

    extra_deny: tuple[Network, ...] = ()
    allow: tuple[Network, ...] = ()
    ports: frozenset[int] | None = PORTS
    allow_http: bool = False

    @classmethod
    def of(
        cls,
        *,
        extra_deny: Iterable[str] = (),
        allow: Iterable[str] = (),
        extra_ports: Iterable[int] | None = (),
        allow_http: bool = False,
    ) -> AddressPolicy:
        """
        Build from settings; `extra_ports` None opens every port.

        Raises:
            ConfigError: a network is not written as CIDR, or a port is out of range.
        """
        ports = None if extra_ports is None else PORTS.union(extra_ports)
        if ports is not None and not all(0 < port < 65_536 for port in ports):
            raise ConfigError("a port is out of 1 to 65535", mend="name TCP ports only")
        return cls(_networks(extra_deny), _networks(allow), ports, allow_http)


PUBLIC_ONLY: Final = AddressPolicy()


@dataclass(frozen=True, slots=True)
class ParsedTarget:
    """A URL that passed: `host` in lower-case ASCII without brackets, `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str
    literal: bool  # `host` is an address and already checked; it never meets a resolver

    @property
    def origin(self) -> str:
        """Scheme, host and port as a URL has them; the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        own = {"https": 443, "http": 80}[self.scheme]
        return f"{self.scheme}://{host}" if self.port == own else f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        return self.origin + self.path


def check_address(address: str | bytes, policy: AddressPolicy = PUBLIC_ONLY) -> None:
    """
    Accept an address to connect to, as text or as 4 or 16 octets.

    Raises:
        AddressRefused: it, or an IPv4 address that it carries, is not global unicast; says which range.
    """
    ip = _parse(address)
    carried = _carried(ip)
    for form in (ip, *carried):
        if any(form in network for network in policy.extra_deny):
            raise AddressRefused(f"{ip} is denied by the operator")
    # A mapped address is the IPv4 address, and NAT64 leads to it: nothing but what they carry counts.
    stands_for_ipv4 = isinstance(ip, ipaddress.IPv6Address) and (ip in _MAPPED or ip in _NAT64)
    for form in carried if stands_for_ipv4 else (ip, *carried):
        if any(form in network for network in policy.allow):
            continue
        reason = _reason_to_deny(form)
        if reason is not None:
            raise AddressRefused(
                f"{ip} is {reason}" if form is ip else f"{ip} carries {form}, which is {reason}"
            )


def check_url(url: str, policy: AddressPolicy = PUBLIC_ONLY) -> ParsedTarget:
    """
    Accept a URL to send to, without resolving its name.

    Raises:
        AddressRefused: scheme, port, user information, fragment, host or path is not allowed; the sentence
            repeats nothing of the URL but its port or scheme, since it may hold a secret.
    """
    if len(url) > URL_MAX:
        raise AddressRefused(f"URL exceeds {URL_MAX} characters")
    match = _URL_FORM.fullmatch(url)
    if match is None:
        raise AddressRefused("not an absolute URL: write https://host/path")
    scheme, authority, path = match[1].lower(), match[2], match[3]
    if scheme != "https" and not (scheme == "http" and policy.allow_http):
        raise AddressRefused("URL must begin with https://")
    if match[4] is not None:
        raise AddressRefused("URL must not hold a fragment (#)")
    if "@" in authority:
        raise AddressRefused("URL must not hold a user name or password")
    if not _PATH_FORM.fullmatch(path):
        raise AddressRefused("path and query must be ASCII, other characters percent-encoded")
    host, port = _split_port(authority, default=443 if scheme == "https" else 80)
    # Plain HTTP was opened by the operator's word; its own port comes with it.
    if policy.ports is not None and port not in policy.ports and not (scheme == "http" and port == 80):
        raise AddressRefused(f"port {port} is not allowed: {', '.join(map(str, sorted(policy.ports)))} are")
    literal = host.startswith("[")
    if literal:
        host = _checked_literal(host[1:-1], policy)
    else:
        host = _ascii_host(host)
        literal = _NUMBER_FORM.fullmatch(host.rpartition(".")[2]) is not None
        if literal:
            host = _checked_literal(host, policy)
        else:
            _check_name(host, policy)
    return ParsedTarget(scheme, host, port, path if path.startswith("/") else f"/{path}", literal)


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as exc:
        raise ConfigError(f"not a network: {exc}", mend="write it as 192.0.2.0/24 or 2001:db8::/32") from exc


def _parse(address: str | bytes) -> Address:
    if isinstance(address, str) and "%" in address:
        raise AddressRefused("an address with a zone is link local (RFC 4007)")
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        raise AddressRefused("not an IP address in its plain form") from None


def _carried(ip: Address) -> tuple[ipaddress.IPv4Address, ...]:
    """Return every IPv4 address inside an IPv6 one."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ()
    if ip.sixtofour is not None:
        return (ip.sixtofour,)
    if ip.teredo is not None:
        return ip.teredo
    if int(ip) <= 1:  # "::" and "::1" lie in the IPv4-compatible block, but are themselves
        return ()
    low = int(ip) & 0xFFFFFFFF
    isatap = (int(ip) >> 32) & _ISATAP_MASK == _ISATAP_ID
    if isatap or any(ip in form for form in (_MAPPED, _NAT64, _NAT64_LOCAL, _COMPATIBLE, _TRANSLATED)):
        return (ipaddress.IPv4Address(low),)
    return ()


def _reason_to_deny(ip: Address) -> str | None:
    for network, what, source in DENIED:
        if ip in network:
            return f"{what} ({source})"
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GLOBAL_UNICAST_6:
        return "outside of global unicast (RFC 4291 2.4)"
    return None


def _split_port(authority: str, default: int) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?", authority)
    if match is None:
        raise AddressRefused("host and port cannot be read")
    port = default if match[2] is None else int(match[2])
    if not 0 < port < 65_536:
        raise AddressRefused("port is out of 1 to 65535")
    return match[1], port


def _ascii_host(host: str) -> str:
    """Return the host in lower-case ASCII; other scripts by IDNA 2008 with the mapping of UTS 46."""
    if len(host) > HOST_MAX:  # before idna: its work grows faster than the name
        raise AddressRefused(f"host exceeds {HOST_MAX} octets")
    name = host.lower()
    if not host.isascii():
        try:
            name = idna.encode(host, uts46=True, std3_rules=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise AddressRefused("host is not a domain name") from None
    if len(name) > HOST_MAX or not all(_LABEL_FORM.fullmatch(label) for label in name.split(".")):
        raise AddressRefused("host is not a domain name")
    return name


def _check_name(host: str, policy: AddressPolicy) -> None:
    # Where the operator opened inner networks, inner names lead there; their answers are still judged.
    if not policy.allow and ("." not in host or host.rpartition(".")[2] in _INNER_NAMES):
        raise AddressRefused("host is the name of an inner machine")


def _checked_literal(text: str, policy: AddressPolicy) -> str:
    """Return the address in its shortest form; a literal needs a network of the policy that covers it."""
    ip = _parse(text)
    if not any(ip in network for network in policy.allow):
        raise AddressRefused("host must be a name, not an address")
    check_address(text, policy)
    return ip.compressed
