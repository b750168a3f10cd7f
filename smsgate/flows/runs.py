"""Runs: what one read brought, cut by batch, and columns of a batch in the order of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from smsgate.flows.batches import SLOT_BITS, index_of


def span_of(indexes: Sequence[int]) -> slice | None:
    """Return the place of indexes that follow each other, as answers mostly do."""
    if not indexes or indexes[-1] - indexes[0] != len(indexes) - 1:
        return None
    first, end = indexes[0], indexes[-1] + 1
    return slice(first, end) if list(indexes) == list(range(first, end)) else None


def is_same(column: Sequence[object]) -> bool:
    """Return whether all of a column are one value; told mostly by its ends."""
    first = column[0]
    return first == column[-1] and column.count(first) == len(column)


def part_of(column: Sequence[int], indexes: Sequence[int], place: slice | None) -> Sequence[int]:
    return [column[i] for i in indexes] if place is None else column[place]


def by_batch(
    slots: Sequence[int], statuses: Sequence[int], smsc_ids: Sequence[bytes]
) -> list[tuple[int, list[int], Sequence[int], Sequence[bytes]]]:
    """Split the columns of one read into runs of one batch: (handle, indexes, statuses, smsc ids)."""
    if min(slots) >> SLOT_BITS == max(slots) >> SLOT_BITS:
        first = (slots[0] >> SLOT_BITS) << SLOT_BITS
        return [(slots[0] >> SLOT_BITS, [slot - first for slot in slots], statuses, smsc_ids)]
    runs: list[tuple[int, list[int], Sequence[int], Sequence[bytes]]] = []
    start = 0
    for handle, run in groupby(slots, key=lambda slot: slot >> SLOT_BITS):
        indexes = [index_of(slot) for slot in run]
        end = start + len(indexes)
        runs.append((handle, indexes, statuses[start:end], smsc_ids[start:end]))
        start = end
    return runs
