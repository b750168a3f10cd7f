"""Campaigns: an offer for an audience, from a draft to its end."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from smsgate.api.audiences import AudienceAnswer, AudienceModel, as_audience, audience_of
from smsgate.api.campaign_guard import GuardAnswer, GuardModel, guard_answer
from smsgate.api.commerce import commerce
from smsgate.api.looks import WAIT_S
from smsgate.api.models import (
    AnswerModel,
    ExternalId,
    Page,
    PageQuery,
    PublicId,
    QueryModel,
    RequestModel,
)
from smsgate.api.problems import ProblemType
from smsgate.api.routes_offers import (
    LINT_ERRORS,
    OFFER_ERRORS,
    CreateOffer,
    FindingAnswer,
    as_findings,
    offer_draft,
)
from smsgate.api.routing import Answer, Call, Route
from smsgate.api.text_choices import CampaignChoice, as_campaign_choices
from smsgate.campaigns.campaign_states import CampaignEvent
from smsgate.campaigns.pacing import PER_MINUTE_MAX
from smsgate.flows.audience import LOOK_S_MAX
from smsgate.flows.commerce_records import CampaignRecord
from smsgate.flows.records import COUNTERS
from smsgate.money import micros_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

CampaignStateName = Literal["draft", "sending", "paused", "cancelled", "finished"]

# A start looks through the people twice: for their prices, then to cut them into chunks. Before that it may
# wait for its turn (`Looks`).
AUDIENCE_HANDLER_S: Final = WAIT_S + 2.0 * LOOK_S_MAX + 30.0

PROBLEMS: Final = (
    ProblemType("campaign_state", 409, "The campaign's state does not allow this", "Read its state."),
    ProblemType("price_missing", 422, "No price for a network", "`networks` lists them; ask the operator."),
    ProblemType("offer_closed", 409, "The offer is closed", "Make a new offer with a later expires_at."),
    ProblemType(
        "sold_out", 409, "Nothing of the offer is left", "Give it a larger stock, or make another offer."
    ),
    ProblemType("audience_empty", 422, "Nobody would get the offer", "Nobody of the audience is subscribed."),
    ProblemType("subscriber_unknown", 422, "A number that is no subscriber", "Import it with its consent."),
    ProblemType("msisdn_invalid", 422, "Not a mobile number", "Write it as +33612345678."),
    ProblemType(
        "campaign_guarded",
        409,
        "The guard paused this campaign",
        "Look at its stops and failures; resume?guard=off goes on all the same.",
    ),
)

START_ERRORS: Final = (
    *("campaign_state", "price_missing", "offer_closed", "sold_out", "audience_empty"),
    *LINT_ERRORS,
)


Pace = Annotated[int, Field(ge=1, le=PER_MINUTE_MAX)]


class CreateCampaign(RequestModel):
    offer: PublicId | CreateOffer = Field(description="An offer's id, or the offer itself.")
    audience: AudienceModel
    external_id: ExternalId | None = None
    messages_per_minute: Pace | None = Field(
        default=None, description="Left out or null: as fast as the carriers take them."
    )
    guard: GuardModel = Field(default_factory=GuardModel)
    start: bool = Field(
        default=False, description="Start at once. When the start is refused the draft stays, to be mended."
    )


class ChangeCampaign(RequestModel):
    """What is left out stays as it is."""

    messages_per_minute: Pace | None = Field(
        default=None, description="null: as fast as the carriers take them, from now on."
    )
    guard: GuardModel | None = Field(
        default=None, description="null: the gateway's limits. The guard is on again."
    )


class Progress(AnswerModel):
    recipients: int = Field(description="Chosen so far: a message exists.")
    accepted: int
    refused: int
    unknown: int = Field(description="No answer came: in doubt, not charged, never sent again.")
    not_sent: int
    delivered: int
    failed: int
    replies: int
    orders: int
    declines: int
    stops: int


class Campaign(AnswerModel):
    id: str
    external_id: str | None
    offer: str
    offer_version: int
    state: str
    audience: AudienceAnswer
    recipients: int = Field(description="Subscribed members of the audience at the start.")
    trigger: str | None
    messages_per_minute: int | None
    guard: GuardAnswer
    paused_reason: str | None = Field(
        description="`stop_rate` or `failure_rate`: the guard paused it. null: not paused, or by yourself."
    )
    cancelled_for: str | None = Field(
        description="withdrawn or superseded: what became of its offer; null when you cancelled it."
    )
    offers_wait_since: datetime | None = Field(
        description="No endpoint of yours takes orders since then: its offers wait, then go on. null: no."
    )
    held: str | None = Field(
        description="`budget`: it waits for a top-up, another cap or the next month (GET /v1/budget); "
        "`sold_out`: for pieces that come back, or a larger stock."
    )
    progress: Progress | None = Field(description="Only when one campaign is read.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class CountryEstimate(AnswerModel):
    country: str
    recipients: int
    priced: int
    cost: str


class PreviewAnswer(AnswerModel):
    text: str = Field(description="As one member of the audience would get it.")
    encoding: str
    septets: int
    segments: int
    recipients: int
    priced: int = Field(description="Recipients whose network has a price; the others would not be sent.")
    currency: str
    cost: str = Field(description="Estimate: by the number's block, before number portability.")
    countries: list[CountryEstimate]
    findings: list[FindingAnswer] = Field(
        description="What keeps it from starting: by the rules of today, in the countries of its people."
    )
    alternatives: list[CampaignChoice] = Field(description="Every way to write the text, with its cost.")


class ResumeQuery(QueryModel):
    guard: Literal["off"] | None = Field(
        default=None, description="Needed after the guard paused it: it goes on unguarded."
    )


class CampaignQuery(PageQuery):
    state: CampaignStateName | None = None
    external_id: str | None = Field(default=None, max_length=100)


async def create_campaign(call: Call) -> Answer:
    body = call.body_as(CreateCampaign)
    if not body.start:
        return as_campaign(call, await _create(call, body))
    async with _look(call):  # before anything is written: who has to come again finds nothing made
        record = await _create(call, body)
        return as_campaign(call, await commerce(call).campaigns.start(call.merchant_id, record.campaign_id))


async def _create(call: Call, body: CreateCampaign) -> CampaignRecord:
    audience = await audience_of(call, body.audience)
    if isinstance(body.offer, CreateOffer):
        draft = await offer_draft(call, body.offer, "/offer")
        offer_id = (await commerce(call).offers.create(call.merchant_id, draft)).offer.offer_id
    else:
        offer_id = call.decode(Kind.OFFER, body.offer)
    return await commerce(call).campaigns.create(
        call.merchant_id,
        offer_id,
        audience,
        body.external_id,
        messages_per_minute=body.messages_per_minute,
        guard=body.guard.overrides(),
    )


def _look(call: Call) -> AbstractAsyncContextManager[None]:
    return call.context.looks.turn(call.merchant_id)


async def get_campaign(call: Call) -> Answer:
    record, counters = await commerce(call).campaigns.get(call.merchant_id, call.path_id(Kind.CAMPAIGN))
    progress = Progress(**{kind: counters.get(kind, 0) for kind in COUNTERS})
    return as_campaign(call, record, progress)


async def list_campaigns(call: Call) -> Answer:
    query = call.query_as(CampaignQuery)
    page = await commerce(call).campaigns.page(
        call.merchant_id, call.page_ask(Kind.CAMPAIGN), query.state, query.external_id
    )
    return call.page_answer(Page[Campaign], [as_campaign(call, row) for row in page.rows], page.has_more)


async def preview_campaign(call: Call) -> Answer:
    campaign_id = call.path_id(Kind.CAMPAIGN)
    async with _look(call):
        preview = await commerce(call).campaigns.preview(call.merchant_id, campaign_id)
    return PreviewAnswer(
        text=preview.text,
        encoding=preview.encoding,
        septets=preview.units,
        segments=preview.segments,
        recipients=preview.recipients,
        priced=preview.priced,
        currency=preview.currency,
        cost=micros_to_text(preview.cost_micros),
        countries=[
            CountryEstimate(
                country=row.country,
                recipients=row.recipients,
                priced=row.priced,
                cost=micros_to_text(row.cost_micros),
            )
            for row in preview.countries
        ],
        findings=as_findings(preview.findings),
        alternatives=as_campaign_choices(preview.choices),
    )


async def start_campaign(call: Call) -> Answer:
    campaign_id = call.path_id(Kind.CAMPAIGN)
    async with _look(call):
        record = await commerce(call).campaigns.start(call.merchant_id, campaign_id)
    return as_campaign(call, record)


async def change_campaign(call: Call) -> Answer:
    body = call.body_as(ChangeCampaign)
    campaigns, campaign_id = commerce(call).campaigns, call.path_id(Kind.CAMPAIGN)
    if "messages_per_minute" in body.model_fields_set:
        await campaigns.set_pace(call.merchant_id, campaign_id, body.messages_per_minute)
    if "guard" in body.model_fields_set:
        overrides = (body.guard or GuardModel()).overrides()
        await campaigns.set_guard(call.merchant_id, campaign_id, overrides)
    return as_campaign(call, (await campaigns.get(call.merchant_id, campaign_id))[0])


async def pause_campaign(call: Call) -> Answer:
    return await _change(call, CampaignEvent.PAUSE)


async def resume_campaign(call: Call) -> Answer:
    guard_off = call.query_as(ResumeQuery).guard is not None
    campaign_id = call.path_id(Kind.CAMPAIGN)
    async with _look(call):
        record = await commerce(call).campaigns.change(
            call.merchant_id, campaign_id, CampaignEvent.RESUME, guard_off=guard_off
        )
    return as_campaign(call, record)


async def cancel_campaign(call: Call) -> Answer:
    return await _change(call, CampaignEvent.CANCEL)


async def _change(call: Call, event: CampaignEvent) -> Answer:
    campaign_id = call.path_id(Kind.CAMPAIGN)
    return as_campaign(call, await commerce(call).campaigns.change(call.merchant_id, campaign_id, event))


def as_campaign(call: Call, record: CampaignRecord, progress: Progress | None = None) -> Campaign:
    return Campaign(
        id=call.public(Kind.CAMPAIGN, record.campaign_id),
        external_id=record.external_id,
        offer=call.public(Kind.OFFER, record.offer_id),
        offer_version=record.offer_version,
        state=record.state,
        audience=as_audience(call, record.audience),
        recipients=record.recipients,
        trigger=None if record.trigger_id is None else call.public(Kind.TRIGGER, record.trigger_id),
        messages_per_minute=record.messages_per_minute,
        guard=guard_answer(record),
        paused_reason=record.paused_reason,
        cancelled_for=record.cancelled_for,
        offers_wait_since=record.shop_lost_at if record.state == "sending" else None,
        held=record.held,
        progress=progress,
        created_at=record.created_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
    )


ROUTES: Final = (
    Route(
        "POST",
        "/v1/campaigns",
        create_campaign,
        "Create a campaign",
        Scope.SEND,
        request=CreateCampaign,
        response=Campaign,
        status=201,
        errors=(
            "subscriber_unknown",
            "msisdn_invalid",
            *START_ERRORS,
            *(e for e in OFFER_ERRORS if e not in START_ERRORS),
        ),
        handler_s=AUDIENCE_HANDLER_S,
    ),
    Route(
        "GET",
        "/v1/campaigns",
        list_campaigns,
        "List campaigns",
        Scope.READ,
        query=CampaignQuery,
        response=Page[Campaign],
    ),
    Route("GET", "/v1/campaigns/{id}", get_campaign, "Read a campaign", Scope.READ, response=Campaign),
    Route(
        "PATCH",
        "/v1/campaigns/{id}",
        change_campaign,
        "Change a campaign's pace and guard",
        Scope.SEND,
        request=ChangeCampaign,
        response=Campaign,
        errors=("campaign_state",),
    ),
    Route(
        "POST",
        "/v1/campaigns/{id}/preview",
        preview_campaign,
        "See text, reach and cost",
        Scope.READ,
        response=PreviewAnswer,
        handler_s=AUDIENCE_HANDLER_S,
    ),
    Route(
        "POST",
        "/v1/campaigns/{id}/start",
        start_campaign,
        "Start sending",
        Scope.SEND,
        response=Campaign,
        errors=START_ERRORS,
        handler_s=AUDIENCE_HANDLER_S,
    ),
    Route(
        "POST",
        "/v1/campaigns/{id}/pause",
        pause_campaign,
        "Pause sending",
        Scope.SEND,
        response=Campaign,
        errors=("campaign_state", "conflict"),
    ),
    Route(
        "POST",
        "/v1/campaigns/{id}/resume",
        resume_campaign,
        "Go on sending",
        Scope.SEND,
        query=ResumeQuery,
        response=Campaign,
        errors=("campaign_state", "campaign_guarded", "conflict", "price_missing", *LINT_ERRORS),
        handler_s=AUDIENCE_HANDLER_S,
    ),
    Route(
        "POST",
        "/v1/campaigns/{id}/cancel",
        cancel_campaign,
        "End a campaign",
        Scope.SEND,
        response=Campaign,
        errors=("campaign_state", "conflict"),
    ),
)
