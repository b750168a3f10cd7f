"""No task of a process dies in silence: whichever ends by itself ends the process."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.daemon.services import LoopDied
from tests.acceptance.town import Ground, an_empty_town


@pytest.mark.parametrize("name", ["notices", "loop-lag", "webhook-settling", "housekeeping", "lease"])
async def test_a_task_that_ends_by_itself_ends_the_process(ground: Ground, name: str) -> None:
    async with an_empty_town(ground) as town, town.gateway() as process:
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == name]
        waiting = asyncio.create_task(process.wait(asyncio.Event()))
        await asyncio.sleep(0)
        assert not waiting.done()
        task.cancel()
        with pytest.raises(LoopDied):
            await asyncio.wait_for(waiting, 5)
