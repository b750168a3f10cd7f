"""
The loop that carries events to shops: claim what is due, have it sent, write down what became of it.

The shop's decision is applied before the delivery is marked, so a crash between the two repeats the event
under the same `webhook-id`; the decision and the shop's own deduplication make the repetition harmless.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from smsgate.clock import Clock
from smsgate.errors import AddressRefused, SmsgateError, StoreError, StoreUnavailable
from smsgate.flows.ports_webhooks import ClaimedDelivery, DeliveriesStore, DueEndpoint, EndpointAnswers
from smsgate.security.addresses import AddressPolicy, check_url
from smsgate.webhooks.courier import ORDER_TYPE, Courier, Outcome, Verdict
from smsgate.webhooks.limits import DeliverySettings
from smsgate.webhooks.pace import Pace

log = structlog.get_logger("smsgate.webhooks")

ENDPOINTS_MAX: Final = 5_000  # endpoints looked at in one round; the others have waited less
SETTLE_MAX: Final = 500  # results written at once
GROUP_S: Final = 0.01  # results that come within this are written together
ROUND_INTERVAL_S: Final = 0.02  # between two rounds of claims, however often they are asked for
ORPHANS_INTERVAL_S: Final = 10.0
KEPT_BACK_S: Final = 0.1  # until a host's rate or a slot may have room again
AWAY_S: Final = 1.0  # wait after the database went away
# Until an endpoint is asked again of which the database refused a result: what was sent is sent once more.
REFUSED_HOLD_S: Final = 60.0


@dataclass(slots=True)
class Totals:
    """Since the start, for metrics."""

    delivered: int = 0
    retried: int = 0
    failed: int = 0
    postponed: int = 0
    refused_addresses: int = 0
    disabled_endpoints: int = 0
    seconds: float = 0.0  # spent waiting for receivers


class Deliveries:
    """Run with `run`, end with `stop`; set `wake` when an event was committed."""

    def __init__(
        self,
        store: DeliveriesStore,
        courier: Courier,
        policy: AddressPolicy,
        clock: Clock,
        *,
        owner: int,
        settings: DeliverySettings,
    ) -> None:
        self._store = store
        self._courier = courier
        self._policy = policy
        self._clock = clock
        self._owner = owner
        self._settings = settings
        self._pace = Pace(settings.concurrency, settings.per_host, settings.per_host_per_s)
        self._attempts: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._settled: list[tuple[str, Outcome]] = []
        self._to_settle = asyncio.Event()
        self._settling = asyncio.Lock()
        self._stopping = False
        self._forgotten = False  # the database may have claims of ours that nobody here answers for
        self._no_more_claims = asyncio.Event()
        self._no_more_claims.set()
        self._stopped = asyncio.Event()
        self.wake = asyncio.Event()
        self.totals = Totals()

    @property
    def in_flight(self) -> int:
        return self._pace.in_flight

    # ------------------------------------------------------------ claims

    async def run(self) -> None:
        """
        Deliver until `stop` is done.

        Raises:
            SmsgateError: no results are written any more; every slot would stay taken, in silence.
        """
        settling = asyncio.create_task(self._settle_all(), name="webhook-settling")
        self._no_more_claims.clear()
        try:
            await _beside(settling, self._claim_all())
            self._no_more_claims.set()
            await _beside(settling, self._stopped.wait())
        finally:
            self._no_more_claims.set()
            for task in (settling, *self._attempts):
                task.cancel()
            await asyncio.gather(settling, return_exceptions=True)

    async def _claim_all(self) -> None:
        orphans_at = 0.0
        while not self._stopping:
            self.wake.clear()
            wait_s = self._settings.poll_s
            try:
                if (now := self._clock.monotonic()) >= orphans_at:
                    orphans_at = now + ORPHANS_INTERVAL_S
                    await self._release_orphans()
                if await self.round():
                    wait_s = min(wait_s, KEPT_BACK_S)
            except StoreError as exc:
                log.warning("webhook_claims_failed", error=str(exc)[:200], code=exc.code)
                wait_s = AWAY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.wake.wait()
            if not self._stopping:
                await asyncio.sleep(ROUND_INTERVAL_S)

    async def _release_orphans(self) -> None:
        if released := await self._store.release_orphans():
            log.info("webhook_claims_taken_over", deliveries=released)

    async def round(self) -> bool:
        """Claim and start what there is room for; True: something due was kept back for want of room."""
        kept_back = False
        await self._give_back_forgotten()
        for endpoint in await self._store.due(self._clock.now(), ENDPOINTS_MAX):
            key, host = (endpoint.merchant_id, endpoint.endpoint_id), self._host(endpoint.url)
            now = self._clock.monotonic()
            if self._stopping or self._pace.held(key, now):
                continue
            room = self._pace.room(host, key, now)
            if room == 0:
                kept_back = True
                continue
            try:
                claims = await self._store.claim(*key, owner=self._owner, limit=room, now=self._clock.now())
            except StoreUnavailable:
                self._forgotten = True  # it may have been committed
                raise
            if claims:
                self._pace.started(host, endpoint.merchant_id, len(claims), self._clock.monotonic())
            for claim in claims:
                task = asyncio.create_task(self._attempt(endpoint, host, claim), name="webhook-attempt")
                self._attempts[task] = claim
                task.add_done_callback(self._forget)
        return kept_back

    async def _give_back_forgotten(self) -> None:
        """Give back the claims whose commit was not seen: while this process lives, nobody else would."""
        if not self._forgotten:
            return
        self._forgotten = False  # before the statement: what is forgotten meanwhile needs another one
        held = [*self._attempts.values(), *(outcome.claim for _, outcome in self._settled)]
        try:
            released = await self._store.release_forgotten(held, owner=self._owner)
        except StoreError:
            self._forgotten = True
            raise
        if released:
            log.warning("webhook_claims_given_back", deliveries=released)

    def _host(self, url: str) -> str:
        """Return the host whose bounds count; URLs that are refused by now share one entry."""
        try:
            return check_url(url, self._policy).host
        except AddressRefused:
            return ""

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._attempts.pop(task, None)

    async def _attempt(self, endpoint: DueEndpoint, host: str, claim: ClaimedDelivery) -> None:
        key = (claim.merchant_id, claim.endpoint_id)
        try:
            outcome = await self._courier.deliver(endpoint, claim)
        except Exception:  # whatever it is, the claim must end and its slot come free
            log.exception("webhook_postponed", merchant_id=claim.merchant_id, endpoint_id=claim.endpoint_id)
            outcome = self._courier.postponed(claim)
        match outcome.verdict:
            case Verdict.DELIVERED:
                self._pace.succeeded(key)
            case Verdict.RETRY | Verdict.FAILED:
                self._pace.failed(key, self._clock.monotonic(), outcome.retry_after_s)
            case Verdict.POSTPONED:
                pass
        self._settled.append((host, outcome))
        self._to_settle.set()

    # ------------------------------------------------------------ results

    async def _settle_all(self) -> None:
        while True:
            await self._to_settle.wait()
            await asyncio.sleep(GROUP_S)
            await self.settle()

    async def settle(self) -> None:
        """Write the results that are there; while the database is away, again until it is back."""
        async with self._settling:
            self._to_settle.clear()
            batch = self._settled[:SETTLE_MAX]
            if not batch:
                return
            refused = await self._write_all([outcome for _, outcome in batch])
            del self._settled[: len(batch)]
            if self._settled:
                self._to_settle.set()
            for claim in refused:  # given back and sent again: late, never lost
                key = (claim.merchant_id, claim.endpoint_id)
                self._pace.failed(key, self._clock.monotonic(), REFUSED_HOLD_S)
                self._forgotten = True
            for host, outcome in batch:
                self._pace.ended(host, outcome.claim.merchant_id)
        self._count([outcome for _, outcome in batch])
        self.wake.set()

    async def _write_all(self, outcomes: Sequence[Outcome]) -> list[ClaimedDelivery]:
        """Write results, one by one if the database refuses them together; return what it still refuses."""
        while True:
            try:
                await self._write(outcomes)
            except StoreUnavailable as exc:
                log.warning("webhook_results_wait", deliveries=len(outcomes), error=str(exc)[:200])
                await asyncio.sleep(AWAY_S)
            except StoreError as exc:
                log.error("webhook_results_refused", deliveries=len(outcomes), error=str(exc)[:200])
                break
            else:
                return []
        if len(outcomes) == 1:
            return [outcomes[0].claim]
        return [claim for outcome in outcomes for claim in await self._write_all([outcome])]

    async def _write(self, outcomes: Sequence[Outcome]) -> None:
        await self._store.settle(
            [outcome.result for outcome in outcomes],
            answers_of(outcomes),
            owner=self._owner,
            at=self._clock.now(),
        )
        for outcome in outcomes:
            if outcome.disable:
                claim = outcome.claim
                await self._store.disable(claim.merchant_id, claim.endpoint_id, outcome.disable)

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        counts = Counter(outcome.verdict for outcome in outcomes)
        disabled = sum(1 for outcome in outcomes if outcome.disable)
        refused = sum(1 for outcome in outcomes if outcome.refused)
        totals = self.totals
        totals.delivered += counts[Verdict.DELIVERED]
        totals.retried += counts[Verdict.RETRY]
        totals.failed += counts[Verdict.FAILED]
        totals.postponed += counts[Verdict.POSTPONED]
        totals.disabled_endpoints += disabled
        totals.refused_addresses += refused
        totals.seconds += sum(outcome.elapsed_s for outcome in outcomes)
        log.info(
            "webhooks_attempted",
            **{verdict.value: counts[verdict] for verdict in Verdict},
            disabled=disabled,
            refused_addresses=refused,
            slowest_s=round(max(outcome.elapsed_s for outcome in outcomes), 3),
            in_flight=self._pace.in_flight,
        )

    # ------------------------------------------------------------ stopping

    async def stop(self, grace_s: float = 5.0) -> None:
        """Start nothing more, wait `grace_s` for answers, give the other claims back; `run` returns then."""
        self._stopping = True
        self.wake.set()
        await self._no_more_claims.wait()
        if self._attempts:
            await asyncio.wait(set(self._attempts), timeout=grace_s)
        parked = list(self._attempts.values())
        for attempt in self._attempts:
            attempt.cancel()
        if self._attempts:
            await asyncio.wait(set(self._attempts))
        try:
            async with asyncio.timeout(grace_s):
                while self._settled:
                    await self.settle()
                await self._store.release(parked, owner=self._owner)
        except (StoreError, TimeoutError) as exc:
            log.warning("webhooks_not_released", error=str(exc)[:200])
        log.info("webhooks_parked", deliveries=len(parked))
        self._stopped.set()


def answers_of(outcomes: Sequence[Outcome]) -> list[EndpointAnswers]:
    """Return what attempts have shown of each endpoint."""
    found: dict[tuple[int, int], EndpointAnswers] = {}
    for outcome in outcomes:
        claim = outcome.claim
        key = (claim.merchant_id, claim.endpoint_id)
        seen = found.setdefault(key, EndpointAnswers(*key))
        if outcome.verdict is Verdict.DELIVERED:
            seen.took = True
            seen.took_order |= claim.event.type == ORDER_TYPE
        elif outcome.verdict is not Verdict.POSTPONED:
            seen.failures += 1
    return list(found.values())


async def _beside(settling: asyncio.Task[None], work: Coroutine[Any, Any, object]) -> None:
    """
    Do `work` while `settling` lives.

    Raises:
        SmsgateError: `settling`, which is endless, ended before the work did.
    """
    working = asyncio.create_task(work, name="webhook-claiming")
    try:
        done, _ = await asyncio.wait({working, settling}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        # Its error is raised below; one that comes of the cancellation is nobody's.
        await asyncio.gather(working, return_exceptions=True)
    if settling in done:
        cause = None if settling.cancelled() else settling.exception()
        raise SmsgateError(f"the writing of webhook results ended: {cause!r}") from cause
    working.result()
