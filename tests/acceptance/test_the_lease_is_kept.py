"""A process keeps its lease however busy its database is: renewals queue behind nobody."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr

from smsgate.config import DatabaseSettings, NodeSettings, Settings
from smsgate.daemon.process import running
from smsgate.store.node_lease import RENEW_INTERVAL_S, TTL_S, renew
from smsgate.store.pool import PoolSizes
from tests.acceptance.town import Ground


async def test_a_control_pool_that_others_hold_for_longer_than_the_lease_lives_ends_no_process(
    ground: Ground,
) -> None:
    settings = Settings(
        node=NodeSettings(state_dir=ground.state_dir, roles=("webhooks",)),
        database=DatabaseSettings(dsn=SecretStr(ground.dsn)),
    )
    async with running(settings, say=print) as process:
        database = process.services.database
        async with AsyncExitStack() as others:
            for _ in range(PoolSizes().control):
                await others.enter_async_context(database.control())
            with pytest.raises(TimeoutError):  # it goes on: neither LoopDied nor the end
                await asyncio.wait_for(process.wait(asyncio.Event()), TTL_S + RENEW_INTERVAL_S)
        async with database.control() as connection:
            assert await renew(connection, process.services.lease)
