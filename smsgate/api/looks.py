"""
How many looks through audiences are under way at once.

A look may take minutes, and holds one of the few connections that all requests share. Who gave up and asks
again leaves the first look behind: nothing ends it but its own time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from smsgate.errors import TooSoon

# Of one process. Four of the ten connections of the API's pool: six are left for what takes milliseconds.
AT_ONCE_MAX: Final = 4
KEPT: Final = 1  # of them, for who has none under way: two merchants with large audiences must not stop all
PER_MERCHANT_MAX: Final = 2  # a short one beside a long one
# Most looks take milliseconds, and a shop may start many campaigns in one go: they wait for each other.
WAIT_S: Final = 30.0
WAITING_MAX: Final = 50  # of one merchant
RETRY_AFTER_S: Final = 10.0


class Looks:
    """Gives looks their turn: who has none under way first, then in the order in which they came."""

    def __init__(self) -> None:
        self._under_way: Counter[int] = Counter()  # by merchant
        self._waiting: dict[asyncio.Future[None], int] = {}  # whose; the oldest first

    @asynccontextmanager
    async def turn(self, merchant_id: int) -> AsyncIterator[None]:
        """
        Wait until the merchant may look, and let nobody have its place until leaving.

        Raises:
            TooSoon: so many wait already, or none of those who look has ended in time.
        """
        if self._room(merchant_id):
            self._under_way[merchant_id] += 1
        else:
            await self._wait(merchant_id)
        try:
            yield
        finally:
            self._end(merchant_id)

    def _room(self, merchant_id: int) -> bool:
        own = self._under_way[merchant_id]
        return own < PER_MERCHANT_MAX and self._under_way.total() < AT_ONCE_MAX - (KEPT if own else 0)

    async def _wait(self, merchant_id: int) -> None:
        if sum(whose == merchant_id for whose in self._waiting.values()) >= WAITING_MAX:
            raise TooSoon("Too many campaigns of yours wait to be counted; try again later.", RETRY_AFTER_S)
        given = asyncio.get_running_loop().create_future()
        self._waiting[given] = merchant_id
        try:
            async with asyncio.timeout(WAIT_S):
                await given
        except BaseException as exc:
            if given.done() and not given.cancelled():  # in the very moment in which the wait ended
                self._end(merchant_id)
            if isinstance(exc, TimeoutError):
                raise TooSoon("Large audiences are being counted; try again later.", RETRY_AFTER_S) from exc
            raise
        finally:
            self._waiting.pop(given, None)

    def _end(self, merchant_id: int) -> None:
        self._under_way[merchant_id] -= 1
        if not self._under_way[merchant_id]:
            del self._under_way[merchant_id]
        waiting = list(self._waiting.items())
        for given, whose in sorted(waiting, key=lambda each: self._under_way[each[1]] > 0):
            if not given.done() and self._room(whose):
                self._under_way[whose] += 1
                given.set_result(None)
