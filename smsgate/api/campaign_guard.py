"""How a campaign's guard is written and shown."""

from __future__ import annotations

from pydantic import Field

from smsgate.api.models import AnswerModel, RequestModel
from smsgate.campaigns.guard import FIRST_SENDS_MAX, FIRST_SENDS_MIN, GuardOverrides, percent, share
from smsgate.flows.commerce_records import CampaignRecord


class GuardModel(RequestModel):
    """More than these shares pause the campaign. What is left out is the gateway's own limit."""

    first_sends: int | None = Field(
        default=None,
        ge=FIRST_SENDS_MIN,
        le=FIRST_SENDS_MAX,
        description="The shares are of so many sends at first, and of all sends once more have left.",
    )
    stop_percent: float | None = Field(default=None, ge=0, le=100, description="Of people who stop.")
    failure_percent: float | None = Field(
        default=None, ge=0, le=100, description="Of messages refused or not delivered; 100 never pauses."
    )

    def overrides(self) -> GuardOverrides:
        stops, failures = self.stop_percent, self.failure_percent
        return GuardOverrides(
            self.first_sends,
            None if stops is None else share(stops),
            None if failures is None else share(failures),
        )


class GuardAnswer(AnswerModel):
    on: bool = Field(description="false: resumed all the same after it paused the campaign.")
    first_sends: int | None = Field(description="null: the gateway's, as the other two.")
    stop_percent: float | None
    failure_percent: float | None


def guard_answer(record: CampaignRecord) -> GuardAnswer:
    guard = record.guard
    return GuardAnswer(
        on=not record.guard_off,
        first_sends=guard.first_sends,
        stop_percent=None if guard.stop_share is None else percent(guard.stop_share),
        failure_percent=None if guard.failure_share is None else percent(guard.failure_share),
    )
