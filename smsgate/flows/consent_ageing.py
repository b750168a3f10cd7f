"""Consent that ends or comes back by time alone: pauses, unanswered questions, years without contact."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

import structlog

from smsgate.campaigns.consent import IDLE_YEARS_MAX, PENDING_DAYS_MAX
from smsgate.clock import Clock

log = structlog.get_logger(__name__)

PEOPLE_MAX: Final = 1_000  # of one merchant in one transaction
# Who was silent is found by reading everybody, and of three years an hour more is nothing.
IDLE_INTERVAL: Final = timedelta(hours=1)
YEAR: Final = timedelta(days=365.25)


class Ageing(StrEnum):
    RESUME = "resume"  # the pause's date has come
    QUESTION_EXPIRED = "question_expired"
    IDLE = "idle"  # no word from the person for years (CNIL; `consent.IDLE_YEARS_MAX`)


AGES: Final = {
    Ageing.RESUME: timedelta(0),
    Ageing.QUESTION_EXPIRED: timedelta(days=PENDING_DAYS_MAX),
    Ageing.IDLE: IDLE_YEARS_MAX * YEAR,
}


class ConsentAgeingStore(Protocol):
    async def age(self, ageing: Ageing, before: datetime, now: datetime, people_max: int) -> int:
        """
        Take one event for up to `people_max` people whose time came before `before`; return how many.

        Log, state and event to the shop are one transaction per merchant.
        """
        ...


class ConsentAgeing:
    """Run `step` every minute; two nodes may do it at once."""

    def __init__(self, store: ConsentAgeingStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._idle_from: datetime | None = None  # no look before; None: at once

    async def step(self) -> bool:
        """Do one run; True: there is more, go on."""
        now = self._clock.now()
        aged: Counter[str] = Counter()
        for ageing, age in AGES.items():
            if ageing is Ageing.IDLE and self._idle_from is not None and now < self._idle_from:
                continue
            aged[ageing.value] += await self._store.age(ageing, now - age, now, PEOPLE_MAX)
            if ageing is Ageing.IDLE:
                self._idle_from = None if aged[ageing.value] >= PEOPLE_MAX else now + IDLE_INTERVAL
        if aged.total():
            log.info("consents_aged", **aged)
        return max(aged.values()) >= PEOPLE_MAX
