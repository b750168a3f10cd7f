"""What a flush sets free once it is durable."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from smsgate.flows.allowances import Grants
from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.records import ChunkKey
from smsgate.flows.sending_limits import SendingLimits
from tests.batches import batch_of

AT = datetime(2026, 11, 26, tzinfo=UTC)
SIZE = 4


def a_batch(no: int) -> Batch:
    first = 1_000 * no
    chunk = Chunk(ChunkKey(7, 9, no, 1), first, SIZE, SIZE)
    return batch_of(range(first, first + SIZE), chunk=chunk, handle=no)


def test_a_chunk_that_is_done_lets_its_batches_go_and_one_that_is_not_keeps_them() -> None:
    """Each holds the other: half a megabyte a chunk, which would wait for the collector of garbage."""
    outcomes, done, begun = Outcomes(count(1).__next__), a_batch(1), a_batch(2)
    assert done.chunk is not None
    assert begun.chunk is not None
    outcomes.accepted(done, list(range(SIZE)), [b"1", b"2", b"3", b"4"], AT)
    outcomes.accepted(begun, [0], [b"5"], AT)
    outcomes.touch(begun.chunk)
    cut = outcomes.cut(Grants(8_000, SendingLimits()), AT)
    assert done.chunk.batches == [done]
    cut.let_go()
    assert done.chunk.batches == []
    assert begun.chunk.batches == [begun]
