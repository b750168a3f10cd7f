"""
Claims from the question to the database until the answer is in the pump's books.

Several may be under way: while one holds the lock that lets one claim at a time look at people, the next
chooses its chunk, and one before is composed. Who compares the database's claims with the books waits until
none is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

CampaignKey = tuple[int, int]  # merchant, campaign


class ClaimsUnderWay:
    def __init__(self) -> None:
        self._count = 0
        self._campaigns: Counter[CampaignKey] = Counter()
        self._none = asyncio.Event()
        self._none.set()
        self._open = asyncio.Event()  # clear: somebody waits until none is under way, so none begins
        self._open.set()
        self._alone = asyncio.Lock()

    def of(self, key: CampaignKey) -> int:
        """Return how many claims of the campaign are under way."""
        return self._campaigns[key]

    @asynccontextmanager
    async def one(self, campaigns: Iterable[CampaignKey] = ()) -> AsyncIterator[None]:
        """Be a claim, of these campaigns' chunks or of what belongs to none."""
        while not self._open.is_set():
            await self._open.wait()
        keys = Counter(campaigns)
        self._campaigns += keys
        try:
            with self.at_once():
                yield
        finally:
            self._campaigns -= keys

    @property
    def closed(self) -> bool:
        """Return whether a claim would have to wait before it begins."""
        return not self._open.is_set()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Be a claim of what belongs to no campaign, without a wait: not while `closed`."""
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    @asynccontextmanager
    async def none(self) -> AsyncIterator[None]:
        """Wait until no claim is under way, and let none begin."""
        async with self._alone:
            self._open.clear()
            try:
                await self._none.wait()
                yield
            finally:
                self._open.set()
