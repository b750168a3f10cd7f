"""Request bodies: no compression, a limit on octets, and a deadline that moves only while octets come."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.client_exceptions import ClientPayloadError

from smsgate.api.problems import Refusal

OCTETS_PER_SECOND_MIN: Final = 65_536  # each 64 KiB that came give one second more


class BodyStream:
    """The octets of one request, once; `digest` is SHA-256 of those read so far."""

    def __init__(self, request: web.Request, octets_max: int, timeout_s: float) -> None:
        length = request.content_length
        if length is not None and length > octets_max:
            raise _too_large(octets_max)
        self._request = request
        self._octets_max = octets_max
        self._timeout_s = timeout_s
        self._hash: hashlib._Hash | None = None  # of what is read in pieces
        self.octets_read = 0

    def digest(self) -> bytes:
        return hashlib.sha256().digest() if self._hash is None else self._hash.digest()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """
        Yield what the client sends.

        Time that the consumer spends between two pieces does not count against the client.

        Raises:
            Refusal: `body_too_large`, `request_timeout`, or `http_invalid` when the client broke off.
        """
        content = self._request.content
        hashed = self._hash = self._hash or hashlib.sha256()
        spent_s = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            allowed_s = self._timeout_s + self.octets_read / OCTETS_PER_SECOND_MIN - spent_s
            try:
                async with asyncio.timeout(allowed_s):
                    octets = await content.readany()
            except TimeoutError:
                self._request.protocol.keep_alive(False)
                raise Refusal("request_timeout", f"No body within {spent_s + allowed_s:.0f} s.") from None
            except (ClientPayloadError, web.RequestPayloadError, ConnectionError):
                raise Refusal("http_invalid", "The body broke off.") from None
            spent_s += clock() - started
            if not octets:
                if content.at_eof():
                    return
                continue
            self.octets_read += len(octets)
            if self.octets_read > self._octets_max:
                self._request.protocol.keep_alive(False)
                raise _too_large(self._octets_max)
            hashed.update(octets)
            yield octets

    async def read(self) -> bytes:
        """
        Return what the client sends, whole; `digest` is of bodies that are read in pieces.

        Raises:
            Refusal: as when it is read in pieces.
        """
        content = self._request.content
        if content.is_eof() and content.exception() is None:
            octets = content.read_nowait()  # it came along with the header, as most do: nothing is waited for
            self.octets_read = len(octets)
            if self.octets_read > self._octets_max:
                self._request.protocol.keep_alive(False)
                raise _too_large(self._octets_max)
            return octets
        return b"".join([octets async for octets in self])

    async def drain(self) -> None:
        async for _ in self:
            pass


def check_media_type(request: web.Request, accepted: tuple[str, ...]) -> None:
    """
    Check the headers of a request that has a body.

    Raises:
        Refusal: compressed, or of another type.
    """
    headers = request.headers
    if headers.get("Content-Type") in accepted and "Content-Encoding" not in headers:
        return  # written as plainly as it can be, as by most
    if headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise Refusal("encoding_unsupported", "Send the body without Content-Encoding.")
    charset = (request.charset or "utf-8").lower()
    if request.content_type not in accepted or charset not in {"utf-8", "utf8", "us-ascii"}:
        raise Refusal("media_type_unsupported", f"Taken here: {', '.join(accepted)} in UTF-8.")


def _too_large(octets_max: int) -> Refusal:
    return Refusal("body_too_large", f"The body may have {octets_max} octets.")
