"""Whatever chunks are claimed, written and answered: a crash never leaves more in doubt than the bound."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from smsgate.flows.allowances import Allowances, unwritten
from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.records import ChunkKey, Lane
from smsgate.flows.sending_limits import SendingLimits
from tests.batches import batch_of

SIZE = 60  # messages of a chunk
RATES = st.sampled_from([10, 200, 4_000])
CHANCES = st.lists(
    st.tuples(st.sampled_from(["ask", "claim", "write", "settle", "commit"]), st.integers(0, 11)), max_size=60
)


@dataclass
class Sender:
    """The pump's bookkeeping without its sockets: who may write how far, what is written, what is durable."""

    limits: SendingLimits
    rate_per_s: int
    batches: list[Batch] = field(default_factory=list)
    uncommitted: int = 0
    claims: list[tuple[int, ExitStack]] = field(
        default_factory=list
    )  # under way: what each may write at once
    answered: int = 0  # of these, with an outcome that the next flush makes durable
    away: int = 0  # so many of the first chunks have a carrier that is down: nobody asks for them

    def __post_init__(self) -> None:
        self.allowances = Allowances(self.limits)

    def ask(self) -> None:
        """Begin a claim; two are under way at most."""
        if len(self.claims) < 2:
            grants = self.allowances.grants(self.uncommitted, self.batches)
            step = self.allowances.first(grants, SIZE, self.rate_per_s)
            promise = ExitStack()
            promise.enter_context(self.allowances.promised(step))
            self.claims.append((step, promise))

    def claim(self) -> None:
        """Have the oldest claim in the books."""
        if not self.claims:
            self.ask()
        step, promise = self.claims.pop(0)
        promise.close()
        number = len(self.batches)
        chunk = Chunk(ChunkKey(1, number, 0, 1), number * SIZE, SIZE, min(SIZE, step))
        chunk.step = self.allowances.step_of(self.rate_per_s)
        ids = range(number * SIZE, (number + 1) * SIZE)
        self.batches.append(batch_of(ids, chunk=chunk, handle=number))

    def in_doubt(self) -> int:
        """Return what a crash would leave in doubt, if claims under way are committed."""
        return self.uncommitted + unwritten(self.batches) + sum(step for step, _ in self.claims)

    def write(self, which: int) -> None:
        if self.batches:
            batch = self.batches[which % len(self.batches)]
            self.uncommitted += len(batch.take(self.limits.in_doubt_max - self.uncommitted))

    def settle(self, which: int) -> None:
        self.answered = min(self.uncommitted, self.answered + 5 * which)

    def commit(self) -> None:
        grants = self.allowances.grants(self.uncommitted, self.batches)
        asking = [chunk for chunk in map(chunk_of, self.batches[self.away :]) if self.allowances.wants(chunk)]
        for chunk in asking:
            wanted = min(SIZE, chunk.reached() + chunk.step) - chunk.allowance_asked
            chunk.allowance_asked += grants.take(wanted)
        assert self.in_doubt() <= self.limits.in_doubt_max  # the crash comes right after the commit
        self.uncommitted -= self.answered
        self.answered = 0
        for chunk in self.allowances.waiting():
            assert self.allowances.wants(chunk)
        for chunk in asking:
            self.allowances.committed(chunk)


def chunk_of(batch: Batch) -> Chunk:
    assert batch.chunk is not None
    return batch.chunk


@given(rate_per_s=RATES, in_doubt_max=st.sampled_from([100, 150, 400]), chances=CHANCES)
def test_written_and_allowed_messages_together_stay_under_the_bound(
    rate_per_s: int, in_doubt_max: int, chances: list[tuple[str, int]]
) -> None:
    sender = Sender(SendingLimits(in_doubt_max=in_doubt_max), rate_per_s)
    for what, which in chances:
        match what:
            case "ask":
                sender.ask()
            case "claim":
                sender.claim()
            case "write":
                sender.write(which)
            case "settle":
                sender.settle(which)
            case _:
                sender.commit()
        assert sender.in_doubt() <= in_doubt_max
    while sender.claims:
        sender.claim()
    # And nobody waits for ever: with answers that come, every chunk is written to its end.
    for _ in range(10 * SIZE * (len(sender.batches) + 1)):
        for which in range(len(sender.batches)):
            sender.write(which)
        sender.answered = sender.uncommitted
        sender.commit()
        if all(batch.exhausted() for batch in sender.batches):
            break
    assert all(batch.exhausted() for batch in sender.batches)


def test_chunks_of_a_carrier_that_went_away_leave_room_for_the_others() -> None:
    """They keep what they were granted; the last quarter goes out in small steps."""
    sender = Sender(SendingLimits(in_doubt_max=200), rate_per_s=200, away=12)
    for _ in range(sender.away):
        sender.claim()
        sender.commit()
    sender.claim()
    for _ in range(SIZE):
        sender.write(sender.away)
        sender.answered = sender.uncommitted
        sender.commit()
    assert sender.batches[sender.away].exhausted()


def test_what_claims_of_texts_under_way_may_bring_counts_against_their_senders_share_and_that_of_all() -> (
    None
):
    allowances = Allowances(SendingLimits(in_doubt_max=80))  # 20 of one sender, 40 of all
    waiting = [batch_of(range(8))]
    assert allowances.texts(waiting, ["36111", "36222"]) == (10, ["36111", "36222"])
    with allowances.promised_texts(10, ["36111"]):
        assert allowances.texts(waiting, ["36111", "36222"]) == (10, ["36222"])
        assert allowances.texts(waiting, ["36111", "36222"], 2) == (2, ["36111", "36222"])
        with allowances.promised_texts(10, ["36222", "36333"]), allowances.promised_texts(5, ["36444"]):
            assert allowances.texts(waiting, ["36222", "36444"]) == (7, ["36222", "36444"])
            assert allowances.texts(waiting, ["36111"]) == (7, [])
    assert allowances.texts(waiting, ["36111", "36222"]) == (10, ["36111", "36222"])
    assert allowances.grants(0, waiting).room == 72


def test_marketing_that_waits_for_its_carrier_leaves_room_in_the_bound_for_texts_that_people_expect() -> None:
    """It could have all that texts may have of the bound, and then no confirmation was claimed."""
    allowances, senders = Allowances(SendingLimits(in_doubt_max=80)), ["36111", "36222", "36333"]
    waiting: list[Batch] = []
    for _ in range(20):
        most, allowed = allowances.texts(waiting, senders, lane=Lane.BULK)
        if most and allowed:
            waiting.append(batch_of(range(most), lane=Lane.BULK, sender=allowed[0], bodies=[b""] * most))
    assert sum(batch.unwritten() for batch in waiting) == 20
    assert allowances.texts(waiting, senders) == (10, senders)
