"""One signed POST to somebody else's machine, which may be hostile, broken or not what it says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from smsgate.errors import AddressRefused
from smsgate.security.addresses import AddressPolicy, check_url
from smsgate.version import VERSION
from smsgate.webhooks.resolver import (
    LOOKS_FOR,
    CheckedResolver,
    CheckedSockets,
    Lookup,
    NotLookedUp,
    SystemLookup,
)

ATTEMPT_LIMIT_S: Final = 15.0  # name, connection, TLS, request and answer together
ANSWER_OCTETS_MAX: Final = 65_536
HEADERS_OCTETS_MAX: Final = 32_768
HEADER_LINE_MAX: Final = 8_190  # octets; policies of content delivery networks are long
HEADER_LINES_MAX: Final = 100
READ_BUFFER: Final = 16_384  # octets taken ahead of us from one receiver

# Shops' frameworks read JSON by this type; the CloudEvents attributes stand in the body.
CONTENT_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answered; `whole`: the body was no longer than ANSWER_OCTETS_MAX."""

    status: int
    body: bytes = field(repr=False)
    whole: bool
    retry_after: str | None
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """
    Why there is no answer, in words for the merchant.

    `refused`: we did not even connect, by policy; `unasked`: nor did we, for want of room on our side.
    """

    reason: str
    elapsed_s: float
    refused: bool = False
    unasked: bool = False


class WebhookClient:
    """
    Use as an async context manager; one for all merchants, no connection is ever used twice.

    Args:
        policy: where requests may go.
        lookup: another name system than the machine's own.
        tls: a context with other authorities than the public ones; names are checked in any case.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
        limit_s: float = ATTEMPT_LIMIT_S,
    ) -> None:
        assert tls is None or tls.check_hostname
        self._policy = policy
        self._lookup = lookup
        self._system_lookup: SystemLookup | None = None
        self._tls = tls
        self._limit_s = limit_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self._lookup is None:
            self._lookup = self._system_lookup = SystemLookup()
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(self._policy, self._lookup),
            socket_factory=CheckedSockets(self._policy),
            use_dns_cache=False,  # each attempt resolves once, and that answer is what it connects to
            force_close=True,
            limit=0,  # deliveries are bounded where they are started
            ssl=True if self._tls is None else self._tls,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            read_bufsize=READ_BUFFER,
            max_line_size=HEADER_LINE_MAX,
            max_field_size=HEADER_LINE_MAX,
            max_headers=HEADER_LINES_MAX,
            requote_redirect_url=False,
            headers={
                "user-agent": f"smsgate/{VERSION}",
                "accept": CONTENT_TYPE,
                "accept-encoding": "identity",
            },
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._system_lookup is not None:
            self._system_lookup.close()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, merchant_id: int = 0
    ) -> Answer | NoAnswer:
        """Send once; never raises for what the other side does, and takes `limit_s` at most."""
        LOOKS_FOR.set(merchant_id)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._post(url, body, headers, started)
        except AddressRefused as exc:
            return NoAnswer(f"not sent: {exc}", loop.time() - started, refused=True)
        except NotLookedUp as exc:
            return NoAnswer(str(exc), loop.time() - started, unasked=True)
        except TimeoutError:
            return NoAnswer(f"no whole answer within {self._limit_s:g} s", loop.time() - started)
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as exc:
            refused = _cause(exc, PermissionError) is not None
            return NoAnswer(_in_words(exc), loop.time() - started, refused)

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], started: float
    ) -> Answer | NoAnswer:
        assert self._session is not None, "open the client first"
        loop = asyncio.get_running_loop()
        target = check_url(url, self._policy)
        async with self._session.post(
            URL(target.url, encoded=True),
            data=body,
            headers={"content-type": CONTENT_TYPE, **headers},
            allow_redirects=False,
        ) as response:
            size = sum(len(name) + len(value) + 4 for name, value in response.raw_headers)
            if size > HEADERS_OCTETS_MAX:
                response.close()
                return NoAnswer(
                    f"the answer's headers exceed {HEADERS_OCTETS_MAX} octets", loop.time() - started
                )
            content, whole = await _read(response)
            if not whole:
                response.close()
            retry_after = response.headers.get("retry-after")
            return Answer(response.status, content, whole, retry_after, loop.time() - started)


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    content = bytearray()
    while chunk := await response.content.read(READ_BUFFER):
        content += chunk
        if len(content) > ANSWER_OCTETS_MAX:
            return bytes(content[:ANSWER_OCTETS_MAX]), False
    return bytes(content), True


def _cause(exc: BaseException, kind: type[BaseException]) -> BaseException | None:
    seen: BaseException | None = exc
    while seen is not None:
        if isinstance(seen, kind):
            return seen
        seen = getattr(seen, "os_error", None) or seen.__cause__
    return None


def _in_words(exc: BaseException) -> str:
    """Say what happened without repeating what the other side sent or who they are inside."""
    if (refused := _cause(exc, PermissionError)) is not None:
        return f"not sent: {getattr(refused, 'strerror', None) or 'address refused'}"
    if (certificate := _cause(exc, ssl.SSLCertVerificationError)) is not None:
        return f"TLS: {getattr(certificate, 'verify_message', 'certificate refused')}"
    match exc:
        case aiohttp.ClientConnectorDNSError():
            return "the host's name cannot be resolved"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "TLS could not be agreed on"
        case aiohttp.ClientConnectorError():
            return f"no connection: {exc.os_error.strerror or 'failed'}"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return "the answer is not HTTP as we can read it"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            return "the connection was closed before the answer was whole"
        case aiohttp.InvalidURL():
            return "the URL cannot be used"
    return "the request failed"
