"""Requests that come at once go to the database together, and each keeps its own fate."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence

import pytest

from smsgate.errors import Conflict, StoreUnavailable
from smsgate.store.gathering import GROUP_MAX, Gathered


class Loads:
    """What came to the database, group by group; each waits until it is let go."""

    def __init__(self) -> None:
        self.groups: list[tuple[Hashable, list[int]]] = []
        self.refused: set[int] = set()
        self.away = False
        self.open = asyncio.Event()
        self.gathered: Gathered[int, int] = Gathered(self.load)

    async def load(self, key: Hashable, asked: Sequence[int]) -> list[int]:
        self.groups.append((key, list(asked)))
        await self.open.wait()
        if self.away:
            raise StoreUnavailable("the database went away")
        if self.refused & set(asked):
            raise Conflict("there is one already")
        return [10 * each for each in asked]


async def ask_all(loads: Loads, numbers: Sequence[int], key: str = "a") -> list[int | BaseException]:
    waiting = [asyncio.create_task(loads.gathered.ask(key, number)) for number in numbers]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    loads.open.set()
    return list(await asyncio.gather(*waiting, return_exceptions=True))


async def test_one_alone_waits_for_nobody_and_those_who_come_meanwhile_are_the_next_group() -> None:
    loads = Loads()
    first = asyncio.create_task(loads.gathered.ask("a", 1))
    while not loads.groups:
        await asyncio.sleep(0)
    assert loads.groups == [("a", [1])]
    assert await ask_all(loads, [2, 3, 4]) == [20, 30, 40]
    assert await first == 10
    assert loads.groups == [("a", [1]), ("a", [2, 3, 4])]


async def test_who_is_refused_refuses_nobody_else() -> None:
    loads = Loads()
    loads.refused = {3, 6}
    answers = await ask_all(loads, range(8))
    for number, answer in enumerate(answers):
        if number in loads.refused:
            assert isinstance(answer, Conflict)
        else:
            assert answer == 10 * number


async def test_of_a_database_that_is_away_everybody_hears_at_once() -> None:
    loads = Loads()
    loads.away = True
    answers = await ask_all(loads, range(100))
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert len(loads.groups) == 1


async def test_groups_of_different_keys_run_beside_each_other_and_none_grows_beyond_its_bound() -> None:
    loads = Loads()
    held = [asyncio.create_task(ask_all(loads, range(2 * GROUP_MAX + 1), key)) for key in ("a", "b")]
    assert await asyncio.gather(*held)
    assert {key for key, _ in loads.groups[:2]} == {"a", "b"}
    assert max(len(group) for _, group in loads.groups) == GROUP_MAX
    assert not loads.gathered._waiting


async def test_who_is_cancelled_leaves_and_the_others_are_served() -> None:
    loads = Loads()
    tasks = [asyncio.create_task(loads.gathered.ask("a", number)) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    loads.open.set()
    assert list(await asyncio.gather(tasks[0], tasks[2])) == [0, 20]
