"""A claim is under way while a reload takes its sender from all carriers: what it claimed waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smsgate.store.pool import Database
from smsgate.store.sending import StoredSending
from tests.flows.test_routing import two_carriers
from tests.flows.world import OTHER_SENDER, eventually


class _Held(StoredSending):
    """What a database answers when a test lets it."""

    claimed: asyncio.Event
    answer: asyncio.Event

    async def _held(self, found: Any) -> Any:
        if found:
            _Held.claimed.set()
            await _Held.answer.wait()
        return found


class _HeldClaims(_Held):
    async def claim_interactive(self, **kwargs: Any) -> Any:
        return await self._held(await super().claim_interactive(**kwargs))

    async def claim_chunks(self, *args: Any, **kwargs: Any) -> Any:
        return await self._held(await super().claim_chunks(*args, **kwargs))


class _HeldLook(_Held):
    async def claimable(self, *args: Any, **kwargs: Any) -> Any:
        return await self._held(await super().claimable(*args, **kwargs))


@pytest.mark.parametrize(
    ("what", "store"),
    [("a text", _HeldClaims), ("a chunk", _HeldClaims), ("the look for a chunk", _HeldLook)],
)
async def test_what_a_claim_got_waits_when_its_sender_went_meanwhile(
    database: Database, what: str, store: type[_Held]
) -> None:
    """It was settled as not sent (`sender_unknown`), for ever."""
    async with two_carriers(database, [], subscribers=1) as world:
        other = world.other
        assert other is not None
        world.other_senders = (OTHER_SENDER,)
        _Held.claimed, _Held.answer = asyncio.Event(), asyncio.Event()
        async with world.gateway() as gateway:
            gateway.claiming._store.__class__ = store
            if what == "a text":
                await world.system_message(0, "Bonjour", sender=OTHER_SENDER)
            else:
                await world.campaign(sender=OTHER_SENDER)
            gateway.pump.wake_claims.set()
            gateway.pump.wake_interactive.set()
            await _Held.claimed.wait()
            world.other = None
            await gateway.reload(world.profiles(), world.table())
            _Held.answer.set()
            await eventually(
                lambda: world.value(
                    "SELECT EXISTS (SELECT FROM message)"
                    " AND NOT EXISTS (SELECT FROM campaign_chunk WHERE owner IS NOT NULL)"
                    " AND NOT EXISTS (SELECT FROM interactive_queue WHERE owner IS NOT NULL)"
                )
            )
            assert await world.value("SELECT count(*) FROM sent") == 0
            world.other = other
            await gateway.reload(world.profiles(), world.table())
            await eventually(lambda: world.value("SELECT count(*) = 1 FROM sent WHERE status = 0"))
        assert other.smsc.log.accepted == 1
