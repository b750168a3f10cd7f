"""The guard's look at campaigns that send: counters of the database, once a second, nothing per message."""

from __future__ import annotations

import structlog

from smsgate.campaigns.guard import GuardLimits, judge
from smsgate.clock import Clock
from smsgate.flows.ports import SendingStore
from smsgate.flows.sending import Pump

log = structlog.get_logger(__name__)


class Guarding:
    def __init__(self, store: SendingStore, pump: Pump, clock: Clock, *, limits: GuardLimits) -> None:
        self._store = store
        self._pump = pump
        self._clock = clock
        self._limits = limits

    async def look(self) -> bool:
        """One step of a loop: pause what passed its limits; look again later."""
        for guarded in await self._store.guarded(self._limits):
            reason = judge(guarded.limits, guarded.counts)
            if reason is None or not await self._store.pause_guarded(guarded, reason, self._clock.now()):
                continue
            log.warning(
                "campaign_paused_by_guard",
                merchant_id=guarded.merchant_id,
                campaign_id=guarded.campaign_id,
                reason=str(reason),
                **guarded.counts._asdict(),
            )
            self._pump.wake_claims.set()
        return False
