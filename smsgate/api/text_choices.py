"""How answers show a text's ways to be written, and what was or could be replaced in it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from smsgate.api.models import AnswerModel
from smsgate.flows.commerce_records import TextChoice
from smsgate.money import micros_to_text
from smsgate.protocol.replacements import Replacement


class ReplacementAnswer(AnswerModel):
    position: int = Field(description="In characters (code points) of the text before.")
    before: str
    after: str = Field(description="Empty: left out.")


class TextChoiceAnswer(AnswerModel):
    encoding: str
    tables: str = Field(description="Language tables, such as single:pt; empty for none.")
    units: int = Field(description="Septets of gsm7, words of 16 bits of ucs2.")
    segments: int
    replaced: bool = Field(description="With the replacements, or as it was written.")
    permitted: bool = Field(description="One segment, in an alphabet that the sender's carrier takes.")


class PricedChoice(TextChoiceAnswer):
    cost_min: str | None = Field(description="Of one recipient at the cheapest network; null: no price.")
    cost_max: str | None = Field(description="Of one recipient at the dearest network.")


class CampaignChoice(TextChoiceAnswer):
    cost: str = Field(description="Of all priced recipients.")


def as_replacements(replacements: Iterable[Replacement]) -> list[ReplacementAnswer]:
    return [ReplacementAnswer(**each._asdict()) for each in replacements]


def as_priced_choices(choices: Iterable[TextChoice]) -> list[PricedChoice]:
    return [
        PricedChoice(
            **_members(choice),
            cost_min=None if choice.cost_min_micros is None else micros_to_text(choice.cost_min_micros),
            cost_max=None if choice.cost_max_micros is None else micros_to_text(choice.cost_max_micros),
        )
        for choice in choices
    ]


def as_campaign_choices(choices: Iterable[TextChoice]) -> list[CampaignChoice]:
    return [
        CampaignChoice(**_members(choice), cost=micros_to_text(choice.cost_max_micros or 0))
        for choice in choices
    ]


def _members(choice: TextChoice) -> dict[str, object]:
    return {name: getattr(choice, name) for name in TextChoiceAnswer.model_fields}
