"""Whom a campaign is for: everybody, tags or a list, narrowed by profile and purchases."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from pydantic import Field

from smsgate.api.commerce import commerce, msisdn_from_text
from smsgate.api.models import AnswerModel, PublicId, RequestModel, Tag
from smsgate.api.routes_subscribers import FIELDS_MAX, FieldName, FieldValue
from smsgate.api.routing import Call
from smsgate.errors import Invalid, NotFound
from smsgate.flows.audience import Audience
from smsgate.flows.campaigns import SUBSCRIBERS_MAX, TAGS_MAX
from smsgate.flows.commerce_records import PageAsk
from smsgate.security.public_ids import Kind

OFFERS_MAX: Final = 50  # of one audience


class AudienceModel(RequestModel):
    """
    Exactly one of all, tags and subscribers, narrowed by the others.

    Whoever is not subscribed when a chunk is sent gets nothing.
    """

    all: Literal[True] | None = None
    tags: list[Tag] | None = Field(
        default=None, min_length=1, max_length=TAGS_MAX, description="Any of these."
    )
    subscribers: list[PublicId] | None = Field(
        default=None, min_length=1, max_length=SUBSCRIBERS_MAX, description="Ids, or numbers as +33612345678."
    )
    fields: dict[FieldName, FieldValue] = Field(
        default_factory=dict, max_length=FIELDS_MAX, description="Who has all of these values."
    )
    bought_any: list[PublicId] = Field(
        default_factory=list,
        max_length=OFFERS_MAX,
        description="Who ordered one of these offers, by id or external_id.",
    )
    exclude_bought: list[PublicId] = Field(
        default_factory=list, max_length=OFFERS_MAX, description="Who ordered none of them."
    )


class AudienceAnswer(AnswerModel):
    all: bool
    tags: list[str] | None
    subscribers: int | None = Field(description="How many subscribers the list names.")
    fields: dict[str, str]
    bought_any: list[str]
    exclude_bought: list[str]


async def audience_of(call: Call, model: AudienceModel) -> Audience:
    given = [name for name in ("all", "tags", "subscribers") if getattr(model, name) is not None]
    if len(given) != 1:
        raise Invalid("name one of all, tags and subscribers", pointer="/audience")
    filters = Audience(
        fields=model.fields,
        bought_any=await _offers(call, model.bought_any),
        exclude_bought=await _offers(call, model.exclude_bought),
    )
    if model.tags is not None:
        return replace(filters, tags=tuple(dict.fromkeys(model.tags)))
    if model.subscribers is None:
        return filters
    ids = [call.decode(Kind.SUBSCRIBER, text) for text in model.subscribers if text.startswith("sub_")]
    written = [text for text in model.subscribers if not text.startswith("sub_")]
    numbers = [msisdn_from_text(text, "/audience/subscribers") for text in written]
    found = await commerce(call).campaigns.subscriber_ids(call.merchant_id, numbers) if numbers else ()
    return replace(filters, subscriber_ids=tuple(dict.fromkeys([*ids, *found])))


async def _offers(call: Call, named: list[str]) -> tuple[int, ...]:
    """Return offers that are named by id or external_id, each once."""
    found: list[int] = []
    for text in named:
        if text.startswith(f"{Kind.OFFER.value}_"):
            found.append(call.decode(Kind.OFFER, text))
            continue
        page = await commerce(call).offers.page(call.merchant_id, PageAsk(limit=1), text)
        if not page.rows:
            raise NotFound
        found.append(page.rows[0].offer.offer_id)
    return tuple(dict.fromkeys(found))


def as_audience(call: Call, audience: Audience) -> AudienceAnswer:
    return AudienceAnswer(
        all=audience.tags is None and audience.subscriber_ids is None,
        tags=None if audience.tags is None else list(audience.tags),
        subscribers=None if audience.subscriber_ids is None else len(audience.subscriber_ids),
        fields=dict(audience.fields),
        bought_any=[call.public(Kind.OFFER, offer_id) for offer_id in audience.bought_any],
        exclude_bought=[call.public(Kind.OFFER, offer_id) for offer_id in audience.exclude_bought],
    )
