"""What a flush sets free once it is durable."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from smsgate.flows.allowances import Grants
from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.records import ChunkKey, Lane
from smsgate.flows.sending_limits import SendingLimits

AT = datetime(2026, 11, 26, tzinfo=UTC)
SIZE = 4


def a_batch(no: int) -> Batch:
    first = 1_000 * no
    return Batch(
        handle=no,
        lane=Lane.BULK,
        carrier_id=1,
        merchant_id=7,
        campaign_id=9,
        sender="36111",
        expires_at=AT,
        message_ids=range(first, first + SIZE),
        msisdns=[33_612_000_000 + n for n in range(SIZE)],
        texts=[b"x"] * SIZE,
        sell_item_ids=[11] * SIZE,
        sell_micros=[45_000] * SIZE,
        cost_item_ids=[21] * SIZE,
        cost_micros=[30_000] * SIZE,
        currency="EUR",
        cost_currency="EUR",
        chunk=Chunk(ChunkKey(7, 9, no, 1), first, SIZE, SIZE),
    )


def test_a_chunk_that_is_done_lets_its_batches_go_and_one_that_is_not_keeps_them() -> None:
    """Each holds the other: half a megabyte a chunk, which would wait for the collector of garbage."""
    outcomes, done, begun = Outcomes(count(1).__next__), a_batch(1), a_batch(2)
    assert done.chunk is not None
    assert begun.chunk is not None
    outcomes.accepted(done, list(range(SIZE)), [b"1", b"2", b"3", b"4"], AT)
    outcomes.accepted(begun, [0], [b"5"], AT)
    outcomes.touch(begun.chunk)
    cut = outcomes.cut(Grants(1_000, 8_000, SendingLimits()), AT)
    assert done.chunk.batches == [done]
    cut.let_go()
    assert done.chunk.batches == []
    assert begun.chunk.batches == [begun]
