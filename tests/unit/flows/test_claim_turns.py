"""Whose turn it is to claim, and who shares a claim."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.claim_turns import (
    CLAIM_CAMPAIGNS_MAX,
    CLAIM_PEOPLE_MAX,
    FIRST_HELD_MAX,
    MERCHANT_HELD_MAX,
    HeldChunks,
    claim_groups,
    people_of,
)
from smsgate.flows.claims_under_way import ClaimsUnderWay
from smsgate.flows.records import CampaignState, ChunkKey
from tests.batches import batch_of

SIZE = 4_000


def a_state(
    merchant_id: int, campaign_id: int, recipients: int, *, weight: int = 1, pace: int | None = None
) -> CampaignState:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    return CampaignState(
        merchant_id, campaign_id, "sending", "36111", at, weight, pace, recipients, budgeted=False
    )


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([0, 1, 2, 400, 999, 5_000])), max_size=300))
def test_campaigns_are_grouped_by_merchant_within_bounds_and_each_is_in_one_group(
    campaigns: list[tuple[int, int]],
) -> None:
    states = [a_state(merchant, n, size) for n, (merchant, size) in enumerate(campaigns)]
    groups = claim_groups(states)
    assert Counter(chain(*groups)) == Counter(states)
    assert [group[0] for group in groups] == sorted((group[0] for group in groups), key=states.index)
    for group in groups:
        assert len({state.merchant_id for state in group}) == 1
        assert group == sorted(group, key=states.index)
        assert len(group) <= CLAIM_CAMPAIGNS_MAX
        assert len(group) == 1 or sum(map(people_of, group)) <= CLAIM_PEOPLE_MAX


def test_campaigns_of_one_person_share_a_claim_though_other_merchants_stand_between_them() -> None:
    states = [a_state(n % 2 + 1, n, 1) for n in range(20)]
    assert [len(group) for group in claim_groups(states)] == [10, 10]


def test_a_campaign_of_unknown_size_claims_alone() -> None:
    assert [len(group) for group in claim_groups([a_state(1, n, 0) for n in range(3)])] == [1, 1, 1]


def test_of_merchants_with_nothing_in_memory_the_older_campaign_is_first() -> None:
    states = [a_state(1, 7, 1), a_state(2, 5, 1), a_state(1, 6, 1)]
    assert [state.campaign_id for state in HeldChunks([], ClaimsUnderWay()).in_turn(states)] == [5, 6, 7]


def held(messages: int, *, paced: bool) -> list[Batch]:
    """Return what is in memory of a campaign of merchant 1, in chunks of a carrier."""
    return [
        batch_of(
            range(first, first + SIZE), chunk=Chunk(ChunkKey(1, 1, first, 1), first, SIZE, 0, paced=paced)
        )
        for first in range(0, messages, SIZE)
    ]


def wants(batches: list[Batch], state: CampaignState, spread: frozenset[int] = frozenset()) -> bool:
    return HeldChunks(batches, ClaimsUnderWay()).wants_more(state, spread)


@pytest.mark.parametrize("paced", [False, True])
def test_a_merchant_with_nothing_in_memory_gets_a_chunk_while_memory_lasts(*, paced: bool) -> None:
    own, other = (a_state(merchant, 2, SIZE, pace=50 if paced else None) for merchant in (1, 2))
    full = held(FIRST_HELD_MAX, paced=paced)
    assert [wants(full, own), wants(full, other)] == [False, True]
    assert not wants(held(MERCHANT_HELD_MAX, paced=paced), other)
    assert wants(held(MERCHANT_HELD_MAX, paced=not paced), own), "what waits for a pace is counted apart"


def test_a_slow_campaign_has_one_chunk_in_memory_for_each_of_its_carriers() -> None:
    slow, batches = a_state(1, 1, SIZE, pace=600), held(SIZE, paced=True)
    assert not wants(batches, slow, frozenset({1}))
    assert wants(batches, slow, frozenset({1, 2})), "the people of the other carrier do not wait for this one"
