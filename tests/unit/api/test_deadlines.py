"""Deadlines of one length, with one timer for all."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from smsgate.api.deadlines import Deadlines


async def test_each_task_ends_at_its_own_time_and_who_is_done_is_left_alone() -> None:
    deadlines, loop = Deadlines(0.1), asyncio.get_running_loop()

    async def stuck(after_s: float) -> float:
        await asyncio.sleep(after_s)
        started = loop.time()
        with pytest.raises(TimeoutError):
            await deadlines.run(asyncio.sleep(60))
        current = asyncio.current_task()
        assert current is not None
        assert not current.cancelling()
        return loop.time() - started

    async def quick() -> str:
        done = await deadlines.run(asyncio.sleep(0.02, "done"))
        await asyncio.sleep(0.2)  # beyond the deadline that it had
        return done

    first, second, done = await asyncio.gather(stuck(0), stuck(0.06), quick())
    assert done == "done"
    assert 0.09 <= first < 1
    assert 0.09 <= second < 1
    with pytest.raises(TimeoutError):  # the timer starts again after a pause
        await deadlines.run(asyncio.sleep(60))


async def test_who_is_cancelled_by_another_is_cancelled_and_not_late() -> None:
    deadlines = Deadlines(60)
    task = asyncio.create_task(deadlines.run(asyncio.sleep(30)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_by_another_and_by_the_deadline_is_cancelled() -> None:
    deadlines = Deadlines(0.02)

    async def slow_to_end() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
            raise

    task = asyncio.create_task(deadlines.run(slow_to_end()))
    await asyncio.sleep(0.06)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_ends_although_it_was_cancelled_leaves_its_task_as_it_was() -> None:
    deadlines = Deadlines(0.02)

    async def stubborn() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(30)
        return "done"

    assert await deadlines.run(stubborn()) == "done"
    current = asyncio.current_task()
    assert current is not None
    assert not current.cancelling()
    await asyncio.sleep(0.01)
