"""Before the first event the endpoint must give a challenge back: nobody is made to receive our events."""

from __future__ import annotations

import secrets
from datetime import UTC
from typing import Final

import orjson

from smsgate.clock import Clock
from smsgate.errors import TooSoon
from smsgate.security.compare import same
from smsgate.security.webhook_signatures import signed_headers
from smsgate.webhooks.client import NoAnswer, WebhookClient
from smsgate.webhooks.pace import Pace

CHALLENGE_OCTETS: Final = 24
TYPE: Final = "endpoint.challenge"
# Of one process. An endpoint is made once, and whoever receives a challenge has not asked for it.
AT_ONCE_MAX: Final = 8  # a quarter of them, two, of one merchant
PER_HOST_MAX: Final = 2
PER_HOST_PER_S: Final = 2
WAIT_S: Final = 1.0  # until there may be room again


class ChallengeProver:
    """
    Implements `flows.ports_commerce.EndpointProver`.

    The client should be its own: a name that is never answered holds a lookup thread for half a minute, and
    anybody may ask for such a one.
    """

    def __init__(self, client: WebhookClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._pace = Pace(AT_ONCE_MAX, PER_HOST_MAX, PER_HOST_PER_S)

    async def prove(self, *, merchant_id: int, host: str, url: str, secret: str, endpoint: str) -> str | None:
        """
        Return None when the receiver gave the challenge back, else one sentence why not.

        Raises:
            TooSoon: so many are tried already, or looked up, or so many of this merchant have failed.
        """
        pace, key = self._pace, (merchant_id, 0)  # all that a merchant tries fails together
        now = self._clock.monotonic()
        if (held_s := pace.held_s(key, now)) > 0:
            raise TooSoon("The endpoints that were tried last all failed; try again later.", held_s)
        if not pace.room(host, key, now):
            raise TooSoon("Other endpoints are being tried; try again in a moment.", WAIT_S)
        pace.started(host, merchant_id, 1, now)
        try:
            refusal = await self._ask(merchant_id, url, secret, endpoint)
        finally:
            pace.ended(host, merchant_id)
        if refusal is None:
            pace.succeeded(key)
        else:
            pace.failed(key, self._clock.monotonic())
        return refusal

    async def _ask(self, merchant_id: int, url: str, secret: str, endpoint: str) -> str | None:
        challenge = secrets.token_urlsafe(CHALLENGE_OCTETS)
        now = self._clock.now()
        body = orjson.dumps(
            {
                "type": TYPE,
                "timestamp": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "data": {"challenge": challenge, "endpoint": endpoint},
            }
        )
        headers = signed_headers([secret], f"chl_{secrets.token_hex(11)}", int(now.timestamp()), body)
        answer = await self._client.post(url, body, headers, merchant_id=merchant_id)
        if isinstance(answer, NoAnswer) and answer.unasked:
            raise TooSoon("The names of other endpoints are being looked up; try again in a moment.", WAIT_S)
        if isinstance(answer, NoAnswer):
            return f"The endpoint could not be asked: {answer.reason}."
        if not 200 <= answer.status < 300:
            return f"The endpoint answered {answer.status} to the challenge; 2xx is expected."
        try:
            given = orjson.loads(answer.body)
        except ValueError:
            given = None
        value = given.get("challenge") if isinstance(given, dict) else None
        if not isinstance(value, str) or not same(value.encode(), challenge.encode()):
            return 'The endpoint must answer the challenge with JSON: {"challenge": "<data.challenge>"}.'
        return None
