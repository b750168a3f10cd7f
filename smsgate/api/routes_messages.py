"""Messages out and in, as they went."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import Field

from smsgate.api.commerce import commerce, id_or_none, public_or_none
from smsgate.api.models import AnswerModel, Instant, Page, PageQuery
from smsgate.api.problems import Refusal
from smsgate.api.routing import Answer, Call, Route
from smsgate.flows.commerce_records import InboundRecord, MessageRecord
from smsgate.flows.events import first_id_of
from smsgate.money import micros_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = ()

MessageState = Literal["queued", "accepted", "refused", "unknown", "not_sent", "delivered", "failed"]


class Message(AnswerModel):
    id: str
    campaign: str | None
    subscriber: str | None
    order: str | None
    inbound_message: str | None = Field(description="The reply that it answers.")
    msisdn: str
    sender: str
    kind: str = Field(description="offer, or which of the gateway's own texts.")
    text: str
    state: MessageState
    reason: str | None = Field(description="Why it was not sent, or the carrier's command_status.")
    segments: int
    price: str = Field(description="What it was charged; only accepted messages are.")
    currency: str | None
    price_item: str | None
    sent_at: datetime | None = Field(description="null: it was never written to the carrier.")
    final_at: datetime | None = Field(description="When the carrier said how it ended.")


class InboundMessage(AnswerModel):
    id: str
    msisdn: str
    recipient: str = Field(description="The number that was written to.")
    text: str
    label: str = Field(description="How it was read: accept, quantity, decline, stop, ...")
    quantity: int | None
    outcome: str
    reason: str = Field(description="One sentence: why it was read so.")
    rules_version: str
    subscriber: str | None
    campaign: str | None
    message: str | None
    order: str | None
    received_at: datetime


class MessageQuery(PageQuery):
    campaign: str | None = Field(default=None, max_length=64)
    state: Literal["unknown", "refused", "not_sent"] | None = Field(
        default=None, description="Of one campaign's messages: name it in `campaign`."
    )
    subscriber: str | None = Field(default=None, max_length=64)
    made_from: Instant | None = None
    made_to: Instant | None = None


class InboundQuery(PageQuery):
    campaign: str | None = Field(default=None, max_length=64)
    label: str | None = Field(default=None, max_length=40)
    outcome: str | None = Field(default=None, max_length=40)


async def list_messages(call: Call) -> Answer:
    query = call.query_as(MessageQuery)
    if query.state is not None and query.campaign is None:
        detail = "name the campaign whose messages are meant"
        raise Refusal("invalid", f"/campaign: {detail}.", errors=[{"pointer": "/campaign", "detail": detail}])
    page = await commerce(call).messages.page(
        call.merchant_id,
        call.page_ask(Kind.MESSAGE),
        campaign_id=id_or_none(call, Kind.CAMPAIGN, query.campaign),
        subscriber_id=id_or_none(call, Kind.SUBSCRIBER, query.subscriber),
        id_min=None if query.made_from is None else first_id_of(query.made_from),
        id_max=None if query.made_to is None else first_id_of(query.made_to) - 1,
        state=query.state,
    )
    return call.page_answer(Page[Message], [as_message(call, row) for row in page.rows], page.has_more)


async def get_message(call: Call) -> Answer:
    return as_message(call, await commerce(call).messages.get(call.merchant_id, call.path_id(Kind.MESSAGE)))


async def list_inbound(call: Call) -> Answer:
    query = call.query_as(InboundQuery)
    page = await commerce(call).messages.page_inbound(
        call.merchant_id,
        call.page_ask(Kind.INBOUND_MESSAGE),
        id_or_none(call, Kind.CAMPAIGN, query.campaign),
        query.label,
        query.outcome,
    )
    return call.page_answer(Page[InboundMessage], [as_inbound(call, row) for row in page.rows], page.has_more)


async def get_inbound(call: Call) -> Answer:
    inbound_id = call.path_id(Kind.INBOUND_MESSAGE)
    return as_inbound(call, await commerce(call).messages.get_inbound(call.merchant_id, inbound_id))


def as_message(call: Call, record: MessageRecord) -> Message:
    return Message.model_validate(
        {
            "id": call.public(Kind.MESSAGE, record.message_id),
            "campaign": public_or_none(call, Kind.CAMPAIGN, record.campaign_id),
            "subscriber": public_or_none(call, Kind.SUBSCRIBER, record.subscriber_id),
            "order": public_or_none(call, Kind.ORDER, record.order_id),
            "inbound_message": public_or_none(call, Kind.INBOUND_MESSAGE, record.inbound_id),
            "msisdn": f"+{record.msisdn}",
            "sender": record.sender,
            "kind": record.kind,
            "text": record.text,
            "state": record.state,
            "reason": record.reason,
            "segments": record.segments,
            "price": micros_to_text(record.sell_micros),
            "currency": record.currency,
            "price_item": call.public(Kind.PRICE_ITEM, record.sell_item_id) if record.sell_item_id else None,
            "sent_at": record.sent_at,
            "final_at": record.final_at,
        }
    )


def as_inbound(call: Call, record: InboundRecord) -> InboundMessage:
    return InboundMessage(
        id=call.public(Kind.INBOUND_MESSAGE, record.inbound_id),
        msisdn=f"+{record.msisdn}",
        recipient=record.destination,
        text=record.text,
        label=record.label,
        quantity=record.quantity,
        outcome=record.outcome,
        reason=record.reason,
        rules_version=record.rules_version,
        subscriber=public_or_none(call, Kind.SUBSCRIBER, record.subscriber_id),
        campaign=public_or_none(call, Kind.CAMPAIGN, record.campaign_id),
        message=public_or_none(call, Kind.MESSAGE, record.message_id),
        order=public_or_none(call, Kind.ORDER, record.order_id),
        received_at=record.received_at,
    )


ROUTES: Final = (
    Route(
        "GET",
        "/v1/messages",
        list_messages,
        "List messages",
        Scope.READ,
        query=MessageQuery,
        response=Page[Message],
    ),
    Route("GET", "/v1/messages/{id}", get_message, "Read a message", Scope.READ, response=Message),
    Route(
        "GET",
        "/v1/inbound_messages",
        list_inbound,
        "List replies",
        Scope.READ,
        query=InboundQuery,
        response=Page[InboundMessage],
    ),
    Route(
        "GET", "/v1/inbound_messages/{id}", get_inbound, "Read a reply", Scope.READ, response=InboundMessage
    ),
)
