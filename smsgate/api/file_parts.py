"""
A file, or one part of it: range requests as RFC 9110 has them, with its SHA-256 as strong ETag.

One range is served; several at once are answered with the whole file, which the RFC allows.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from email.utils import format_datetime
from typing import IO, Final, NamedTuple

from aiohttp import web

from smsgate.api.endpoint_headers import NO_STORE, REQUEST_ID
from smsgate.api.problems import Refusal
from smsgate.api.routing import Call
from smsgate.flows.kept_files import KeptFile

READ_OCTETS: Final = 128 << 10  # in memory of one download at once, and as much in the socket's buffer
_ONE_RANGE: Final = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*")


class Part(NamedTuple):
    """Octets `first` to `last`, both included; `whole`: nobody asked for less."""

    first: int
    last: int
    whole: bool

    @property
    def octets(self) -> int:
        return self.last - self.first + 1


def part_of(headers: Mapping[str, str], size: int, etag: str) -> Part:
    """
    Return what is asked of a file of `size` octets, 1 or more.

    Raises:
        Refusal: code `range_invalid` (416): it begins behind the end.
    """
    whole = Part(0, size - 1, whole=True)
    match = _ONE_RANGE.fullmatch(headers.get("Range", ""))
    if match is None or match.groups() == ("", ""):
        return whole
    if "If-Range" in headers and headers["If-Range"].strip() != etag:
        return whole  # another file by now: all of it
    first, last = match.groups()
    if not first:  # the last so many octets
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last or size - 1), size - 1)
        if last and int(last) < int(first):
            return whole  # no range at all, so it is ignored
    if start > end:
        raise Refusal(
            "range_invalid", f"The file has {size} octets.", headers={"Content-Range": f"bytes */{size}"}
        )
    return Part(start, end, whole=False)


async def send_file(call: Call, file: KeptFile, media_type: str, name: str) -> web.StreamResponse:
    """Send the file, or the part that is asked for; memory holds READ_OCTETS of it."""
    etag = f'"{file.sha256}"'
    opened: IO[bytes] = await asyncio.to_thread(file.path.open, "rb")
    try:
        part = part_of(call.request.headers, file.octets, etag)
        response = web.StreamResponse(status=200 if part.whole else 206)
        response.headers.update(
            {
                **call.headers,
                **NO_STORE,
                "X-Request-Id": call.request[REQUEST_ID],
                "Server": "smsgate",
                "Content-Type": media_type,
                "Content-Length": str(part.octets),
                "Content-Disposition": f'attachment; filename="{name}"',
                "Accept-Ranges": "bytes",
                "ETag": etag,
                "Last-Modified": format_datetime(file.made_at.replace(microsecond=0), usegmt=True),
                "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(file.sha256)).decode()}:",
            }
        )
        if not part.whole:
            response.headers["Content-Range"] = f"bytes {part.first}-{part.last}/{file.octets}"
        await response.prepare(call.request)
        await _stream(call, response, opened, part)
    finally:
        opened.close()
    return response


async def _stream(call: Call, response: web.StreamResponse, opened: IO[bytes], part: Part) -> None:
    """Write the part; a client that leaves or takes nothing ends it, and nobody is told."""
    opened.seek(part.first)
    left = part.octets
    try:
        while left:
            octets = await asyncio.to_thread(opened.read, min(left, READ_OCTETS))
            left -= len(octets)
            async with asyncio.timeout(call.context.settings.stalled_s):
                await response.write(octets)
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        if call.request.transport is not None:
            call.request.transport.abort()
