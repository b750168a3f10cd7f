"""What a person asks of a merchant, and numbers that nobody may write to: one way for all shells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from smsgate.clock import Clock
from smsgate.flows.ports import Ids, StopSet
from smsgate.flows.ports_privacy import DataRequestRow, PrivacyStore


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

    async def access(
        self, merchant_id: int, subscriber_id: int
    ) -> tuple[DataRequestRow, Mapping[str, object]]:
        """
        Return every record of a person, by kind, as it is stored.

        Raises:
            NotFound: no such subscriber.
        """
        return await self._store.access(merchant_id, subscriber_id, self._ids.next(), self._clock.now())

    async def erase(self, merchant_id: int, subscriber_id: int) -> DataRequestRow:
        """
        Remove a person: the records, what waits in memory, and files that tell the number.

        Files that other processes keep are handed out no more (flows/usage_files.py), and go within a day.

        Raises:
            NotFound: no such subscriber.
        """
        now = self._clock.now()
        row, msisdn = await self._store.erase(merchant_id, subscriber_id, self._ids.next(), now)
        self._stops.add(merchant_id, msisdn, self._clock.monotonic())
        if self._files is not None:
            await self._files.forget(merchant_id)
        return row

    async def block(self, msisdn: int, reason: str) -> list[int]:
        """Block a number for every merchant; return the merchants that had it."""
        merchant_ids = await self._store.suppress(msisdn, reason, self._clock.now())
        for merchant_id in merchant_ids:
            self._stops.add(merchant_id, msisdn, self._clock.monotonic())
        return merchant_ids
