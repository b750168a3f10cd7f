"""
The open connections: how many, and how long each may say nothing.

aiohttp alone holds a half header as long as its keep-alive time and counts no connections, so each of its
protocols stands behind a `GuardedConnection`.
"""

from __future__ import annotations

import asyncio
import sys
import termios
from collections import Counter
from contextlib import suppress
from fcntl import ioctl
from typing import cast

from aiohttp import web

from smsgate.api.limits import ApiSettings


class Connections:
    """The open connections, counted in all and by source address."""

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        self.total = 0
        self.by_source: Counter[str] = Counter()
        self.refused = 0

    def open(self, source: str) -> bool:
        """Count a connection in, unless a limit is reached."""
        if self.total >= self.settings.connections_max or (
            self.by_source[source] >= self.settings.connections_per_source_max
        ):
            self.refused += 1
            return False
        self.total += 1
        self.by_source[source] += 1
        return True

    def close(self, source: str) -> None:
        self.total -= 1
        self.by_source[source] -= 1
        if not self.by_source[source]:
            del self.by_source[source]


class GuardedConnection(asyncio.Protocol):
    """One connection: aiohttp's protocol inside, deadlines for silence and for a header outside."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._source: str | None = None  # set once it is counted
        # The loop's seconds at which the connection ends; None: a request runs.
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None  # of the next look at that
        self._in_header = False
        self._header_waits = False  # it began while an answer left, and has its time from the end of that
        self._requests = 0
        self._leaving = 0  # octets of answers that were still to be taken at the last look

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        ours = cast("asyncio.Transport", transport)  # uvloop's is none by class
        peer = ours.get_extra_info("peername")
        source = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._connections.open(source):
            ours.abort()
            return
        self._source = source
        self._transport = ours
        self._inner.connection_made(transport)
        self._arm(self._connections.settings.idle_timeout_s)

    def data_received(self, data: bytes) -> None:
        if self._source is None or self._transport is None:
            return
        if not self._requests and not self._in_header:
            self._header_waits = self._transport.get_write_buffer_size() > 0
            if not self._header_waits:
                self._begin_header()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._source is not None else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._source is None:
            return
        self._disarm()
        if self._timer is not None:
            self._timer.cancel()
        self._connections.close(self._source)
        self._inner.connection_lost(exc)

    def request_began(self) -> None:
        """A header is complete: from here the request's own deadlines count."""
        self._requests += 1
        self._in_header = self._header_waits = False
        self._leaving = 0
        self._disarm()

    def request_ended(self) -> None:
        self._requests -= 1
        if not self._requests and self._transport is not None and not self._transport.is_closing():
            self._arm(self._connections.settings.idle_timeout_s)

    def _begin_header(self) -> None:
        self._in_header = True
        self._arm(self._connections.settings.header_timeout_s)

    def _arm(self, seconds: float) -> None:
        """
        Let the connection end when `seconds` go by.

        A timer that fires before that is left alone, and looks again then: each request would make two.
        """
        loop = asyncio.get_running_loop()
        self._until = loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._until:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_at(self._until, self._look)

    def _disarm(self) -> None:
        self._until = None

    def _look(self) -> None:
        self._timer = None
        if self._until is None or self._transport is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._until:
            self._timer = loop.call_at(self._until, self._look)
        elif self._in_header or not self._goes_on(_leaving(self._transport)):
            self._transport.abort()

    def _goes_on(self, leaving: int) -> bool:
        """
        Let a client take what is written for it, at its own pace; return whether it does.

        A request ends when its answer is made, and a large one leaves after that.
        """
        before, self._leaving = self._leaving, leaving
        if leaving:
            self._arm(self._connections.settings.stalled_s)
            return not before or leaving < before
        if self._header_waits:
            self._begin_header()
            return True
        if before:
            self._arm(self._connections.settings.idle_timeout_s)
        return before > 0


def _leaving(transport: asyncio.Transport) -> int:
    """Return the octets that the peer has not taken; the kernel holds megabytes, a slow one's for minutes."""
    octets = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError, ValueError):  # it does not tell, or the socket is closed
            held = ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
            octets += int.from_bytes(held, sys.byteorder)
    return octets


def connection_of(request: web.Request) -> GuardedConnection | None:
    """Return the guard of the request's connection; None when the application is served in another way."""
    transport = request.transport
    protocol = transport.get_protocol() if transport is not None else None
    return protocol if isinstance(protocol, GuardedConnection) else None
