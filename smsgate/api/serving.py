"""The listening socket, and aiohttp's server behind it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from smsgate.api.around import AROUND
from smsgate.api.connections import Connections, GuardedConnection
from smsgate.api.context import CONTEXT

BACKLOG: Final = 1_024  # connections that the kernel holds while the loop is busy
LINGERING_S: Final = 3.0  # a refused body is read on, so that its sender sees the answer and not a reset
SHUTDOWN_TIMEOUT_S: Final = 10.0  # for requests that run when the server stops


_log = logging.getLogger("smsgate.http")
# What is no HTTP is answered 400 and is the peer's fault: anybody could fill the log with tracebacks.
_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))


class Serving:
    """A server that listens; `port` is the one it got."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server, connections: Connections) -> None:
        self._runner = runner
        self._server = server
        self.connections = connections
        self.port: int = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no new connections, let running requests end, close."""
        self._server.close()
        with contextlib.suppress(TimeoutError):
            await self._runner.cleanup()


async def serve(app: web.Application, host: str, port: int, *, port_shared: bool = False) -> Serving:
    """
    Listen on `host`:`port` (0: any free one) and serve `app`.

    `port_shared`: others of the same user who say so may listen there, too; the kernel deals connections out.

    Raises:
        OSError: the address is in use or not ours.
    """
    settings = app[CONTEXT].settings
    connections = Connections(settings)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        keepalive_timeout=settings.idle_timeout_s,
        auto_decompress=False,
        lingering_time=LINGERING_S,
        logger=_log,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
    )
    await runner.setup()
    inner = runner.server
    assert inner is not None
    inner.request_handler = app[AROUND].of(inner.request_handler)
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(
            lambda: GuardedConnection(inner(), connections),
            host,
            port,
            backlog=BACKLOG,
            reuse_address=True,
            reuse_port=port_shared,
        )
    except OSError:
        await runner.cleanup()
        raise
    return Serving(runner, server, connections)
