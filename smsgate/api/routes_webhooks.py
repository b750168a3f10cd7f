"""Webhook endpoints: where a shop receives events, and what was delivered there."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from smsgate.api.commerce import commerce
from smsgate.api.models import AnswerModel, Instant, Page, PageQuery, RequestModel
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route
from smsgate.errors import Invalid
from smsgate.flows.commerce_records import EVENT_TYPES, DeliveryRecord, EndpointRecord
from smsgate.security.addresses import URL_MAX
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = (
    ProblemType(
        "endpoint_not_proved",
        422,
        "The endpoint did not give the challenge back",
        "Answer the signed POST of type `endpoint.challenge` with its challenge, then create it again.",
    ),
    ProblemType("address_refused", 422, "We do not send there", "Use https and a public host name."),
    ProblemType(
        "endpoints_too_many", 409, "Too many endpoints", "Delete one first: a merchant has at most 10."
    ),
    ProblemType("event_type_unknown", 422, "No such event type", "`detail` names those there are."),
)

Url = Annotated[str, StringConstraints(min_length=1, max_length=URL_MAX)]
EventTypeName = Annotated[str, StringConstraints(min_length=1, max_length=60)]
State = Literal["active", "disabled"]


class CreateEndpoint(RequestModel):
    url: Url
    event_types: list[EventTypeName] = Field(
        default=[], max_length=len(EVENT_TYPES) * 2, description="Empty: all events."
    )


class ChangeEndpoint(RequestModel):
    event_types: list[EventTypeName] | None = Field(default=None, max_length=len(EVENT_TYPES) * 2)
    state: State | None = None


class Redeliver(RequestModel):
    """Either one event, or all from an instant (included) to another (excluded), at most 1,000."""

    event: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    from_: Instant | None = Field(default=None, alias="from")
    to: Instant | None = None


class Endpoint(AnswerModel):
    id: str
    url: str
    event_types: list[str]
    state: State
    disabled_reason: str
    failing_since: datetime | None = Field(
        description="Since then attempts fail here and no order was taken. null: all is well."
    )
    failures: int = Field(description="Attempts that failed since `failing_since`.")
    previous_secret_until: datetime | None
    created_at: datetime


class EndpointWithSecret(Endpoint):
    secret: str = Field(description="Shown this once; it verifies our signatures (Standard Webhooks).")


class Delivery(AnswerModel):
    id: str = Field(description="The event's id: an endpoint has one delivery of an event.")
    event: str
    event_type: str
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str
    delivered_at: datetime | None


class Redelivered(AnswerModel):
    events: int = Field(description="How many events wait for delivery because of this request.")


class DeliveryQuery(PageQuery):
    state: Literal["pending", "delivered", "failed"] | None = None


async def create_endpoint(call: Call) -> Answer:
    body = call.body_as(CreateEndpoint)
    record, secret = await commerce(call).endpoints.create(call.merchant_id, body.url, body.event_types)
    return EndpointWithSecret(**as_endpoint(call, record).model_dump(), secret=secret)


async def list_endpoints(call: Call) -> Answer:
    page = await commerce(call).endpoints.page(call.merchant_id, call.page_ask(Kind.WEBHOOK_ENDPOINT))
    return call.page_answer(Page[Endpoint], [as_endpoint(call, row) for row in page.rows], page.has_more)


async def get_endpoint(call: Call) -> Answer:
    endpoint_id = call.path_id(Kind.WEBHOOK_ENDPOINT)
    return as_endpoint(call, await commerce(call).endpoints.get(call.merchant_id, endpoint_id))


async def change_endpoint(call: Call) -> Answer:
    body = call.body_as(ChangeEndpoint)
    record = await commerce(call).endpoints.change(
        call.merchant_id,
        call.path_id(Kind.WEBHOOK_ENDPOINT),
        event_types=body.event_types,
        state=body.state,
    )
    return as_endpoint(call, record)


async def delete_endpoint(call: Call) -> Answer:
    await commerce(call).endpoints.delete(call.merchant_id, call.path_id(Kind.WEBHOOK_ENDPOINT))
    return None


async def rotate_secret(call: Call) -> Answer:
    record, secret, until = await commerce(call).endpoints.rotate_secret(
        call.merchant_id, call.path_id(Kind.WEBHOOK_ENDPOINT)
    )
    fields = as_endpoint(call, record).model_dump() | {"previous_secret_until": until}
    return EndpointWithSecret(**fields, secret=secret)


async def list_deliveries(call: Call) -> Answer:
    query = call.query_as(DeliveryQuery)
    page = await commerce(call).endpoints.deliveries(
        call.merchant_id, call.path_id(Kind.WEBHOOK_ENDPOINT), call.page_ask(Kind.EVENT), query.state
    )
    return call.page_answer(Page[Delivery], [as_delivery(call, row) for row in page.rows], page.has_more)


async def redeliver(call: Call) -> Answer:
    body = call.body_as(Redeliver)
    endpoint_id, endpoints = call.path_id(Kind.WEBHOOK_ENDPOINT), commerce(call).endpoints
    if body.event is not None and body.from_ is None and body.to is None:
        event_id = call.decode(Kind.EVENT, body.event)
        await commerce(call).events.get(call.merchant_id, event_id)
        return Redelivered(events=await endpoints.redeliver_event(call.merchant_id, endpoint_id, event_id))
    if body.event is None and body.from_ is not None and body.to is not None:
        events = await endpoints.redeliver_range(call.merchant_id, endpoint_id, body.from_, body.to)
        return Redelivered(events=events)
    raise Invalid("name either event, or from and to", pointer="")


def as_endpoint(call: Call, record: EndpointRecord) -> Endpoint:
    return Endpoint(
        id=call.public(Kind.WEBHOOK_ENDPOINT, record.endpoint_id),
        url=record.url,
        event_types=list(record.event_types),
        state="active" if record.state == "active" else "disabled",
        disabled_reason=record.disabled_reason,
        failing_since=record.failing_since,
        failures=record.failures,
        previous_secret_until=record.previous_until,
        created_at=record.created_at,
    )


def as_delivery(call: Call, record: DeliveryRecord) -> Delivery:
    event = call.public(Kind.EVENT, record.event_id)
    return Delivery.model_validate(
        {
            "id": event,
            "event": event,
            "event_type": record.event_type,
            "state": record.state,
            "attempts": record.attempts,
            "next_attempt_at": record.next_attempt_at if record.state == "pending" else None,
            "last_status": record.last_status,
            "last_error": record.last_error,
            "delivered_at": record.delivered_at,
        }
    )


_PATH: Final = "/v1/webhook_endpoints"

ROUTES: Final = (
    Route(
        "POST",
        _PATH,
        create_endpoint,
        "Create an endpoint",
        Scope.WEBHOOKS_MANAGE,
        request=CreateEndpoint,
        response=EndpointWithSecret,
        status=201,
        errors=("endpoint_not_proved", "address_refused", "endpoints_too_many", "event_type_unknown"),
        idempotent=False,
        description="The secret would be kept with an Idempotency-Key's answer, so there is none here.",
    ),
    Route(
        "GET",
        _PATH,
        list_endpoints,
        "List endpoints",
        Scope.WEBHOOKS_MANAGE,
        query=PageQuery,
        response=Page[Endpoint],
    ),
    Route(
        "GET", f"{_PATH}/{{id}}", get_endpoint, "Read an endpoint", Scope.WEBHOOKS_MANAGE, response=Endpoint
    ),
    Route(
        "PATCH",
        f"{_PATH}/{{id}}",
        change_endpoint,
        "Change, disable or enable an endpoint",
        Scope.WEBHOOKS_MANAGE,
        request=ChangeEndpoint,
        response=Endpoint,
        errors=("event_type_unknown",),
    ),
    Route(
        "DELETE", f"{_PATH}/{{id}}", delete_endpoint, "Delete an endpoint", Scope.WEBHOOKS_MANAGE, status=204
    ),
    Route(
        "POST",
        f"{_PATH}/{{id}}/rotate_secret",
        rotate_secret,
        "Replace the secret; both sign for 24 hours",
        Scope.WEBHOOKS_MANAGE,
        response=EndpointWithSecret,
        errors=("conflict",),
        idempotent=False,
    ),
    Route(
        "GET",
        f"{_PATH}/{{id}}/deliveries",
        list_deliveries,
        "List deliveries",
        Scope.WEBHOOKS_MANAGE,
        query=DeliveryQuery,
        response=Page[Delivery],
    ),
    Route(
        "POST",
        f"{_PATH}/{{id}}/deliveries",
        redeliver,
        "Deliver events again",
        Scope.WEBHOOKS_MANAGE,
        request=Redeliver,
        response=Redelivered,
        status=202,
        errors=("state_conflict",),
    ),
)
