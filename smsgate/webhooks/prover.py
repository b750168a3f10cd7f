"""Before the first event the endpoint must give a challenge back: nobody is made to receive our events."""

from __future__ import annotations

import secrets
from datetime import UTC
from typing import Final

import orjson

from smsgate.clock import Clock
from smsgate.security.compare import same
from smsgate.security.webhook_signatures import signed_headers
from smsgate.webhooks.client import NoAnswer, WebhookClient

CHALLENGE_OCTETS: Final = 24
TYPE: Final = "endpoint.challenge"


class ChallengeProver:
    """Implements `flows.ports_commerce.EndpointProver`."""

    def __init__(self, client: WebhookClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def prove(self, *, url: str, secret: str, endpoint: str) -> str | None:
        """Return None when the receiver gave the challenge back, else one sentence why not."""
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
        answer = await self._client.post(url, body, headers)
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
