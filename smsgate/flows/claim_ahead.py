"""
How much of the interactive lane is taken before its carrier has room for it, and when more is asked for.

A claim and its lease take some milliseconds, and more on a busy machine. Who takes no more than the rate has
saved up by now, and asks again when somebody nudges, leaves the carrier without work in between. So each
carrier has a little in memory. What is taken and not written yet is in doubt after a crash, as with a chunk's
allowance, and counts against the same bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from smsgate.clock import Clock
from smsgate.flows.ports import Carrier
from smsgate.flows.records import Lane
from smsgate.flows.sending import Pump
from smsgate.flows.timers import Timers

ASK_MIN_S: Final = 0.02  # between claims of a carrier that is full: each is two statements at least
# Between looks for what needs no room (it is over, or a test merchant's) once one found nothing: each reads
# all that waits, and a lane without room has a turn with each one of a lane that has some.
ROOMLESS_LOOK_S: Final = 1.0
STEPS_MAX: Final = 2  # steps of an allowance that a carrier may have in memory, while claims take long


class ClaimAhead:
    """
    Of what the gateway says itself, or, apart from it, of what ESMEs submitted.

    Their marketing is a third: it waits in the campaigns' lane, and what leaves before those not behind it.
    """

    def __init__(
        self,
        pump: Pump,
        carriers: Mapping[int, Carrier],
        clock: Clock,
        *,
        submitted: bool,
        lane: Lane = Lane.INTERACTIVE,
    ) -> None:
        self._pump = pump
        self._carriers = carriers
        self._clock = clock
        self._submitted = submitted
        self.lane = lane
        self._took_s = 0.0  # the last claim, from the question until it was in the pump's books
        self._coming: Counter[int] = Counter()  # by carrier: claimed by answers' transactions under way
        self._asked: frozenset[str] = frozenset()  # senders of the last claim
        self._waiting: set[str] = set()  # senders of which something may have come since it began
        self._first: frozenset[str] = frozenset()  # senders of which it left nothing to wait
        self._roomless_at = clock.monotonic()  # when to look for what needs no room, if nothing else may go
        self._timers = Timers(clock, lambda _: pump.wake_interactive.set())

    def room(self) -> dict[int, int]:
        """Return how many messages each carrier that is up may get now; below 0 it has more than enough."""
        unwritten = self._unwritten()
        return {carrier_id: self._most(carrier_id) - unwritten[carrier_id] for carrier_id in self._up()}

    def asks(self, senders: Collection[str]) -> bool:
        """
        Note that a claim begins, of texts from these, and return whether to make it.

        One of no sender brings only what needs no room; what came to wait meanwhile needs some, as a rule.
        """
        self._asked = frozenset(senders)
        self._first -= self._waiting  # until it is back
        self._waiting.clear()
        now = self._clock.monotonic()
        if not senders and now < self._roomless_at:
            return False
        self._roomless_at = now + ROOMLESS_LOOK_S
        return True

    def waits(self, sender: str) -> None:
        """Note that a text from this sender was put in the queue."""
        self._waiting.add(sender)

    def is_first(self, sender: str) -> bool:
        """Return whether no older text from this sender waits in the queue, as far as this process knows."""
        return sender in self._first and sender not in self._waiting

    @contextmanager
    def coming(self, counts: Mapping[int, int]) -> Iterator[None]:
        """Count messages by carrier that are about to be in the pump's books."""
        self._coming.update(counts)
        try:
            yield
        finally:
            self._coming.subtract(counts)

    def was_given_back(self) -> None:
        """Note that texts of whatever sender are in the queue again, and older than what comes."""
        self._first = self._asked = frozenset()

    @contextmanager
    def timed(self) -> Iterator[None]:
        started = self._clock.monotonic()
        yield
        self._took_s = self._clock.monotonic() - started

    def more(self, rooms: Mapping[int, int], limit: int, taken: int) -> bool:
        """
        Return whether to claim again at once after one that was let take `limit` and took `taken`.

        If not, and more may wait than there was room for, it is asked for as soon as a carrier has written
        half of what it may have: the rest lasts until the claim is back. A claim that got less than it might
        found all that waits, but for carriers that had no room (`rooms`, of before): it did not ask for them.
        """
        found_all = limit > 0 and taken < limit
        self._first = self._asked if taken < max(1, limit) else frozenset()
        if taken and not self._asked:
            self._roomless_at = self._clock.monotonic()  # there may be more of it
        asked = [id_ for id_ in self._up() if not found_all or rooms.get(id_, 0) <= 0]
        unwritten = self._unwritten()
        waits = [
            (unwritten[carrier_id] - self._most(carrier_id) / 2) / self._carriers[carrier_id].rate_per_s
            for carrier_id in asked
        ]
        if not waits or min(waits) <= 0:
            return limit > 0 and bool(waits)  # without a limit the bound of what is in doubt is reached
        self._timers.set(0, self._clock.monotonic() + max(ASK_MIN_S, min(waits)))
        return False

    def _up(self) -> list[int]:
        return [id_ for id_, carrier in self._carriers.items() if carrier.down_since() is None]

    def _most(self, carrier_id: int) -> int:
        """Return how many messages a carrier may have in memory: what it takes while two claims are made."""
        rate = self._carriers[carrier_id].rate_per_s
        step = self._pump.allowances.step_of(rate)
        return max(step, min(STEPS_MAX * step, int(2 * self._took_s * rate)))

    def _unwritten(self) -> Counter[int]:
        """Return how many messages are in memory and not written yet, by carrier."""
        found = self._coming.copy()
        for batch in self._pump.batches():
            submitted = batch.bodies is not None
            if batch.chunk is None and submitted is self._submitted and batch.lane is self.lane:
                found[batch.carrier_id] += batch.unwritten()
        return found
