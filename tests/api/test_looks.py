"""Who looks through an audience at once, who waits for that, and who is told to come again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from smsgate.api import looks
from smsgate.api.looks import AT_ONCE_MAX, KEPT, PER_MERCHANT_MAX, WAITING_MAX, Looks
from smsgate.errors import TooSoon


async def looked(given: Looks, merchant_id: int) -> int:
    async with given.turn(merchant_id):
        await asyncio.sleep(0)
    return merchant_id


async def test_who_waits_looks_in_the_order_of_coming_and_holds_up_no_other_merchant() -> None:
    given, order = Looks(), []

    async def look(merchant_id: int, name: str) -> None:
        async with given.turn(merchant_id):
            order.append(name)

    async with AsyncExitStack() as others:
        async with AsyncExitStack() as own:
            for _ in range(PER_MERCHANT_MAX):
                await own.enter_async_context(given.turn(1))
            waiting = [asyncio.create_task(look(1, name)) for name in ("first", "second")]
            await asyncio.sleep(0)
            await look(2, "another merchant")
            assert order == ["another merchant"]
            for merchant_id in range(10, 10 + AT_ONCE_MAX - PER_MERCHANT_MAX):
                await others.enter_async_context(given.turn(merchant_id))
            last = asyncio.create_task(look(3, "third merchant"))
            await asyncio.sleep(0)
            assert order == ["another merchant"]
        await asyncio.gather(*waiting, last)
    assert order == ["another merchant", "third merchant", "first", "second"]


async def test_two_merchants_with_long_looks_stop_nobody_else() -> None:
    given = Looks()
    async with AsyncExitStack() as stack:
        for merchant_id in (1, 1, 2):
            await stack.enter_async_context(given.turn(merchant_id))
        more = [asyncio.create_task(looked(given, merchant_id)) for merchant_id in (1, 2)]
        await asyncio.sleep(0)
        for merchant_id in range(3, 6):
            assert await looked(given, merchant_id) == merchant_id
        assert not any(task.done() for task in more), f"{KEPT} is kept for who has none under way"
    assert await asyncio.gather(*more) == [1, 2]


async def test_who_waited_in_vain_is_told_when_to_come_again_and_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(looks, "WAIT_S", 0.02)
    given = Looks()
    async with AsyncExitStack() as stack:
        for _ in range(PER_MERCHANT_MAX):
            await stack.enter_async_context(given.turn(1))
        with pytest.raises(TooSoon) as refused:
            await looked(given, 1)
        assert refused.value.retry_after_s > 0
    assert await asyncio.gather(*(looked(given, 1) for _ in range(20))) == [1] * 20


async def test_no_more_than_a_room_full_of_one_merchants_wait() -> None:
    given = Looks()
    async with AsyncExitStack() as stack:
        for _ in range(PER_MERCHANT_MAX):
            await stack.enter_async_context(given.turn(1))
        waiting = [asyncio.create_task(looked(given, 1)) for _ in range(WAITING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(TooSoon):
            await looked(given, 1)
        assert await looked(given, 2) == 2
    assert await asyncio.gather(*waiting) == [1] * WAITING_MAX


async def test_a_turn_that_is_given_to_who_is_just_cut_off_goes_to_the_next() -> None:
    given = Looks()
    async with AsyncExitStack() as stack:
        for _ in range(PER_MERCHANT_MAX):
            await stack.enter_async_context(given.turn(1))
        waiting = [asyncio.create_task(looked(given, 1)) for _ in range(3)]
        await asyncio.sleep(0)
        await stack.aclose()  # two of them have their turn now, and do not know it yet
        waiting[0].cancel()
        waiting[1].cancel()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ended] == [asyncio.CancelledError, asyncio.CancelledError, int]
    assert await asyncio.gather(*(looked(given, 1) for _ in range(5))) == [1] * 5
