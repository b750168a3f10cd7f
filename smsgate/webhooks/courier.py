"""One attempt to deliver one event: signed, sent, its answer read, the shop's decision handed on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

import orjson
import structlog

from smsgate.clock import Clock
from smsgate.flows.events import cloud_event_body
from smsgate.flows.orders import ShopAnswer
from smsgate.flows.ports_webhooks import ClaimedDelivery, DataKeys, DeliveryResult, DueEndpoint
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.security.webhook_signatures import signed_headers
from smsgate.webhooks.client import Answer, NoAnswer, WebhookClient
from smsgate.webhooks.schedule import next_attempt, read_retry_after

log = structlog.get_logger("smsgate.webhooks")

OUR_FAULT_DELAY_S: Final = 30.0  # an attempt that failed on our side is repeated, and not counted
ERROR_TEXT_MAX: Final = 1_024  # characters of `last_error`, shown to the merchant
BODY_SHOWN: Final = 512  # octets of a refusing answer, escaped
GONE: Final = 410
ORDER_TYPE: Final = "order.created"  # hands over an order; its answer may hold the shop's decision
TABLE: Final = "webhook_endpoint"


class ShopAnswers(Protocol):
    """Where a decision in the answer to an event goes (`flows.orders.Orders`); must be idempotent."""

    async def apply_shop_answer(self, merchant_id: int, order: int | str, answer: object) -> ShopAnswer: ...


class Verdict(StrEnum):
    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"  # the last attempt, or 410
    POSTPONED = "postponed"  # our side's fault, not counted


@dataclass(frozen=True, slots=True)
class Outcome:
    claim: ClaimedDelivery
    verdict: Verdict
    result: DeliveryResult
    elapsed_s: float = 0.0
    retry_after_s: float | None = None
    refused: bool = False  # by our own table of addresses
    disable: str = ""  # why the endpoint gets nothing more


class Courier:
    def __init__(
        self,
        client: WebhookClient,
        keys: DataKeys,
        answers: ShopAnswers,
        public_ids: PublicIds,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._client = client
        self._keys = keys
        self._answers = answers
        self._public_ids = public_ids
        self._clock = clock
        self._random = random

    async def deliver(self, endpoint: DueEndpoint, claim: ClaimedDelivery) -> Outcome:
        """
        Make one attempt.

        Raises:
            SealBroken: the endpoint's secret does not open.
            StoreError: the shop's decision could not be written; the event must be sent again.
        """
        body = cloud_event_body(claim.event, claim.merchant_id, self._public_ids)
        secrets = await self._secrets(endpoint)
        event_id = self._public_ids.encode(Kind.EVENT, claim.event.event_id)
        headers = signed_headers(secrets, event_id, int(self._clock.now().timestamp()), body)
        answer = await self._client.post(endpoint.url, body, headers, merchant_id=claim.merchant_id)
        now = self._clock.now()
        if isinstance(answer, NoAnswer):
            return self._no_answer(claim, answer, now)
        if 200 <= answer.status < 300:
            note = await self._decide(claim, answer)
            result = _result(claim, "delivered", now, answer.status, note, delivered_at=now)
            return Outcome(claim, Verdict.DELIVERED, result, answer.elapsed_s)
        return self._refused(claim, answer, now)

    def postponed(
        self,
        claim: ClaimedDelivery,
        reason: str = "the gateway could not complete this attempt and will repeat it",
    ) -> Outcome:
        """Return the outcome of an attempt that broke on our side."""
        result = DeliveryResult(
            merchant_id=claim.merchant_id,
            event_id=claim.event.event_id,
            endpoint_id=claim.endpoint_id,
            state="pending",
            attempts=claim.attempts,
            next_attempt_at=self._clock.now() + timedelta(seconds=OUR_FAULT_DELAY_S),
            last_status=None,
            last_error=reason,
            delivered_at=None,
        )
        return Outcome(claim, Verdict.POSTPONED, result)

    async def _secrets(self, endpoint: DueEndpoint) -> Sequence[str]:
        """
        Return the secrets that sign now, the new one first.

        Raises:
            SealBroken: they do not open: the master key is another one, or the row is damaged.
        """
        columns = [("secret", endpoint.secret)]
        until = endpoint.previous_until
        if endpoint.previous_secret is not None and until is not None and until > self._clock.now():
            columns.append(("previous_secret", endpoint.previous_secret))
        await self._keys.ensure(endpoint.merchant_id, [sealed for _, sealed in columns])
        return [
            self._keys.open(
                sealed,
                table=TABLE,
                merchant_id=endpoint.merchant_id,
                row_id=endpoint.endpoint_id,
                column=column,
            ).decode("ascii")
            for column, sealed in columns
        ]

    async def _decide(self, claim: ClaimedDelivery, answer: Answer) -> str:
        """Hand on the decision of a shop that answers an order at once; return a note for the merchant."""
        if claim.event.type != ORDER_TYPE or not answer.body:
            return ""
        if not answer.whole:
            return "delivered; the answer was too long to hold a decision"
        try:
            decision = orjson.loads(answer.body)
        except ValueError:
            return ""  # "ok", a page, nothing: the shop decides by the API
        outcome = await self._answers.apply_shop_answer(claim.merchant_id, claim.event.subject, decision)
        if outcome is ShopAnswer.REFUSED:
            return (
                "delivered; the decision in the answer is not possible in the order's state, or not readable"
            )
        return ""

    def _no_answer(self, claim: ClaimedDelivery, answer: NoAnswer, now: datetime) -> Outcome:
        if answer.unasked:
            return self.postponed(claim, answer.reason)
        if answer.refused:
            log.warning(
                "ssrf_blocked",
                merchant_id=claim.merchant_id,
                endpoint_id=claim.endpoint_id,
                reason=answer.reason,
            )
        return self._failed(
            claim, now, None, answer.reason, elapsed_s=answer.elapsed_s, refused=answer.refused
        )

    def _refused(self, claim: ClaimedDelivery, answer: Answer, now: datetime) -> Outcome:
        error = f"answered {answer.status}"
        if 300 <= answer.status < 400:
            error += ", and redirects are not followed"
        elif answer.body:
            error += f": {shown(answer.body)}"
        if answer.status == GONE:
            result = _result(claim, "failed", now, GONE, error)
            return Outcome(
                claim, Verdict.FAILED, result, answer.elapsed_s, disable="the endpoint answered 410 Gone"
            )
        return self._failed(
            claim,
            now,
            answer.status,
            error,
            elapsed_s=answer.elapsed_s,
            retry_after_s=read_retry_after(answer.retry_after, now),
        )

    def _failed(
        self,
        claim: ClaimedDelivery,
        now: datetime,
        status: int | None,
        error: str,
        *,
        elapsed_s: float,
        retry_after_s: float | None = None,
        refused: bool = False,
    ) -> Outcome:
        again_at = next_attempt(claim.attempts + 1, now, self._random, retry_after_s)
        state, verdict = ("failed", Verdict.FAILED) if again_at is None else ("pending", Verdict.RETRY)
        result = _result(claim, state, again_at or now, status, error)
        return Outcome(claim, verdict, result, elapsed_s, retry_after_s, refused)


def shown(body: bytes) -> str:
    """Return the beginning of a stranger's answer as harmless text."""
    text = body[:BODY_SHOWN].decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _result(
    claim: ClaimedDelivery,
    state: str,
    next_attempt_at: datetime,
    status: int | None,
    error: str,
    delivered_at: datetime | None = None,
) -> DeliveryResult:
    return DeliveryResult(
        merchant_id=claim.merchant_id,
        event_id=claim.event.event_id,
        endpoint_id=claim.endpoint_id,
        state=state,
        attempts=claim.attempts + 1,
        next_attempt_at=next_attempt_at,
        last_status=status,
        last_error=error[:ERROR_TEXT_MAX],
        delivered_at=delivered_at,
    )
