"""How far the batches of one chunk let its border move."""

from __future__ import annotations

from smsgate.flows.batches import Chunk
from smsgate.flows.records import ChunkKey
from tests.batches import batch_of
from tests.unit.flows.test_allowances import SIZE

STEP = 10


def a_chunk(batches: int) -> Chunk:
    """A chunk of `batches` times SIZE messages, each batch one carrier's."""
    chunk = Chunk(ChunkKey(1, 1, 0, 1), 0, batches * SIZE, STEP)
    chunk.step = STEP
    for number in range(batches):
        batch_of(range(number * SIZE, (number + 1) * SIZE), chunk=chunk, handle=number)
    return chunk


def test_a_batch_that_is_refused_whole_holds_nobodys_border() -> None:
    chunk = a_chunk(2)
    refused, other = chunk.batches
    refused.skip = frozenset(range(SIZE))
    refused.settled = SIZE
    assert chunk.reached() == other.reached() == SIZE
    assert chunk.may_grow()
    chunk.allowance = chunk.allowance_asked = chunk.next_allowance()
    assert other.take(SIZE) == list(range(STEP))


def test_a_chunk_of_which_every_message_has_its_outcome_asks_for_nothing() -> None:
    chunk = a_chunk(2)
    for batch in chunk.batches:
        batch.settled = SIZE
    assert chunk.settled()
    assert not chunk.may_grow()


def test_a_chunk_without_a_batch_is_at_its_end_and_asks_for_nothing() -> None:
    chunk = a_chunk(0)
    assert chunk.reached() == chunk.message_count
    assert not chunk.may_grow()
