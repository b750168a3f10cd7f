"""Triggers: a shop that can only emit webhooks starts campaigns by them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field

from smsgate.api.commerce import commerce
from smsgate.api.json_body import parse_json
from smsgate.api.models import AnswerModel, Line, Page, PageQuery, RequestModel
from smsgate.api.order_terms import CancelWindow, ConfirmBySms, ShopAnswer
from smsgate.api.problems import ProblemType
from smsgate.api.routes_offers import OFFER_ERRORS, OfferText, Sender
from smsgate.api.routing import JSON_MEDIA_TYPE, Answer, Body, Call, Route, Text, missing
from smsgate.api.text_choices import ReplacementAnswer
from smsgate.api.tlvs import ShownTlv, TlvOfText, TlvsOfText, tlvs_of
from smsgate.campaigns.orders import USUAL_TERMS, OrderTerms
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import TriggerRecord
from smsgate.flows.webhook_asks import LIFE_DEFAULT_S, TriggerSettings, parts_of
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

LIFE_S_MIN: Final = 1_800
LIFE_S_MAX: Final = 366 * 86_400
MAPPING_MEMBERS_MAX: Final = 40

PROBLEMS: Final = (
    ProblemType(
        "signature_invalid",
        401,
        "Not signed by the trigger's secret, or too old",
        "Sign as Standard Webhooks say, with a clock that is right within 5 minutes.",
    ),
    ProblemType("mapping_invalid", 422, "The mapping cannot work", "`errors[].pointer` says where in it."),
    ProblemType(
        "trigger_unmapped", 422, "The shop's JSON lacks what the mapping needs", "`pointer` says where."
    ),
    ProblemType(
        "triggers_too_many", 409, "Too many triggers", "Delete one first: a merchant has at most 100."
    ),
)


class CreateTrigger(RequestModel):
    name: Line
    sender: Sender
    mapping: dict[str, Any] = Field(
        max_length=MAPPING_MEMBERS_MAX,
        description="Target field to expression: $.path, {path, default}, {literal}, {join}, or a literal.",
    )
    text: OfferText | None = Field(
        default=None,
        description="The offer's text when the mapping has none; {field} takes `mapping.fields`.",
    )
    expires_in_s: int = Field(default=LIFE_DEFAULT_S, ge=LIFE_S_MIN, le=LIFE_S_MAX)
    replace: bool = Field(default=False, description="As with an offer; the answer to the shop names each.")
    tlvs: TlvsOfText = Field(default_factory=list)
    withdrawal: bool = Field(default=True, description="As with an offer.")
    cancel_window_s: CancelWindow = USUAL_TERMS.cancel_window_s
    shop_answer_s: ShopAnswer = USUAL_TERMS.shop_answer_s
    confirm_by_sms: ConfirmBySms = False


class ChangeTrigger(RequestModel):
    name: Line | None = None
    sender: Sender | None = None
    mapping: dict[str, Any] | None = Field(default=None, max_length=MAPPING_MEMBERS_MAX)
    text: OfferText | None = None
    expires_in_s: int | None = Field(default=None, ge=LIFE_S_MIN, le=LIFE_S_MAX)
    replace: bool | None = None
    tlvs: TlvsOfText | None = None
    withdrawal: bool | None = None
    cancel_window_s: CancelWindow | None = None
    shop_answer_s: ShopAnswer | None = None
    confirm_by_sms: ConfirmBySms | None = None
    state: Literal["active", "disabled"] | None = None


class Trigger(AnswerModel):
    id: str
    path: str = Field(description="Where the shop posts to.")
    name: str
    sender: str
    mapping: dict[str, Any]
    text: str | None
    expires_in_s: int
    replace: bool
    tlvs: list[ShownTlv]
    withdrawal: bool
    cancel_window_s: int
    shop_answer_s: int
    confirm_by_sms: bool
    state: Literal["active", "disabled"]
    previous_secret_until: datetime | None
    created_at: datetime


class TriggerWithSecret(Trigger):
    secret: str = Field(description="Shown this once; the shop signs with it (Standard Webhooks).")


class Triggered(AnswerModel):
    campaign: str
    offer: str
    replacements: list[ReplacementAnswer] = Field(
        default_factory=list, description="What `replace` changed in the text."
    )


async def create_trigger(call: Call) -> Answer:
    body = call.body_as(CreateTrigger)
    settings = TriggerSettings(
        body.sender,
        body.text,
        body.expires_in_s,
        body.replace,
        stored_tlvs(body.tlvs),
        body.withdrawal,
        *(getattr(body, name) for name in OrderTerms._fields),
    )
    record, secret = await commerce(call).triggers.create(call.merchant_id, body.name, body.mapping, settings)
    return TriggerWithSecret(**as_trigger(call, record).model_dump(), secret=secret)


async def list_triggers(call: Call) -> Answer:
    page = await commerce(call).triggers.page(call.merchant_id, call.page_ask(Kind.TRIGGER))
    return call.page_answer(Page[Trigger], [as_trigger(call, row) for row in page.rows], page.has_more)


async def get_trigger(call: Call) -> Answer:
    return as_trigger(call, await commerce(call).triggers.get(call.merchant_id, call.path_id(Kind.TRIGGER)))


async def change_trigger(call: Call) -> Answer:
    body, trigger_id = call.body_as(ChangeTrigger), call.path_id(Kind.TRIGGER)
    triggers = commerce(call).triggers
    _mapping, old = parts_of(await triggers.get(call.merchant_id, trigger_id))
    settings = TriggerSettings(
        body.sender or old.sender,
        body.text or old.text,
        body.expires_in_s or old.expires_in_s,
        old.replace if body.replace is None else body.replace,
        old.tlvs if body.tlvs is None else stored_tlvs(body.tlvs),
        old.withdrawal if body.withdrawal is None else body.withdrawal,
        *(getattr(old if getattr(body, name) is None else body, name) for name in OrderTerms._fields),
    )
    record = await triggers.change(
        call.merchant_id,
        trigger_id,
        name=body.name,
        mapping=body.mapping,
        settings=settings,
        state=body.state,
    )
    return as_trigger(call, record)


async def delete_trigger(call: Call) -> Answer:
    await commerce(call).triggers.delete(call.merchant_id, call.path_id(Kind.TRIGGER))
    return None


async def rotate_secret(call: Call) -> Answer:
    record, secret, until = await commerce(call).triggers.rotate_secret(
        call.merchant_id, call.path_id(Kind.TRIGGER)
    )
    fields = as_trigger(call, record).model_dump() | {"previous_secret_until": until}
    return TriggerWithSecret(**fields, secret=secret)


async def receive(call: Call) -> Answer:
    try:
        answer = await commerce(call).webhook_intake.receive(
            call.path_text("id"), call.request.headers, call.octets, parse_json
        )
    except NotFound:
        raise missing() from None
    return Text(answer.answer, JSON_MEDIA_TYPE, status=answer.status)  # a `Triggered`, as it was first given


def stored_tlvs(asked: list[TlvOfText]) -> dict[int, str]:
    return {tag: value.hex() for tag, value in tlvs_of(asked)}


def as_trigger(call: Call, record: TriggerRecord) -> Trigger:
    mapping, settings = parts_of(record)
    trigger_id = call.public(Kind.TRIGGER, record.trigger_id)
    return Trigger(
        id=trigger_id,
        path=f"/v1/triggers/{trigger_id}",
        name=record.name,
        sender=settings.sender,
        mapping=dict(mapping),
        text=settings.text,
        expires_in_s=settings.expires_in_s,
        replace=settings.replace,
        tlvs=[ShownTlv(tag=f"0x{tag:04x}", hex=value) for tag, value in settings.tlvs.items()],
        withdrawal=settings.withdrawal,
        cancel_window_s=settings.cancel_window_s,
        shop_answer_s=settings.shop_answer_s,
        confirm_by_sms=settings.confirm_by_sms,
        state="active" if record.state == "active" else "disabled",
        previous_secret_until=record.previous_until,
        created_at=record.created_at,
    )


_PATH: Final = "/v1/triggers"

ROUTES: Final = (
    Route(
        "POST",
        _PATH,
        create_trigger,
        "Create a trigger",
        Scope.WEBHOOKS_MANAGE,
        request=CreateTrigger,
        response=TriggerWithSecret,
        status=201,
        errors=("mapping_invalid", "triggers_too_many", "tlv_not_allowed"),
        idempotent=False,
        description="The secret would be kept with an Idempotency-Key's answer, so there is none here.",
    ),
    Route(
        "GET",
        _PATH,
        list_triggers,
        "List triggers",
        Scope.WEBHOOKS_MANAGE,
        query=PageQuery,
        response=Page[Trigger],
    ),
    Route("GET", f"{_PATH}/{{id}}", get_trigger, "Read a trigger", Scope.WEBHOOKS_MANAGE, response=Trigger),
    Route(
        "PATCH",
        f"{_PATH}/{{id}}",
        change_trigger,
        "Change, disable or enable a trigger",
        Scope.WEBHOOKS_MANAGE,
        request=ChangeTrigger,
        response=Trigger,
        errors=("mapping_invalid", "tlv_not_allowed"),
    ),
    Route("DELETE", f"{_PATH}/{{id}}", delete_trigger, "Delete a trigger", Scope.WEBHOOKS_MANAGE, status=204),
    Route(
        "POST",
        f"{_PATH}/{{id}}/rotate_secret",
        rotate_secret,
        "Replace the secret; both are taken for 24 hours",
        Scope.WEBHOOKS_MANAGE,
        response=TriggerWithSecret,
        errors=("conflict",),
        idempotent=False,
    ),
    Route(
        "POST",
        f"{_PATH}/{{id}}",
        receive,
        "The shop's webhook: start a campaign",
        None,
        response=Triggered,
        status=202,
        body=Body.RAW,
        errors=(
            *OFFER_ERRORS,
            "signature_invalid",
            "trigger_unmapped",
            "mapping_invalid",
            "consent_missing",
            "price_missing",
            "audience_empty",
            "msisdn_invalid",
            "idempotency_mismatch",
            "merchant_suspended",
            "json_invalid",
        ),
        description=(
            "No bearer key: signed by the trigger's secret as Standard Webhooks 1.0 (webhook-id, "
            "webhook-timestamp, webhook-signature). A repeated webhook-id gets the same answer. An unknown "
            "trigger answers as a wrong signature does."
        ),
        direct=True,
    ),
)
