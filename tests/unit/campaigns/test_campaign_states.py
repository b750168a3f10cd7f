from __future__ import annotations

from itertools import product

import pytest

from smsgate.campaigns.campaign_states import TRANSITIONS, CampaignEvent, CampaignState, advance
from smsgate.errors import TransitionRefused

GRID = list(product(CampaignState, CampaignEvent))


@pytest.mark.parametrize(("state", "event"), [pair for pair in GRID if pair not in TRANSITIONS])
def test_every_pair_outside_the_table_is_refused(state: CampaignState, event: CampaignEvent) -> None:
    with pytest.raises(TransitionRefused) as refusal:
        advance(state, event)
    assert refusal.value.code == "campaign_state"


@pytest.mark.parametrize(("state", "event"), list(TRANSITIONS))
def test_every_pair_of_the_table_leads_where_it_says(state: CampaignState, event: CampaignEvent) -> None:
    assert advance(state, event) is TRANSITIONS[state, event]


def test_nothing_leaves_an_end() -> None:
    for (state, event), after in TRANSITIONS.items():
        if state in {CampaignState.CANCELLED, CampaignState.FINISHED}:
            assert after is state, event


def test_every_state_can_be_reached_from_a_draft() -> None:
    reached = {CampaignState.DRAFT}
    for _ in CampaignState:
        reached |= {after for (state, _event), after in TRANSITIONS.items() if state in reached}
    assert reached == set(CampaignState)
