"""Loops of the process."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.clock import SystemClock
from smsgate.flows.loops import Loop


async def test_a_loop_that_is_woken_and_cancelled_at_once_ends() -> None:
    async def step() -> bool:
        return False

    loop = Loop("polls", step, SystemClock(), interval_s=60.0)
    task = asyncio.create_task(loop.run())
    await asyncio.sleep(0)
    loop.nudge()
    await asyncio.sleep(0)  # the wait has ended, and the loop may not know it yet
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await task
