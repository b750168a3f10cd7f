"""
A shop that receives signed webhooks, verifies them, counts what it sees and confirms orders.

It does what a careful shop does: the signature first, each webhook-id once, the same answer to a repetition.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import aiohttp
import orjson
from aiohttp import web

from smsgate.clock import Clock, SystemClock
from smsgate.errors import SignatureInvalid
from smsgate.security.webhook_signatures import check_secret, verify

PATH: Final = "/webhooks"
BODY_OCTETS_MAX: Final = 1024 * 1024  # an event has some KiB
RECEIVED_MAX: Final = 100_000  # events kept to look at, the last ones; the counts are of all
WEBHOOK_IDS_MAX: Final = (
    1_000_000  # ids kept against repetition, some 300 MB: more than any retry schedule needs
)
CONFIRM_QUEUE_MAX: Final = (
    10_000  # orders to confirm later; when full the webhook is refused, and comes again
)
EVENTS_MAX: Final = 1_000_000  # (type, subject) pairs counted, some 300 MB; a full shop answers 503
CONFIRM_TRIES: Final = 6
CONFIRM_BACKOFF_S: Final = 0.2  # doubles with every try
CONFIRM_TIMEOUT: Final = aiohttp.ClientTimeout(total=10.0)
STOP_GRACE_S: Final = 1.0

ORDER_CREATED: Final = "order.created"
CHALLENGE: Final = "endpoint.challenge"

Decision = Literal["in_response", "later", "none"]
# error: 500. hang: no answer. lost_answer: the event is taken, then no answer: the sender cannot know.
Failure = Literal["error", "hang", "lost_answer"]


@dataclass(slots=True)
class ShopSettings:
    """
    `decision`: orders are confirmed in the webhook's answer, by the gateway's API later, or not at all.

    `secrets` verify webhooks. While there are none the shop is about to register: it answers a challenge that
    it cannot verify yet, and nothing else. "later" needs `api_url` and `api_key`. All but host and port may
    be set while the shop runs.
    """

    secrets: list[str] = field(default_factory=list)
    decision: Decision = "in_response"
    api_url: str = ""
    api_key: str = ""
    confirm_delay_s: float = 0.0
    host: str = "127.0.0.1"
    port: int = 0


class ShopEvent(NamedTuple):
    webhook_id: str
    type: str
    subject: str  # of order events: the order's public id
    body: dict[str, Any]


class Shop:
    """Start it, register `url` at the gateway, `learn` the secret, read the counts, stop it."""

    def __init__(self, settings: ShopSettings | None = None, *, clock: Clock | None = None) -> None:
        self.settings = settings or ShopSettings()
        self.received: deque[ShopEvent] = deque(maxlen=RECEIVED_MAX)  # verified, without repetitions
        self.events: Counter[tuple[str, str]] = Counter()  # (type, subject) -> distinct webhooks verified
        self.by_type: Counter[str] = Counter()
        self.repeated = 0  # verified, with a webhook-id that was here before
        self.forged = 0
        self.forged_reasons: Counter[str] = Counter()
        self.unreadable = 0  # verified, but no event
        self.failed = 0  # told to fail
        self.challenges = 0
        self.order_refs: dict[str, str] = {}  # order id -> the shop's own number
        self.confirmed_in_response = 0
        self.confirmed_by_api = 0
        self.confirm_failures: list[str] = []  # order ids that the API did not take in CONFIRM_TRIES
        self._clock = clock or SystemClock()
        self._answers: OrderedDict[str, tuple[int, bytes]] = OrderedDict()  # by webhook-id
        self._failure: Failure | None = None
        self._failure_until = 0.0
        self._stopping = asyncio.Event()
        self._to_confirm: asyncio.Queue[str] = asyncio.Queue(CONFIRM_QUEUE_MAX)
        self._worker: asyncio.Task[None] | None = None
        app = web.Application(client_max_size=BODY_OCTETS_MAX)
        app.router.add_post(PATH, self._webhook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_GRACE_S)

    # -- life

    async def start(self) -> None:
        """
        Listen.

        Raises:
            OSError: the address is taken or not ours.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, self.settings.host, self.settings.port).start()
        self._worker = asyncio.create_task(self._confirm_all(), name="shop-confirms")

    async def stop(self) -> None:
        """Close; orders that wait to be confirmed by the API stay unconfirmed."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://{self.settings.host}:{self._runner.addresses[0][1]}{PATH}"

    def learn(self, secret: str) -> None:
        """
        Verify webhooks with this secret too: after registration, and after a rotation.

        Raises:
            ConfigError: it is no webhook secret.
        """
        check_secret(secret)
        self.settings.secrets.append(secret)

    # -- what a test or a story asks

    def fail(self, failure: Failure, for_s: float) -> None:
        """Fail every webhook for a while, or until `recover`."""
        self._failure = failure
        self._failure_until = self._clock.monotonic() + for_s

    def recover(self) -> None:
        self._failure = None

    @property
    def verified_once(self) -> int:
        """How many order.created events came in exactly one verified webhook, repetitions apart."""
        return sum(n == 1 for (type_, _), n in self.events.items() if type_ == ORDER_CREATED)

    @property
    def verified_more(self) -> int:
        """How many order.created events came under several webhook-ids: must be 0."""
        return sum(n > 1 for (type_, _), n in self.events.items() if type_ == ORDER_CREATED)

    @property
    def confirmed(self) -> int:
        return self.confirmed_in_response + self.confirmed_by_api

    def stats(self) -> dict[str, Any]:
        return {
            "events": dict(sorted(self.by_type.items())),
            "verified_once": self.verified_once,
            "verified_more": self.verified_more,
            "repeated": self.repeated,
            "forged": self.forged,
            "unreadable": self.unreadable,
            "failed": self.failed,
            "challenges": self.challenges,
            "confirmed": self.confirmed,
            "confirm_failures": len(self.confirm_failures),
        }

    # -- webhooks

    async def _webhook(self, request: web.Request) -> web.Response:
        body = await request.read()
        failure = self._failing()
        if failure is not None and failure != "lost_answer":
            self.failed += 1
            if failure == "hang":
                await self._stopping.wait()
            return web.Response(status=500)
        try:
            webhook_id = verify(self.settings.secrets, request.headers, body, self._clock.now().timestamp())
        except SignatureInvalid as exc:
            challenge = None if self.settings.secrets else _challenge(body)
            if challenge is not None:
                self.challenges += 1
                return _json(200, {"challenge": challenge})
            self.forged += 1
            self.forged_reasons[exc.reason] += 1
            return _json(401, {"reason": exc.reason})
        known = self._answers.get(webhook_id)
        if known is not None:
            self.repeated += 1
        status, answer = known or self._take(webhook_id, body)
        if failure == "lost_answer":
            self.failed += 1
            await self._stopping.wait()
        return web.Response(status=status, body=answer, content_type="application/json")

    def _failing(self) -> Failure | None:
        if self._failure is not None and self._clock.monotonic() >= self._failure_until:
            self._failure = None
        return self._failure

    def _take(self, webhook_id: str, body: bytes) -> tuple[int, bytes]:
        """Take a verified webhook that is new; return status and body of the answer."""
        challenge = _challenge(body)
        if challenge is not None:
            self.challenges += 1
            return 200, orjson.dumps({"challenge": challenge})
        try:
            event = orjson.loads(body)
            type_, _ = str(event["type"]), event["data"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self.unreadable += 1
            return 400, b"{}"
        if len(self.events) >= EVENTS_MAX:
            return 503, b"{}"
        subject = _subject(event)
        answer = self._decide(type_, subject)
        if answer[0] >= 300:
            return answer
        self.received.append(ShopEvent(webhook_id, type_, subject, event))
        self.events[type_, subject] += 1
        self.by_type[type_] += 1
        self._answers[webhook_id] = answer
        if len(self._answers) > WEBHOOK_IDS_MAX:
            self._answers.popitem(last=False)
        return answer

    def _decide(self, type_: str, order_id: str) -> tuple[int, bytes]:
        if type_ != ORDER_CREATED or self.settings.decision == "none":
            return 200, b"{}"
        if self.settings.decision == "later":
            try:
                self._to_confirm.put_nowait(order_id)
            except asyncio.QueueFull:
                return 503, b"{}"
            return 202, b"{}"
        if order_id not in self.order_refs:
            self.confirmed_in_response += 1
        return 200, orjson.dumps({"decision": "confirm", "order_ref": self._order_ref(order_id)})

    def _order_ref(self, order_id: str) -> str:
        return self.order_refs.setdefault(order_id, f"B-{len(self.order_refs) + 1}")

    # -- confirming later

    async def _confirm_all(self) -> None:
        async with aiohttp.ClientSession(timeout=CONFIRM_TIMEOUT) as session:
            while True:
                order_id = await self._to_confirm.get()
                await asyncio.sleep(self.settings.confirm_delay_s)
                if await self._confirm(session, order_id):
                    self.confirmed_by_api += 1
                else:
                    self.confirm_failures.append(order_id)

    async def _confirm(self, session: aiohttp.ClientSession, order_id: str) -> bool:
        """Confirm one order; a refusal (4xx) is final, anything else is tried again."""
        url = f"{self.settings.api_url.rstrip('/')}/v1/orders/{order_id}/confirm"
        headers = {
            "Authorization": f"Bearer {self.settings.api_key}",
            "Idempotency-Key": f"confirm-{order_id}",  # the same on every try
        }
        body = {"order_ref": self._order_ref(order_id)}
        for attempt in range(CONFIRM_TRIES):
            if attempt:
                await asyncio.sleep(CONFIRM_BACKOFF_S * 2 ** (attempt - 1))
            try:
                async with session.post(url, json=body, headers=headers) as response:
                    if response.status < 300:
                        return True
                    if 400 <= response.status < 500 and response.status not in {409, 429}:
                        return False
            except (aiohttp.ClientError, TimeoutError):
                continue
        return False


def _subject(event: dict[str, Any]) -> str:
    """Return what an event is about: `subject` of CloudEvents, or the order that the data names."""
    data = event["data"]
    named = data.get("order") if isinstance(data, dict) else None
    return str(event.get("subject") or named or "")


def _challenge(body: bytes) -> str | None:
    """Return what a new endpoint must give back to prove that it is ours; None for any other body."""
    try:
        event = orjson.loads(body)
        return str(event["data"]["challenge"]) if event["type"] == CHALLENGE else None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _json(status: int, value: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")
