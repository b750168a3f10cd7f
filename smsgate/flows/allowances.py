"""
How far chunks may be written, so that a crash never leaves more than `in_doubt_max` messages in doubt.

In doubt after a crash is what was written without a committed outcome, and what the committed borders of the
chunks let us write besides. Both together have one bound: a border moves as far as there is room under it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.ports import Carrier
from smsgate.flows.records import ChunkKey, Lane
from smsgate.flows.sending_limits import SendingLimits

# Texts that wait for their carrier hold the bound against everybody's chunks, too. A rule may send them to a
# carrier that is full while another one of it has room, so they are claimed, and stay.
TEXTS_SHARE: Final = 2  # of the bound, all together
SENDER_SHARE: Final = 4  # of one sender number: others' texts go on
MARKETING_PART: Final = 2  # of both shares at most: the rest is left to texts that people expect


class Grants:
    """What may be added to the borders of chunks now; a flush or a claim takes its part in turn."""

    __slots__ = ("_halted", "_least", "_reserve", "_room")

    def __init__(self, room: int, limits: SendingLimits, *, halted: bool = False) -> None:
        """`room` is how many messages more may come into doubt."""
        self._halted = halted
        self._room = room
        # The last quarter goes out in the smallest steps, and to chunks alone that are being written: those
        # whose carrier went away keep what they were granted, and must not bring the others to a halt. Of it
        # the last half is left to system messages.
        self._reserve = limits.in_doubt_max // 4
        self._least = limits.allowance_min

    def take(self, wanted: int) -> int:
        """Return how much of `wanted` a chunk gets."""
        least = 0 if self._halted else min(wanted, self._least, self._room - self._reserve // 2)
        granted = self.first(wanted) or max(0, least)
        self._room -= granted
        return granted

    @property
    def room(self) -> int:
        """Return how many messages more may come into doubt, of whatever lane."""
        return max(0, self._room)

    def first(self, wanted: int) -> int:
        """Return what a chunk gets that is not being written yet."""
        return 0 if self._halted else max(0, min(wanted, self._room - self._reserve))


class Allowances:
    """Who may write how far, and who waits for room."""

    def __init__(self, limits: SendingLimits) -> None:
        self._limits = limits
        self.halted = False  # nothing is claimed and no border moves: there is no room on the disk
        self._promised = 0  # to claims under way
        self._coming: list[tuple[int, frozenset[str]]] = []  # of them, to those of texts: from these senders
        self._waiting: dict[ChunkKey, Chunk] = {}

    def fit(self, chunk: Chunk, carriers: Mapping[int, Carrier]) -> None:
        """
        Fit the step of a chunk to the carriers that write it: a kill leaves a moment of theirs in doubt.

        A step of the fastest carrier of the process would be minutes of a slow one's, and most of the bound.
        """
        writing = {batch.carrier_id for batch in chunk.batches} & carriers.keys()
        chunk.step = self.step_of(sum(carriers[carrier_id].rate_per_s for carrier_id in writing))

    def step_of(self, rate_per_s: int) -> int:
        """Return how many messages one step covers where so many are written in a second."""
        return self._limits.allowance(rate_per_s)

    def grants(self, uncommitted: int, batches: Iterable[Batch]) -> Grants:
        """Return what there is to give; `uncommitted` messages are written without a durable outcome."""
        room = self._limits.in_doubt_max - uncommitted - unwritten(batches) - self._promised
        return Grants(room, self._limits, halted=self.halted)

    def first(self, grants: Grants, people: int, rate_per_s: int) -> int:
        """
        Return how far what is about to be claimed may be written at once.

        It is one step for a chunk, or for chunks of so many `people` together; `rate_per_s` is that of all
        carriers which may take them.
        """
        return grants.first(min(self.step_of(rate_per_s), people))

    def texts(
        self,
        batches: Iterable[Batch],
        senders: Iterable[str],
        wanted: int | None = None,
        *,
        lane: Lane = Lane.INTERACTIVE,
    ) -> tuple[int, list[str]]:
        """
        Return how many texts a claim may take, `wanted` at most, and of which of `senders`: who has few.

        Those of all lanes count; marketing (`lane`) is claimed while they have less than its part.
        What claims under way may bring counts as if it waited: two of them would both fill the same room.
        """
        waiting: Counter[str] = Counter()
        for batch in batches:
            if batch.chunk is None:
                waiting[batch.sender] += batch.unwritten()
        bound = self._limits.in_doubt_max // (MARKETING_PART if lane is Lane.BULK else 1)
        share, room = max(1, bound // SENDER_SHARE), max(1, bound // TEXTS_SHARE)
        room -= waiting.total() + sum(count for count, _ in self._coming)
        step = max(1, share // 2)
        most = max(0, min(step, room, step if wanted is None else wanted))
        for count, coming in self._coming:
            waiting.update(dict.fromkeys(coming, count))
        return most, [sender for sender in senders if waiting[sender] + most <= share]

    @contextmanager
    def promised_texts(self, count: int, senders: Iterable[str]) -> Iterator[None]:
        """As `promised`, of a claim of texts from these senders, each of which may be all of them."""
        coming = count, frozenset(senders)
        self._coming.append(coming)
        try:
            with self.promised(count):
                yield
        finally:
            self._coming.remove(coming)

    @contextmanager
    def promised(self, count: int) -> Iterator[None]:
        """Count `count` messages that a claim may bring, until they are in the books or came to nothing."""
        self._promised += count
        try:
            yield
        finally:
            self._promised -= count

    def wants(self, chunk: Chunk) -> bool:
        """Return whether another commit would move the chunk's border."""
        return chunk.key not in self._waiting and chunk.may_grow()

    def committed(self, chunk: Chunk) -> None:
        """Let the chunk be written up to its new border; one that got nothing waits for room."""
        if chunk.allowance == chunk.allowance_asked and chunk.may_grow():
            self._waiting[chunk.key] = chunk
        chunk.allowance = chunk.allowance_asked

    def waiting(self) -> list[Chunk]:
        """Return who waits for room, to ask again."""
        chunks = list(self._waiting.values())
        self._waiting.clear()
        return chunks


def unwritten(batches: Iterable[Batch]) -> int:
    """Return how many messages a crash would call unknown although they were not written, or not taken."""
    count = 0
    chunks: dict[ChunkKey, Chunk] = {}
    for batch in batches:
        count += len(batch.held)
        if batch.chunk is None:
            count += batch.unwritten()
        else:
            count += len(batch.retry)
            chunks[batch.chunk.key] = batch.chunk
    return count + sum(max(0, chunk.allowance_asked - chunk.reached()) for chunk in chunks.values())
