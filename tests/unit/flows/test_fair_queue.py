"""Merchants that share a carrier, in counted form: no clock, no carrier, no database."""

from __future__ import annotations

from collections import Counter
from itertools import count

from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.fair_queue import FairQueue
from smsgate.flows.records import ChunkKey
from smsgate.flows.sending import SLICE_MAX
from tests.batches import batch_of

_handles = count(1)
SIZE = 1_000


def a_batch(merchant_id: int, campaign_id: int, *, weight: int = 1) -> Batch:
    chunk = Chunk(ChunkKey(merchant_id, campaign_id, 0, 1), 0, SIZE, SIZE, weight=weight)
    return batch_of(range(SIZE), chunk=chunk, handle=next(_handles))


def write(queue: FairQueue, messages: int, slice_max: int = SLICE_MAX) -> Counter[tuple[int, int | None]]:
    """Write so many messages of batches that never end, and count whose they were."""
    had: Counter[tuple[int, int | None]] = Counter()
    while had.total() < messages:
        batch = queue.head()
        had[batch.merchant_id, batch.campaign_id] += slice_max
        queue.turn(batch, slice_max)
    return had


def test_a_small_campaign_is_written_within_two_slices_of_one_merchants_million() -> None:
    queue = FairQueue()
    for campaign_id in range(50):
        queue.append(a_batch(1, campaign_id))
        queue.append(a_batch(1, campaign_id))
    write(queue, 1_000_000)
    queue.append(a_batch(2, 100))
    assert write(queue, 2 * SLICE_MAX)[2, 100] == SLICE_MAX


def test_merchants_share_by_weight_and_not_by_the_number_of_their_campaigns() -> None:
    queue = FairQueue()
    for campaign_id in range(10):
        queue.append(a_batch(1, campaign_id))
    queue.append(a_batch(2, 20, weight=3))
    queue.append(a_batch(3, 30))
    had = write(queue, 100_000)
    by_merchant = Counter[int]()
    for (merchant_id, _), messages in had.items():
        by_merchant[merchant_id] += messages
    assert abs(by_merchant[2] - 60_000) <= 3 * SLICE_MAX
    assert abs(by_merchant[1] - 20_000) <= 3 * SLICE_MAX
    assert abs(by_merchant[3] - 20_000) <= 3 * SLICE_MAX
    for campaign_id in range(10):
        assert abs(had[1, campaign_id] - 2_000) <= 2 * SLICE_MAX


def test_a_campaign_with_more_chunks_in_memory_has_no_larger_part_of_its_merchants() -> None:
    queue = FairQueue()
    for _ in range(16):
        queue.append(a_batch(1, 1))
    queue.append(a_batch(1, 2))
    had = write(queue, 40_000)
    assert abs(had[1, 1] - had[1, 2]) <= SLICE_MAX


def test_every_batch_is_taken_out_once() -> None:
    queue = FairQueue()
    put = [a_batch(merchant_id, campaign_id) for merchant_id in (1, 2) for campaign_id in (1, 2, 3)]
    for batch in put:
        queue.append(batch)
        queue.append(batch)
    taken = Counter[int]()
    while queue:
        taken[queue.popleft().handle] += 1
    assert taken == {batch.handle: 2 for batch in put}


def test_a_batch_that_left_while_it_was_written_is_charged_to_nobody() -> None:
    queue = FairQueue()
    gone, other = a_batch(1, 1), a_batch(2, 2)
    queue.append(gone)
    assert queue.popleft() is gone
    queue.turn(gone, SLICE_MAX)
    assert not queue
    queue.append(other)
    queue.turn(gone, SLICE_MAX)
    assert queue.head() is other
