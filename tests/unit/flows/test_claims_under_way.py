"""Claims may overlap; who compares the books with the database sees none of them half done."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.flows.claim_turns import CLAIM_PEOPLE_MAX, PREFETCH, HeldChunks
from smsgate.flows.claims_under_way import ClaimsUnderWay
from tests.unit.flows.test_claim_turns import a_state

KEY = (1, 7)


async def test_whoever_waits_for_none_lets_no_claim_begin_and_goes_after_the_last() -> None:
    under_way, order = ClaimsUnderWay(), list[str]()
    release = asyncio.Event()

    async def claim(name: str) -> None:
        async with under_way.one([KEY]):
            order.append(f"{name} begins")
            await release.wait()
            order.append(f"{name} ends")

    async def compare() -> None:
        async with under_way.none():
            order.append("compared")
            await asyncio.sleep(0)
            order.append("done")

    tasks = [asyncio.create_task(claim(name)) for name in ("first", "second")]
    await asyncio.sleep(0)
    assert under_way.of(KEY) == 2
    tasks += [asyncio.create_task(compare()), asyncio.create_task(compare())]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(claim("third")))
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*tasks)
    assert order[:2] == ["first begins", "second begins"]
    assert order[2:4] == ["first ends", "second ends"]
    assert order[4:].count("compared") == 2
    for nth, what in enumerate(order):
        if what == "compared":
            assert order[nth + 1] == "done"
    assert order.index("third begins") > order.index("done")
    assert under_way.of(KEY) == 0


async def test_a_claim_that_fails_is_under_way_no_more() -> None:
    under_way = ClaimsUnderWay()
    with pytest.raises(ValueError, match="it"):
        async with under_way.one([KEY]):
            raise ValueError("it")
    async with under_way.none():
        assert under_way.of(KEY) == 0


async def test_who_gives_up_waiting_for_none_lets_claims_begin_again() -> None:
    under_way = ClaimsUnderWay()
    async with under_way.one([KEY]):
        waiting = asyncio.create_task(under_way.none().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(1), under_way.one([KEY]):
            assert under_way.of(KEY) == 2


async def test_claims_under_way_count_as_chunks_in_memory() -> None:
    under_way = ClaimsUnderWay()
    held = HeldChunks([], under_way)
    large = a_state(*KEY, 10 * CLAIM_PEOPLE_MAX)
    async with under_way.one([KEY] * (PREFETCH - 1)):
        assert held.wants_more(large, frozenset())
        async with under_way.one([KEY]):
            assert not held.wants_more(large, frozenset())
    assert held.wants_more(large, frozenset())


async def test_a_campaign_of_one_chunk_is_not_asked_for_while_it_is_claimed() -> None:
    under_way = ClaimsUnderWay()
    held = HeldChunks([], under_way)
    async with under_way.one([KEY]):
        assert not held.wants_more(a_state(*KEY, 1), frozenset())
        assert held.wants_more(a_state(1, 8, 1), frozenset())


async def test_the_merchant_with_claims_under_way_has_its_turn_later() -> None:
    under_way = ClaimsUnderWay()
    held = HeldChunks([], under_way)
    states = [a_state(1, 7, 10_000), a_state(2, 8, 10_000)]
    async with under_way.one([KEY]):
        assert [state.campaign_id for state in held.in_turn(states)] == [8, 7]
    assert [state.campaign_id for state in held.in_turn(states)] == [7, 8]
