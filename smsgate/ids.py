"""
Time-ordered 64-bit ids, made by the gateway.

Layout of the 63 usable bits: 41 bits of milliseconds since 2025-01-01 UTC (until 2094), 6 bits of
node slot, 16 bits of counter. Ids of one node never go back and never repeat, even when its clock does;
blocks are contiguous, so a chunk of messages is (base, size) and a partition is a range of ids.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

EPOCH_MS: Final = 1_735_689_600_000  # 2025-01-01T00:00:00Z
NODE_BITS: Final = 6
COUNTER_BITS: Final = 16
NODES_MAX: Final = 1 << NODE_BITS
QUARTER_HOUR_MS: Final = (
    900_000  # zones differ from UTC by multiples of it, so months and days are whole ones
)
BLOCK_MAX: Final = 1 << COUNTER_BITS  # ids that one millisecond of one node can hold


def first_id_at(unix_ms: int) -> int:
    """Return the smallest id that any node can make at `unix_ms`: the border of a partition."""
    return max(0, unix_ms - EPOCH_MS) << (NODE_BITS + COUNTER_BITS)


def unix_ms_of(id_: int) -> int:
    """Return the millisecond in which `id_` was made."""
    return (id_ >> (NODE_BITS + COUNTER_BITS)) + EPOCH_MS


def made_at(id_: int) -> datetime:
    """Return when `id_` was made, to the millisecond."""
    return datetime.fromtimestamp(unix_ms_of(id_) / 1_000, UTC)


def quarter_hour_of(id_: int) -> int:
    """Return the unix second at which the quarter of an hour began in which `id_` was made."""
    return unix_ms_of(id_) // QUARTER_HOUR_MS * (QUARTER_HOUR_MS // 1_000)


class IdMaker:
    """Make ids for one node slot; the slot is a lease, so two live makers never share it."""

    def __init__(self, node: int, now_ms: Callable[[], int]) -> None:
        assert 0 <= node < NODES_MAX
        self._node = node
        self._now_ms = now_ms
        self._last_ms = 0
        self._counter = 0

    def next(self) -> int:
        """Return what `block(1)` does, in fewer steps: an answered offer takes five."""
        now = self._now_ms() - EPOCH_MS
        if now > self._last_ms:
            self._last_ms, self._counter = now, 0
        elif self._counter == BLOCK_MAX:
            self._last_ms, self._counter = self._last_ms + 1, 0
        base = self._counter
        self._counter = base + 1
        return (self._last_ms << (NODE_BITS + COUNTER_BITS)) | (self._node << COUNTER_BITS) | base

    def block(self, size: int) -> int:
        """
        Return the first of `size` contiguous ids; size is 1..BLOCK_MAX.

        When a millisecond is used up the next one is borrowed: ids run ahead of the clock, never back.
        """
        assert 1 <= size <= BLOCK_MAX
        now = self._now_ms() - EPOCH_MS
        if now > self._last_ms:
            self._last_ms, self._counter = now, 0
        elif self._counter + size > BLOCK_MAX:
            self._last_ms, self._counter = self._last_ms + 1, 0
        base = self._counter
        self._counter += size
        return (self._last_ms << (NODE_BITS + COUNTER_BITS)) | (self._node << COUNTER_BITS) | base
