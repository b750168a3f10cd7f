"""What a person asks of a merchant, and numbers that nobody may write to: one way for all shells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

import structlog

from smsgate.clock import Clock
from smsgate.errors import StoreUnavailable
from smsgate.flows.ports import Ids, StopSet
from smsgate.flows.ports_privacy import DataRequestRow, OwedErasure, PrivacyStore, Whom

log = structlog.get_logger(__name__)

PATIENCE_S: Final = 20.0  # for who else writes of the person; a request of the API must not wait much longer
OWED_MAX: Final = 1_000  # of one look


class MerchantFiles(Protocol):
    """Files of a merchant that tell numbers, kept outside the database."""

    async def forget(self, merchant_id: int) -> int: ...


class PersonRequests:
    """`stops` are this process's: others hear by the store; without `files` it keeps none."""

    def __init__(
        self, store: PrivacyStore, files: MerchantFiles | None, stops: StopSet, ids: Ids, clock: Clock
    ) -> None:
        self._store = store
        self._files = files
        self._stops = stops
        self._ids = ids
        self._clock = clock

    async def access(self, merchant_id: int, whom: Whom) -> tuple[DataRequestRow, Mapping[str, object]]:
        """
        Return every record of a person, by kind, as it is stored.

        Raises:
            NotFound: no such subscriber, or nothing of the number.
        """
        return await self._store.access(merchant_id, whom, self._ids.next(), self._clock.now())

    async def erase(self, merchant_id: int, whom: Whom) -> DataRequestRow:
        """
        Remove a person: the records, what waits in memory, and files that tell the number.

        Files that other processes keep are handed out no more (flows/usage_files.py), and go within a day.
        What others are still writing after a while is left to a gateway's `OwedErasures`.

        Raises:
            NotFound: no such subscriber, or nothing of the number.
        """
        now = self._clock.now()
        row, owed = await self._store.erase(merchant_id, whom, self._ids.next(), now)
        self._stops.add(merchant_id, owed.msisdn, self._clock.monotonic())
        if self._files is not None:
            await self._files.forget(merchant_id)
        return replace(row, state="done") if await self._finish(owed) else row

    async def _finish(self, owed: OwedErasure) -> bool:
        try:
            return await self._store.finish_erasure(owed, self._clock.now(), PATIENCE_S)
        except StoreUnavailable as exc:  # what the person asked for stands, and the rest follows
            log.warning("erasure_not_finished", error=str(exc))
            return False

    async def block(self, msisdn: int, reason: str) -> list[int]:
        """Block a number for every merchant; return the merchants that had it."""
        merchant_ids = await self._store.suppress(msisdn, reason, self._clock.now())
        for merchant_id in merchant_ids:
            self._stops.add(merchant_id, msisdn, self._clock.monotonic())
        return merchant_ids


class OwedErasures:
    """Run `step` every few seconds; two nodes may do it at once, and beside the request itself."""

    def __init__(self, store: PrivacyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.left = 0  # at the last look

    async def step(self) -> bool:
        """
        Finish the erasures that are not over, where nobody writes any more who began before them.

        Raises:
            StoreUnavailable: the database is away; the next step goes on.
        """
        owed = await self._store.owed_erasures(OWED_MAX)
        now, done = self._clock.now(), 0
        for each in owed:
            done += await self._store.finish_erasure(each, now, patience_s=0)
        self.left = len(owed) - done
        if done:
            log.info("erasures_finished", count=done)
        return done == OWED_MAX
