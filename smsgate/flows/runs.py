"""Runs: what one read brought, cut by batch, and columns of a batch in the order of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from smsgate.flows.batches import SLOT_BITS


def span_of(indexes: Sequence[int]) -> slice | None:
    """Return the place of indexes that follow each other, as answers mostly do."""
    if not indexes or indexes[-1] - indexes[0] != len(indexes) - 1:
        return None
    first, end = indexes[0], indexes[-1] + 1
    return slice(first, end) if list(indexes) == list(range(first, end)) else None


def part_of(column: Sequence[int], indexes: Sequence[int], place: slice | None) -> Sequence[int]:
    return [column[i] for i in indexes] if place is None else column[place]


def by_batch(
    slots: Sequence[int], statuses: Sequence[int], smsc_ids: Sequence[bytes]
) -> list[tuple[int, list[int], Sequence[int], Sequence[bytes]]]:
    """Split the columns of one read into runs of one batch: (handle, indexes, statuses, smsc ids)."""
    runs: list[tuple[int, list[int], Sequence[int], Sequence[bytes]]] = []
    start = 0
    for handle, run in runs_of(slots):
        first, end = handle << SLOT_BITS, start + len(run)
        indexes = [slot - first for slot in run]
        if end - start == len(slots):
            return [(handle, indexes, statuses, smsc_ids)]
        runs.append((handle, indexes, statuses[start:end], smsc_ids[start:end]))
        start = end
    return runs


def runs_of(slots: Sequence[int]) -> list[tuple[int, Sequence[int]]]:
    """Cut slots into those of one batch that follow each other, with the batch's handle."""
    if slots and min(slots) >> SLOT_BITS == max(slots) >> SLOT_BITS:  # as nearly always
        return [(slots[0] >> SLOT_BITS, slots)]
    return [(handle, [*run]) for handle, run in groupby(slots, key=_handle_of)]


def _handle_of(slot: int) -> int:
    return slot >> SLOT_BITS
