"""
Shares of what is scarce: whoever has had least for its weight is next.

Stride scheduling: each member has a pass that grows by amount / weight, and the smallest is served. Source:
C. Waldspurger, W. Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource Management", 1995.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

WEIGHT_MAX: Final = 100
_UNIT: Final = 1 << 20  # of a pass, so that a division by a weight loses nothing that counts

K = TypeVar("K", bound=Hashable)


class Shares(Generic[K]):
    """Who is away saves nothing up, and takes its debt along when it comes back."""

    def __init__(self) -> None:
        self._passes: dict[K, int] = {}
        self._debts: dict[K, int] = {}  # of those who left after they had more than the others
        self._now = 0  # the pass of whoever was served last: who joins begins there

    def __contains__(self, key: K) -> bool:
        return key in self._passes

    def __len__(self) -> int:
        return len(self._passes)

    def join(self, key: K) -> None:
        assert key not in self._passes
        self._passes[key] = max(self._now, self._debts.pop(key, 0))

    def leave(self, key: K) -> None:
        debt = self._passes.pop(key)
        self._debts = {who: each for who, each in self._debts.items() if each > self._now}
        if debt > self._now:
            self._debts[key] = debt

    def next(self) -> K:
        """Return who is served next; of equals, who joined first."""
        key = min(self._passes, key=self._passes.__getitem__)
        self._now = max(self._now, self._passes[key])
        return key

    def charge(self, key: K, amount: int, weight: int = 1) -> None:
        self._passes[key] += amount * _UNIT // weight
