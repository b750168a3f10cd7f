"""
What many requests ask at once goes to the database together; each gets its own answer.

There is no timer: a request that finds nobody before it goes at once, and those that come while it is under
way are the next group. So one alone waits for nobody, and a flood pays one commit for hundreds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

from smsgate.errors import StoreUnavailable

GROUP_MAX: Final = 200  # of one transaction: bounds its locks to some tens of milliseconds

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Gathered(Generic[Asked, Answer]):
    """
    `load` answers a group in its order. Groups of different keys run beside each other.

    What `load` raises is the fault of one of them: the halves are tried apart, down to who stands alone. A
    database that is away is nobody's fault, and all of them hear of it.
    """

    def __init__(self, load: Callable[[Hashable, Sequence[Asked]], Awaitable[Sequence[Answer]]]) -> None:
        self._load = load
        self._waiting: dict[Hashable, list[tuple[Asked, asyncio.Future[Answer]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, key: Hashable, asked: Asked) -> Answer:
        """Who is cancelled may have been served all the same, as with any commit that was not seen."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = [(asked, future)]
            task = asyncio.create_task(self._serve(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            waiting.append((asked, future))
        return await future

    async def _serve(self, key: Hashable) -> None:
        while waiting := self._waiting[key]:
            group = [entry for entry in waiting[:GROUP_MAX] if not entry[1].done()]
            del waiting[:GROUP_MAX]
            if group:
                await self._answer(key, group)
        del self._waiting[key]

    async def _answer(self, key: Hashable, group: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._load(key, [asked for asked, _ in group])
        except Exception as exc:  # noqa: BLE001  # whatever it is, it must reach whom it concerns
            if len(group) > 1 and not isinstance(exc, StoreUnavailable):
                middle = len(group) // 2
                await self._answer(key, group[:middle])
                await self._answer(key, group[middle:])
                return
            for _, future in group:
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():
                future.set_result(answer)
