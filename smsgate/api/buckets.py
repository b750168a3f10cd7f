"""Token buckets by key, bounded in number."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple

BUCKETS_MAX: Final = 10_000  # 200 octets each; the one unused longest goes first, and starts full again


class Drawn(NamedTuple):
    allowed: bool
    remaining: int  # whole tokens left
    retry_after_s: int  # 0 when allowed; whole seconds, as Retry-After has them


class Buckets:
    """`rate_per_s` tokens come each second, and as many can be saved up. Time is an argument."""

    def __init__(self, rate_per_s: int, buckets_max: int = BUCKETS_MAX) -> None:
        assert rate_per_s > 0
        self.rate_per_s = rate_per_s
        self._buckets_max = buckets_max
        self._state: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, now: float) -> Drawn:
        tokens = self._tokens(key, now)
        allowed = tokens >= 1
        if allowed:
            tokens -= 1
        self._state[key] = (tokens, now)
        self._state.move_to_end(key)
        if len(self._state) > self._buckets_max:
            self._state.popitem(last=False)
        return Drawn(allowed, int(tokens), 0 if allowed else self._wait_s(tokens))

    def give_back(self, key: Hashable, now: float) -> None:
        """Undo one `take`: what it was taken for did not happen."""
        self._state[key] = (min(float(self.rate_per_s), self._tokens(key, now) + 1), now)

    def _tokens(self, key: Hashable, now: float) -> float:
        tokens, at = self._state.get(key, (float(self.rate_per_s), now))
        return min(float(self.rate_per_s), tokens + max(0.0, now - at) * self.rate_per_s)

    def _wait_s(self, tokens: float) -> int:
        return max(1, math.ceil((1 - tokens) / self.rate_per_s))
