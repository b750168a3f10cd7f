"""What every answer bears, whoever writes it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

REQUEST_ID: Final = web.RequestKey("request_id", str)
NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
