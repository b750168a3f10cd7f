"""A process keeps its lease however busy its database is: renewals queue behind nobody."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime

import pytest
from pydantic import SecretStr

from smsgate.campaigns.reply_words import shared
from smsgate.clock import SystemClock
from smsgate.config import DatabaseSettings, HttpSettings, NodeSettings, Settings
from smsgate.daemon.process import running
from smsgate.daemon.services import LoopDied, keep_lease, while_leased
from smsgate.store.node_lease import RENEW_INTERVAL_S, TTL_S, Renewals, renew, take_slot
from smsgate.store.pool import PoolSizes
from tests.acceptance.town import Ground


def a_process(ground: Ground, role: str = "webhooks") -> Settings:
    return Settings(
        node=NodeSettings(state_dir=ground.state_dir, roles=(role,)),
        database=DatabaseSettings(dsn=SecretStr(ground.dsn)),
        http=HttpSettings(port=0, health_port=0),
    )


class FirstLook(SystemClock):
    """Notes whether the tables are at hand when the process first asks for the time: before its lease."""

    def __init__(self) -> None:
        self.at_hand: bool | None = None

    def now(self) -> datetime:
        if self.at_hand is None:
            self.at_hand = shared.cache_info().currsize == 1
        return super().now()


async def test_the_tables_of_replies_are_at_hand_before_there_is_a_lease_to_lose(ground: Ground) -> None:
    shared.cache_clear()
    clock = FirstLook()
    async with running(a_process(ground, "api"), say=print, clock=clock):
        assert clock.at_hand


async def test_a_control_pool_that_others_hold_for_longer_than_the_lease_lives_ends_no_process(
    ground: Ground,
) -> None:
    async with running(a_process(ground), say=print) as process:
        database = process.services.database
        async with AsyncExitStack() as others:
            for _ in range(PoolSizes().control):
                await others.enter_async_context(database.control())
            with pytest.raises(TimeoutError):  # it goes on: neither LoopDied nor the end
                await asyncio.wait_for(process.wait(asyncio.Event()), TTL_S + RENEW_INTERVAL_S)
        async with database.control() as connection:
            assert await renew(connection, process.services.lease)


async def test_a_lease_that_is_lost_during_a_start_breaks_it_off(ground: Ground) -> None:
    async with running(a_process(ground), say=print) as process:
        assert await while_leased(process.services, asyncio.sleep(0, "done")) == "done"
        async with process.services.database.control() as connection:
            await connection.execute("UPDATE node SET expires_at = now()")
        long_start = asyncio.Event().wait()
        with pytest.raises(LoopDied, match="lease"):
            await asyncio.wait_for(while_leased(process.services, long_start), 3 * RENEW_INTERVAL_S)


async def test_a_lease_that_was_long_in_coming_is_renewed_so_much_sooner(ground: Ground) -> None:
    left_s = RENEW_INTERVAL_S - 0.1  # of the lease, when the answer is there
    async with running(a_process(ground), say=print) as process:
        database = process.services.database
        async with database.control() as connection:
            lease = await take_slot(connection, "slow", left_s)
        asked_at = asyncio.get_running_loop().time() - (TTL_S - left_s)
        keeping = asyncio.create_task(keep_lease(Renewals(database), lease, asked_at))
        await asyncio.sleep(2 * RENEW_INTERVAL_S)
        assert not keeping.done()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
