"""The campaign: from a draft to its end. Chunks and messages follow it; they have no state of this kind."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from smsgate.errors import TransitionRefused


class CampaignState(StrEnum):
    DRAFT = "draft"
    SENDING = "sending"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class CampaignEvent(StrEnum):
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    FINISH = "finish"  # every chunk is done


_S, _E = CampaignState, CampaignEvent

# Every pair that is not here is refused; tests walk the whole grid. A request that comes twice changes
# nothing, but for START: a second start would be a wish to send again, and that is another campaign.
TRANSITIONS: Final[dict[tuple[CampaignState, CampaignEvent], CampaignState]] = {
    (_S.DRAFT, _E.START): _S.SENDING,
    (_S.DRAFT, _E.CANCEL): _S.CANCELLED,
    (_S.SENDING, _E.PAUSE): _S.PAUSED,
    (_S.SENDING, _E.RESUME): _S.SENDING,
    (_S.SENDING, _E.CANCEL): _S.CANCELLED,
    (_S.SENDING, _E.FINISH): _S.FINISHED,
    (_S.PAUSED, _E.PAUSE): _S.PAUSED,
    (_S.PAUSED, _E.RESUME): _S.SENDING,
    (_S.PAUSED, _E.CANCEL): _S.CANCELLED,
    (_S.CANCELLED, _E.CANCEL): _S.CANCELLED,
}


def advance(state: CampaignState, event: CampaignEvent) -> CampaignState:
    """
    Return the state after `event`.

    Raises:
        TransitionRefused: code `campaign_state`.
    """
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise TransitionRefused(f"a campaign that is {state} does not take {event}", code="campaign_state")
    return after
