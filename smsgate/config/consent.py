"""The table [consent]: how far a STOP reaches, and who answers for numbers that several merchants share."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from smsgate.campaigns.consent_commands import DatedReach, SmsRules, StopReach
from smsgate.campaigns.texts import FIELD_CHARACTERS_MAX

_TABLE = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StopReachSettings(BaseModel):
    model_config = _TABLE

    since: date = Field(description="a day like 2027-01-31")
    reach: StopReach = Field(description='"number", "offer" or "all"')


class ConsentSettings(BaseModel):
    model_config = _TABLE

    stop_reach: tuple[StopReachSettings, ...] = Field(
        default=(StopReachSettings(since=date(2020, 1, 1), reach=StopReach.NUMBER),),
        min_length=1,
        max_length=20,
        description='a list like [{ since = 2020-01-01, reach = "number" }]',
    )

    contact: str = Field(
        default="",
        max_length=FIELD_CHARACTERS_MAX["contact"],
        description="whom HELP names to a stranger, where several merchants write from the number",
    )

    def reaches(self) -> tuple[DatedReach, ...]:
        return tuple(DatedReach(each.since, each.reach) for each in self.stop_reach)

    def rules(self) -> SmsRules:
        return SmsRules(self.reaches(), self.contact)
