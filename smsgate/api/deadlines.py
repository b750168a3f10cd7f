"""Deadlines of one length for many tasks, with one timer for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

T = TypeVar("T")


class Deadlines:
    """
    What `asyncio.timeout(seconds)` does, where a timer of its own would cost each task 5 us.

    They end in the order in which they began, so the timer of the oldest is enough. One at a time for a task.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds: Final = seconds
        self._until: dict[asyncio.Task[Any], float] = {}  # loop's seconds; the oldest first
        self._expired: set[asyncio.Task[Any]] = set()  # cancelled by us, and not done with that yet
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Awaitable[T]) -> T:
        """
        Return what `work` does, in this task.

        Raises:
            TimeoutError: it was cancelled after `seconds`.
        """
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        assert task not in self._until, "one deadline at a time"
        cancelling = task.cancelling()
        until = self._until[task] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(until, self._look)
        try:
            return await work
        except asyncio.CancelledError as exc:
            if task in self._expired and self._own(task) <= cancelling:  # and nobody else cancelled it, too
                raise TimeoutError from exc
            raise
        finally:
            self._until.pop(task, None)
            if task in self._expired:  # it ended in another way
                self._own(task)

    def _own(self, task: asyncio.Task[Any]) -> int:
        """Take our cancellation back; return how many others there are."""
        self._expired.discard(task)
        return task.uncancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._until:
            task, until = next(iter(self._until.items()))
            if until > loop.time():
                self._timer = loop.call_at(until, self._look)
                return
            del self._until[task]
            self._expired.add(task)
            task.cancel()
