"""
Which MOs a group takes, and which groups may be under way together.

While PostgreSQL reads or writes one group, the gateway decides another; a person's texts are decided in their
order all the same. Source: docs/decisions/0059.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import Final, Self

from smsgate.flows.heard import Heard

QUEUE_MAX: Final = 20_000  # MOs waiting: ~1 kB each; beyond it the carrier is told to come back
GROUP_MAX: Final = 200  # MOs of one transaction: bounds its locks to some tens of milliseconds
# One that reads, one that writes. A third would wait for the locks of both, and hold its people meanwhile.
GROUPS_MAX: Final = 2


class Waiting:
    """MOs that no group has taken yet, in the order of their arrival; bounded. `news`: one has come."""

    def __init__(self, news: asyncio.Event) -> None:
        self._news = news
        self._queue: asyncio.Queue[Heard | None] = asyncio.Queue(QUEUE_MAX)
        # Out of the queue, and before all that is in it: at most GROUP_MAX.
        self._passed: deque[Heard] = deque()
        self._closing = False

    def __len__(self) -> int:
        return self._queue.qsize() + len(self._passed)

    def full(self) -> bool:
        return self._queue.full()

    def put(self, heard: Heard) -> None:
        self._queue.put_nowait(heard)
        self._news.set()

    def close(self) -> None:
        """Let `come` end after what was put before."""
        self._closing = True
        if self._queue.empty():
            self._queue.put_nowait(None)  # wake who waits; who works looks again by itself

    async def come(self) -> bool:
        """Wait until there is an MO; return False when none will come any more."""
        while not self._passed:
            if self._closing and self._queue.empty():
                return False
            first = await self._queue.get()
            if first is not None:
                self._passed.append(first)
        return True

    def draw(self, busy: AbstractSet[int]) -> list[Heard]:
        """
        Take the next group; whoever is `busy` (a number) keeps waiting, before all that comes later.

        The others pass them: what one person says has no order beside what another says.
        """
        drawn: list[Heard] = []
        passed: deque[Heard] = deque()
        while len(drawn) < GROUP_MAX and len(passed) < GROUP_MAX:
            if self._passed:
                heard: Heard | None = self._passed.popleft()
            elif self._queue.empty():
                break
            else:
                heard = self._queue.get_nowait()
            if heard is not None:
                (passed if heard.mo.msisdn in busy else drawn).append(heard)
        self._passed = passed + self._passed
        return drawn


class Turns:
    """
    Lets groups begin one after the other, each once the one before has locked what it concerns.

    So every lock that two of them want is had by the one that came first, which waits for nothing that the
    other holds: it has all its locks but those that everybody takes last. One that is tried again after a
    deadlock takes them without the door, in the order in which everybody does.
    """

    def __init__(self) -> None:
        # Held by the one that came, until it has read; others wait in their order.
        self._door = asyncio.Lock()
        self._under_way: list[Turn] = []
        # A group has ended, or an MO has come; awaited by who holds the door, and nobody else.
        self.news = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether a group is under way."""
        return bool(self._under_way)

    async def come(self) -> Turn:
        """Wait until another group may begin; leave the turn in any case, as `with` does."""
        await self._door.acquire()
        turn = Turn(self)
        try:
            while len(self._under_way) >= GROUPS_MAX:
                await self.changed()
        except BaseException:
            self._door.release()
            raise
        self._under_way.append(turn)
        return turn

    def people(self) -> set[int]:
        return {person for turn in self._under_way for person in turn.people}

    def others(self, turn: Turn) -> int:
        return sum(each is not turn for each in self._under_way)

    async def changed(self) -> None:
        self.news.clear()
        await self.news.wait()

    def left(self, turn: Turn) -> None:
        self._under_way.remove(turn)
        self.news.set()

    def open(self) -> None:
        self._door.release()


class Turn:
    """One group's; it begins alone at the door."""

    def __init__(self, turns: Turns) -> None:
        self.people: Collection[int] = ()
        self._turns = turns
        self._at_door = True
        self._alone = False
        self._left = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    async def drawn(self, waiting: Waiting) -> list[Heard]:
        """Wait for MOs of people that no other group under way is about, and return the next group."""
        while not (entries := waiting.draw(self._turns.people())):
            await self._turns.changed()
        self.people = {heard.mo.msisdn for heard in entries}
        return entries

    async def about(self, person: int) -> None:
        """Wait until no other group is about this person."""
        while person in self._turns.people():
            await self._turns.changed()
        self.people = (person,)

    async def alone(self) -> None:
        """Wait until there is no other group; who comes later waits for the end of this one."""
        while self._turns.others(self):
            await self._turns.changed()
        self._alone = True

    def has_read(self) -> None:
        """Everything that the group concerns is locked: the next one may begin, unless this one is alone."""
        if not self._alone:
            self._open()

    def end(self, _group: asyncio.Task[None]) -> None:
        """Leave when the task of the group is done, also where it never began."""
        self.leave()

    def leave(self) -> None:
        if not self._left:
            self._left = True
            self._turns.left(self)
            self._open()

    def _open(self) -> None:
        if self._at_door:
            self._at_door = False
            self._turns.open()
