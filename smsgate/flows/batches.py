"""
A claim in memory: the columns of up to 3,000 messages that this node may send, and how far it got.

A slot is `handle << SLOT_BITS | index`: it names one message while its submit_sm waits for an answer and
its receipt for a match, so no object per message is needed on the way back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final, NamedTuple

from smsgate.flows.long_texts import Parts
from smsgate.flows.records import ChunkKey, Lane
from smsgate.flows.wording import NO_WORDS, Wording
from smsgate.routing.choosing import Tier

SLOT_BITS: Final = 12
BATCH_MAX: Final = 1 << SLOT_BITS
_INDEX_MASK: Final = BATCH_MAX - 1
# A carrier that says "not now" to the same message for so long, at a rate slowed down each time, means no.
RETRY_MAX_S: Final = 600.0
# `Batch.ended` of a chunk that another owner took over: its outcomes are that owner's.
FENCED_OFF: Final = "fenced_off"
STOPPED: Final = "stopped"  # of what its person asked not to get


def index_of(slot: int) -> int:
    """Return the place of `slot` in the columns of its batch."""
    return slot & _INDEX_MASK


class Chunk:
    """
    What the batches of one claimed chunk share: the border that a commit lets them write up to.

    A chunk begins as one batch, and gets more when some of its messages go to another carrier. The border is
    one for all: it moves as the last of them moves, so a crash leaves no more in doubt than one step.
    """

    __slots__ = (
        "allowance",
        "allowance_asked",
        "batches",
        "funded",
        "key",
        "limit",
        "message_count",
        "message_id_base",
        "returned",
        "step",
        "weight",
    )

    def __init__(
        self,
        key: ChunkKey,
        message_id_base: int,
        message_count: int,
        allowance: int,
        *,
        weight: int = 1,
        paced: bool = False,
        budgeted: bool = False,
    ) -> None:
        self.key = key
        self.message_id_base = message_id_base
        self.message_count = message_count
        self.allowance = allowance
        self.allowance_asked = allowance
        self.batches: list[Batch] = []
        self.step = 0  # by which one commit moves the border at most; the pump fits it to the carriers
        self.returned = False  # to be given back by the next flush: another claim goes on with it
        self.limit = allowance if paced else None  # the allowance grows no further; None: no pace
        self.funded = allowance if budgeted else None  # nor beyond what is paid for; None: no budget
        self.weight = weight  # of its merchant, where several share a carrier

    @property
    def border(self) -> int:
        """Return the first message id that must not be written yet."""
        return self.message_id_base + self.allowance

    def settled(self) -> bool:
        """Return whether every entry of every batch has its outcome."""
        return all(batch.settled >= batch.size for batch in self.batches)

    def in_flight(self) -> int:
        return sum(batch.in_flight() for batch in self.batches)

    def reached(self) -> int:
        """Return where in the chunk the last batch's next first write stands; beyond it nobody waits."""
        return min((batch.reached() for batch in self.batches), default=self.message_count)

    def may_grow(self) -> bool:
        """Return whether another commit would move the border, and somebody waits behind it."""
        return not self.settled() and self.allowance_asked < self.next_allowance()

    def next_allowance(self) -> int:
        """Return how far the next commit may move the border: it bounds what a crash leaves in doubt."""
        wanted = min(self.message_count, self.reached() + self.step)
        borders = [border for border in (self.limit, self.funded) if border is not None]
        return max(self.allowance_asked, min([wanted, *borders]))

    def ungranted(self) -> list[int]:
        """Return the ids of the messages at and beyond `limit` that are to be sent, in order."""
        assert self.limit is not None
        first = self.message_id_base + self.limit
        return sorted(
            {
                message_id
                for batch in self.batches
                for index, message_id in enumerate(batch.message_ids)
                if message_id >= first and index not in batch.skip
            }
        )


class Way(NamedTuple):
    """By which rule a batch came to its carrier, and who else may take what the carrier does not."""

    route: str = ""  # name of the rule; "" when the sender alone decided
    tiers: tuple[Tier, ...] = ()  # the rule's carriers, best first
    tried: frozenset[str] = frozenset()  # carriers that refused these very messages, or cannot write them


OWN_WAY: Final = Way()


