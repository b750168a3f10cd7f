"""What handlers find in the application beside the context."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from smsgate.api.auth import Authenticator

AUTHENTICATOR: Final = web.AppKey("authenticator", Authenticator)
