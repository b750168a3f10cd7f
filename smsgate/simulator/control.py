"""
HTTP control of a running simulator, on loopback: what a phone got, what a person types on it, the counts.

It knows no users: whoever can reach the port holds every phone. It never listens on other interfaces.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from aiohttp import web

from smsgate.errors import DomainError, Invalid, SmsgateError
from smsgate.msisdn import is_e164
from smsgate.simulator.phones import Phones, Reply

HOST: Final = "127.0.0.1"
BODY_OCTETS_MAX: Final = 64 * 1024  # a text of 255 segments has 40 KiB
STOP_GRACE_S: Final = 2.0


class Control:
    """`send` brings a reply to the SMSC; `stats` returns what `GET /stats` shows."""

    def __init__(
        self, phones: Phones, send: Callable[[Reply], None], stats: Callable[[], dict[str, Any]]
    ) -> None:
        self._phones = phones
        self._send = send
        self._stats = stats
        app = web.Application(client_max_size=BODY_OCTETS_MAX, middlewares=[_refusals])
        app.router.add_get("/phones/{msisdn}", self._inbox)
        app.router.add_post("/phones/{msisdn}/reply", self._reply)
        app.router.add_get("/stats", self._show_stats)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_GRACE_S)

    async def start(self, port: int = 0) -> None:
        """
        Listen on loopback; port 0 takes a free one.

        Raises:
            OSError: the port is taken.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def _inbox(self, request: web.Request) -> web.Response:
        msisdn = _msisdn(request)
        messages = [
            {
                "sender": message.sender,
                "text": message.text,
                "received_at": datetime.fromtimestamp(message.received_at_s, UTC).isoformat(),
            }
            for message in self._phones.inbox(msisdn)
        ]
        return _json({"msisdn": str(msisdn), "messages": messages})

    async def _reply(self, request: web.Request) -> web.Response:
        # A page in a browser on this machine may post forms here, but no JSON without asking first.
        if request.content_type != "application/json":
            raise Invalid("send application/json", http_status=415)
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            raise Invalid("the body is no JSON", http_status=400) from None
        text = body.get("text") if isinstance(body, dict) else None
        if not isinstance(text, str) or not text:
            raise Invalid("`text` is what the phone says", pointer="/text")
        to = body.get("to")
        if to is not None and not isinstance(to, str):
            raise Invalid("`to` is the sender to answer", pointer="/to")
        reply = self._phones.by_hand(_msisdn(request), text, to)
        self._send(reply)
        return _json({"msisdn": str(reply.msisdn), "to": reply.to, "text": reply.text}, status=202)

    async def _show_stats(self, _request: web.Request) -> web.Response:
        return _json(self._stats())


def _msisdn(request: web.Request) -> int:
    text = request.match_info["msisdn"].removeprefix("+")
    if not is_e164(text):
        raise Invalid("write the number as +33612345678 or 33612345678", code="msisdn_invalid")
    return int(text)


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except DomainError as exc:
        return _json({"code": exc.code, "detail": str(exc)}, exc.http_status)
    except SmsgateError as exc:
        return _json({"code": exc.code, "detail": str(exc)}, 422)
