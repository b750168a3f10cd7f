"""The tables [hours] and [caps]: when marketing may leave, and how much of it one person gets."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from smsgate.campaigns.caps import SAFE_CAPS, CapLimits
from smsgate.campaigns.hours import hours_rules
from smsgate.flows.gates import Gates

_TABLE = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
MESSAGES_MAX = 1_000  # a person; more is no cap


class HoursSettings(BaseModel):
    model_config = _TABLE

    enforce: bool = Field(
        strict=True, default=True, description="true; false only where no carrier but a simulator is reached"
    )
    waived: tuple[str, ...] = Field(
        default=(), max_length=100, description="ids of uncertain rules that your lawyer let you waive"
    )

    @field_validator("waived")
    @classmethod
    def _are_uncertain(cls, waived: tuple[str, ...]) -> tuple[str, ...]:
        may_be = {rule.id for rule in hours_rules() if not rule.certain}
        if wrong := sorted(set(waived) - may_be):
            raise ValueError(
                f"{wrong[0][:60]} is no rule that can be waived; these can: {', '.join(sorted(may_be))}"
            )
        return waived


def _cap(description: str, default: int) -> Any:
    return Field(strict=True, default=default, ge=0, le=MESSAGES_MAX, description=description)


class CapSettings(BaseModel):
    model_config = _TABLE

    person_per_day_max: int = _cap(
        "messages in 24 hours, all merchants; 0: no cap", SAFE_CAPS.person_per_day_max
    )
    person_per_week_max: int = _cap(
        "messages in 7 days, all merchants; 0: no cap", SAFE_CAPS.person_per_week_max
    )
    merchant_per_day_max: int = _cap(
        "messages in 24 hours of one merchant; 0: no cap", SAFE_CAPS.merchant_per_day_max
    )
    merchant_per_week_max: int = _cap(
        "messages in 7 days of one merchant; 0: no cap", SAFE_CAPS.merchant_per_week_max
    )

    def limits(self) -> CapLimits:
        return CapLimits(**self.model_dump())


# For simulators, where nobody is bothered.
UNCAPPED: Final = CapSettings(
    person_per_day_max=0, person_per_week_max=0, merchant_per_day_max=0, merchant_per_week_max=0
)


def gates_of(hours: HoursSettings, caps: CapSettings) -> Gates:
    """Return what lets marketing out by these settings."""
    return Gates(enforce_hours=hours.enforce, waived=frozenset(hours.waived), caps=caps.limits())