class Batch:
    """One carrier, one sender, one lane. Every entry ends in exactly one outcome; `settled` counts them."""

    __slots__ = (
        "bodies",
        "campaign_id",
        "carrier_id",
        "chunk",
        "closes_at",
        "coding",
        "consent_read",
        "cost_currency",
        "cost_item_ids",
        "cost_micros",
        "currency",
        "delivered",
        "ended",
        "expires_at",
        "handle",
        "held",
        "lane",
        "merchant_id",
        "message_ids",
        "msisdns",
        "networks",
        "next",
        "parts",
        "paused",
        "refusable",
        "refused_ids",
        "retry",
        "segments",
        "sell_item_ids",
        "sell_micros",
        "sender",
        "settled",
        "size",
        "skip",
        "texts",
        "throttled_at",
        "tlvs",
        "waiting",
        "way",
        "wording",
    )

    def __init__(
        self,
        *,
        handle: int,
        lane: Lane,
        carrier_id: int,
        merchant_id: int,
        campaign_id: int | None,
        sender: str,
        expires_at: datetime,
        message_ids: Sequence[int],
        msisdns: Sequence[int],
        texts: Sequence[bytes],
        sell_item_ids: Sequence[int],
        sell_micros: Sequence[int],
        cost_item_ids: Sequence[int],
        cost_micros: Sequence[int],
        currency: str,
        cost_currency: str,
        delivered: frozenset[int] = frozenset(),
        chunk: Chunk | None = None,
        coding: tuple[int, int] = (0, 0),
        bodies: Sequence[bytes] | None = None,
        segments: Sequence[int] | None = None,
        networks: Sequence[str] = (),
        parts: Parts | None = None,
        way: Way = OWN_WAY,
        wording: Wording = NO_WORDS,
        refusable: bool = False,
        tlvs: bytes = b"",
    ) -> None:
        size = len(message_ids)
        assert len(msisdns) == len(texts) == len(sell_micros) == len(cost_micros) == size <= BATCH_MAX
        self.handle, self.lane = handle, lane
        self.carrier_id, self.merchant_id, self.campaign_id = carrier_id, merchant_id, campaign_id
        self.sender, self.expires_at = sender, expires_at
        self.message_ids, self.msisdns, self.texts = message_ids, msisdns, texts
        self.sell_item_ids, self.sell_micros = sell_item_ids, sell_micros
        self.cost_item_ids, self.cost_micros = cost_item_ids, cost_micros
        self.currency, self.cost_currency = currency, cost_currency
        self.delivered, self.chunk = delivered, chunk  # delivered: items whose messages a receipt charges
        if chunk is not None:
            chunk.batches.append(self)
        self.coding = coding  # data_coding and esm_class of every text
        self.bodies = bodies  # an ESME's submit_sm without addresses, instead of texts
        self.segments = segments  # what each counts for; None: one
        self.networks, self.parts = networks, parts  # of the recipients; of long texts, None: all are whole
        self.way, self.wording = way, wording  # the wording: for another carrier's alphabets
        self.tlvs = tlvs  # of its own, encoded, on each of its submit_sm
        self.refusable = refusable or lane is Lane.BULK  # a STOP concerns it until the octets exist
        self.size, self.next, self.settled = size, 0, 0
        self.retry: deque[int] = deque()
        self.throttled_at: dict[int, float] = {}  # index -> when the carrier first said "not now"
        self.held: set[int] = set()  # indexes that wait for their phone to be reached
        self.skip: frozenset[int] = frozenset()  # refused, or given up, before their turn: never written
        self.paused = self.waiting = False
        self.ended: str | None = None  # why nothing of it is written any more
        self.closes_at: datetime | None = None  # the hours of some recipient end: then it is given back
        self.consent_read = (0.0, 0)  # monotonic second of it, and the stop set's overflows by then
        self.refused_ids: AbstractSet[int] = frozenset()  # messages not to go, by a later look

    @property
    def key(self) -> ChunkKey | None:
        return None if self.chunk is None else self.chunk.key

    @property
    def weight(self) -> int:
        return 1 if self.chunk is None else self.chunk.weight

    def exhausted(self) -> bool:
        """Return whether nothing is left to write."""
        return self.next >= self.size and not self.retry

    def written_out(self) -> bool:
        """Return whether every entry that the committed allowance covers was written."""
        if self.retry:
            return False
        if self.chunk is None or self.next >= self.size:
            return self.next >= self.size
        return self.message_ids[self.next] >= self.chunk.border

    def reached(self) -> int:
        """
        Return where in its chunk the next first write stands; allowance beyond it lets it leave.

        At the end when every entry has its outcome: also where all were refused before their turn.
        """
        assert self.chunk is not None
        if self.next >= self.size or self.settled >= self.size:
            return self.chunk.message_count
        return self.message_ids[self.next] - self.chunk.message_id_base

    def unwritten(self) -> int:
        """Return how many entries have not been written yet, or were not taken by the carrier."""
        return self.size - self.next + len(self.retry)

    def in_flight(self) -> int:
        """Return how many entries were written and have no outcome yet."""
        skipped = sum(index >= self.next for index in self.skip)
        return self.next + skipped - len(self.retry) - len(self.held) - self.settled

    def take(self, count: int) -> list[int]:
        """Take up to `count` indexes to write now: first those that the carrier did not take before."""
        indexes = [self.retry.popleft() for _ in range(min(count, len(self.retry)))]
        left = count - len(indexes)
        if left <= 0 or self.next >= self.size:
            return indexes
        end = min(self.next + left, self.size)
        if self.chunk is not None:
            border = self.chunk.border
            while end > self.next and self.message_ids[end - 1] >= border:
                end -= 1
        indexes.extend(self._unskipped(self.next, end))
        self.next = end
        return indexes

    def put_back(self, indexes: Sequence[int]) -> None:
        """Take back indexes that were not written, oldest first."""
        self.retry.extendleft(reversed(indexes))

    def may_retry(self, index: int, now: float) -> bool:
        """Take one "not now" of the carrier at `now` (monotonic seconds); False: it was the last."""
        return now - self.throttled_at.setdefault(index, now) < RETRY_MAX_S

    def begin_again(self, less: AbstractSet[int]) -> None:
        """Have entries wait as ones that were written before: the committed allowance covers them all."""
        self.retry.extend(index for index in range(self.size) if index not in less)
        self.next = self.size

    def take_rest(self) -> list[int]:
        """
        Take everything that was not written or came back, for another batch to go on with, in order.

        What follows a part that was taken stays: a phone puts together only what one carrier brings.
        """
        rest = [*sorted(self.retry), *self._unskipped(self.next, self.size)]
        self.retry.clear()
        self.next = self.size
        if self.parts is not None:
            whole = self.parts.whole(rest)
            self.retry.extend(sorted(set(rest).difference(whole)))
            return whole
        return rest

    def drop_rest(self) -> list[int]:
        """Give up whatever was not written; the caller sees to the outcome of these indexes."""
        rest = [*self.retry, *sorted(self.held), *self._unskipped(self.next, self.size)]
        self.retry.clear()
        self.held.clear()
        self.next = self.size
        return rest

    def drop_broken(self, lost: Sequence[int]) -> list[int]:
        """
        Give up what waits of messages of which a part will not arrive: the entries `lost`, or others before.

        The caller sees to the outcome of the indexes returned.
        """
        if self.parts is None:
            return []
        self.parts.breaks(lost)
        ahead = self._unskipped(self.next, self.size)
        gone = set(self.parts.broken([*self.retry, *self.held, *ahead]))
        if gone:
            self.retry = deque(index for index in self.retry if index not in gone)
            self.held -= gone
            self.skip |= {index for index in gone if index >= self.next}
        return sorted(gone)

    def drop_unwritten(self) -> list[int]:
        """Give up as `drop_rest` does; return the messages of which not a part was written."""
        rest, ids = self.drop_rest(), self.message_ids
        whole = rest if self.parts is None else self.parts.whole(rest)
        return list(dict.fromkeys(ids[index] for index in whole))

    def is_whole(self, index: int) -> bool:
        """Return whether this entry is all of its message."""
        return self.parts is None or self.parts.counts[index] == 1

    def _unskipped(self, start: int, end: int) -> Iterable[int]:
        if not self.skip:
            return range(start, end)
        return [index for index in range(start, end) if index not in self.skip]

    def segments_of(self, indexes: Sequence[int]) -> Sequence[int]:
        """Return what each of these makes on the air; empty: one segment each."""
        return () if self.segments is None else [self.segments[i] for i in indexes]

    def slots(self, indexes: Sequence[int]) -> list[int]:
        first = self.handle << SLOT_BITS
        return [first | index for index in indexes]


def never_written(
    batches: Sequence[Batch],
) -> tuple[dict[ChunkKey, int | None], list[tuple[int, int]]]:
    """
    Take out of batches what was not written: return chunks, and (merchant, message) of what has none.

    With each chunk comes its new border; None: something of it is in flight, and the border stays.
    """
    chunks = {
        batch.chunk.key: None if batch.chunk.in_flight() else batch.chunk.reached()
        for batch in batches
        if batch.chunk is not None
    }
    messages = [
        (batch.merchant_id, message_id)
        for batch in batches
        if batch.key is None
        for message_id in batch.drop_unwritten()
    ]
    return chunks, messages
