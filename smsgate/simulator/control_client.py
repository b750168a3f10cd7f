"""Ask a running simulator, as the command line does."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any, Final

import aiohttp

from smsgate.errors import ConfigError, Invalid, NotFound
from smsgate.simulator.phones import InboxMessage

TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)  # it is on this machine


async def fetch_inbox(base_url: str, msisdn: str) -> list[InboxMessage]:
    """
    Return what the phone received, oldest first.

    Raises:
        NotFound: the phone has received nothing.
        Invalid: this is no MSISDN.
        ConfigError: no simulator answers at `base_url`.
    """
    answer = await _ask("GET", base_url, f"/phones/{msisdn}")
    return [
        InboxMessage(
            message["sender"], message["text"], datetime.fromisoformat(message["received_at"]).timestamp()
        )
        for message in answer["messages"]
    ]


async def send_reply(base_url: str, msisdn: str, text: str, to: str | None = None) -> str:
    """
    Type `text` on the phone, to `to` or to whoever wrote to it last; return to whom it went.

    Raises:
        NotFound: no `to`, and nobody wrote to this phone.
        Invalid: no MSISDN, a text that cannot be sent, or a sender that cannot be answered.
        ConfigError: no simulator answers at `base_url`.
    """
    body = {"text": text} if to is None else {"text": text, "to": to}
    answer = await _ask("POST", base_url, f"/phones/{msisdn}/reply", body)
    return str(answer["to"])


async def fetch_stats(base_url: str) -> dict[str, Any]:
    """
    Return the counts of SMSC and phones.

    Raises:
        ConfigError: no simulator answers at `base_url`.
    """
    return await _ask("GET", base_url, "/stats")


def _reason(exc: Exception) -> str:
    """Return what the system said, without the client's own words about certificates that nobody uses."""
    if isinstance(exc, aiohttp.ClientConnectorError):
        errno = exc.os_error.errno
        return f" ({os.strerror(errno) if errno and errno > 0 else 'no connection'})"
    return f" ({str(exc) or type(exc).__name__})"


async def _ask(method: str, base_url: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            async with session.request(method, base_url.rstrip("/") + path, json=body) as response:
                answer = await response.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
        raise ConfigError(
            f"no simulator answers at {base_url}{_reason(exc)}",
            "control",
            "start one with `smsgate smsc`, or give the address that it printed",
        ) from exc
    if not isinstance(answer, dict):
        raise ConfigError(
            f"{base_url} is no simulator", "control", "give the address that `smsgate smsc` printed"
        )
    if response.status >= 400:
        refusal = NotFound if response.status == 404 else Invalid
        raise refusal(str(answer.get("detail", response.reason)), code=str(answer.get("code", "invalid")))
    return answer
