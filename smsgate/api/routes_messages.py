"""Messages out and in, as they went."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from smsgate.api.commerce import commerce, id_or_none, msisdn_from_text, public_or_none
from smsgate.api.models import AnswerModel, Instant, Page, PageQuery, PublicId, RequestModel
from smsgate.api.problems import ProblemType, Refusal
from smsgate.api.routing import Answer, Call, Route
from smsgate.api.tlvs import TlvsOfText, tlvs_of
from smsgate.api.wap_push import WapPush, push_document
from smsgate.campaigns.rendering import TEXT_CHARACTERS_MAX
from smsgate.errors import Invalid
from smsgate.flows.commerce_records import InboundRecord, MessageRecord
from smsgate.flows.events import first_id_of
from smsgate.flows.long_texts import PARTS_MAX
from smsgate.flows.transactional import LIFE_MAX, LIFE_MIN, TransactionalAsk
from smsgate.flows.why import why_held, why_not_sent
from smsgate.money import micros_to_text
from smsgate.protocol.wap_push import Indication, Loading
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = (
    ProblemType("stopped", 409, "The person said STOP", "Only the person can come back, by START."),
)

MessageState = Literal["queued", "held", "accepted", "refused", "unknown", "not_sent", "delivered", "failed"]


class WhyAnswer(AnswerModel):
    reason: str = Field(
        description="quiet_hours, cap, open_offer, unclear_reply, sender_unknown; or why it was not sent."
    )
    rule: str = Field(description="Its id in GET /v1/policies, where it has one.")
    says: str = Field(description="One sentence.")
    source: str
    url: str
    certain: bool = Field(description="false: a doubtful rule, followed until the operator waives it.")
    until: datetime | None = Field(description="When the message may go; null: it never will.")


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
    why: WhyAnswer | None = Field(description="Why it waits, or was not sent.")


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
        default=None,
        description="Of one campaign's messages, which `campaign` names: what went wrong. All others are in "
        "the list without `state`, each with its own; `progress` of the campaign counts the delivered ones.",
    )
    subscriber: str | None = Field(default=None, max_length=64)
    made_from: Instant | None = None
    made_to: Instant | None = None


class InboundQuery(PageQuery):
    campaign: str | None = Field(default=None, max_length=64)
    label: str | None = Field(default=None, max_length=40)
    outcome: str | None = Field(default=None, max_length=40)


class SendMessage(RequestModel):
    """
    A text, or a link as WAP Push, about the person's own business: an order, a parcel, an appointment.

    No advertising.
    """

    to: PublicId = Field(description="A subscriber's id, or its number as +33612345678.")
    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARACTERS_MAX)] | None = Field(
        default=None, description=f"At most {PARTS_MAX} segments; the answer says how many."
    )
    wap_push: WapPush | None = Field(
        default=None, description=f"Instead of text; at most {PARTS_MAX} segments too."
    )
    sender: Annotated[str, StringConstraints(min_length=1, max_length=20)]
    tlvs: TlvsOfText = Field(default_factory=list)
    purpose: Literal["transaction", "appointments"] = Field(
        default="transaction",
        description="transaction: what an order brings with it, without consent; appointments: with it.",
    )
    expires_in_s: int = Field(
        default=int(LIFE_MAX.total_seconds()),
        ge=int(LIFE_MIN.total_seconds()),
        le=int(LIFE_MAX.total_seconds()),
        description="What has not left by then is not sent.",
    )


class QueuedMessage(AnswerModel):
    id: str
    subscriber: str
    msisdn: str
    sender: str
    kind: str
    text: str
    state: Literal["queued"]
    encoding: str = Field(description="gsm7, ucs2, latin1; octets: WAP Push.")
    segments: int = Field(description="As the sender's own carrier takes it; what is sent counts.")
    unit_price: str = Field(
        description="Of a segment to the network of the number's block, before number portability."
    )
    price: str = Field(description="unit_price x segments: what it costs when the carrier takes all of it.")
    currency: str
    expires_at: datetime


async def send_message(call: Call) -> Answer:
    body = call.body_as(SendMessage)
    by_number = body.to.startswith("+")
    ask = TransactionalAsk(
        _content(body),
        body.sender,
        body.purpose,
        timedelta(seconds=body.expires_in_s),
        subscriber_id=None if by_number else call.decode(Kind.SUBSCRIBER, body.to),
        msisdn=msisdn_from_text(body.to, "/to") if by_number else None,
        tlvs=tlvs_of(body.tlvs),
    )
    accepted = await commerce(call).transactional.send(call.merchant_id, ask)
    message = accepted.message
    assert message.subscriber_id is not None
    return QueuedMessage(
        id=call.public(Kind.MESSAGE, message.message_id),
        subscriber=call.public(Kind.SUBSCRIBER, message.subscriber_id),
        msisdn=f"+{message.msisdn}",
        sender=message.sender,
        kind=message.kind,
        text=message.body,
        state="queued",
        encoding=accepted.encoding,
        segments=accepted.segments,
        unit_price=micros_to_text(accepted.unit_micros),
        price=micros_to_text(accepted.unit_micros * accepted.segments),
        currency=accepted.currency,
        expires_at=message.expires_at,
    )


def _content(body: SendMessage) -> str | Indication | Loading:
    if body.text is not None and body.wap_push is None:
        return body.text
    if body.wap_push is not None and body.text is None:
        return push_document(body.wap_push)
    raise Invalid("give text or wap_push, one of them", pointer="/text")


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
            "why": _why(call, record),
        }
    )


def _why(call: Call, record: MessageRecord) -> dict[str, object] | None:
    if record.hold is not None:
        return asdict(why_held(record.hold, call.context.gates.caps))
    if record.state == "not_sent" and record.reason is not None:
        return asdict(why_not_sent(record.reason))
    return None


def as_inbound(call: Call, record: InboundRecord) -> InboundMessage:
    return InboundMessage.model_validate(inbound_fields(call, record))


def inbound_fields(call: Call, record: InboundRecord) -> dict[str, object]:
    return {
        "id": call.public(Kind.INBOUND_MESSAGE, record.inbound_id),
        "msisdn": f"+{record.msisdn}",
        "recipient": record.destination,
        "text": record.text,
        "label": record.label,
        "quantity": record.quantity,
        "outcome": record.outcome,
        "reason": record.reason,
        "rules_version": record.rules_version,
        "subscriber": public_or_none(call, Kind.SUBSCRIBER, record.subscriber_id),
        "campaign": public_or_none(call, Kind.CAMPAIGN, record.campaign_id),
        "message": public_or_none(call, Kind.MESSAGE, record.message_id),
        "order": public_or_none(call, Kind.ORDER, record.order_id),
        "received_at": record.received_at,
    }


ROUTES: Final = (
    Route(
        "POST",
        "/v1/messages",
        send_message,
        "Send a transactional message",
        Scope.SEND,
        request=SendMessage,
        response=QueuedMessage,
        status=201,
        errors=(
            "msisdn_invalid",
            "subscriber_unknown",
            "sender_unknown",
            "text_too_long",
            "tlv_not_allowed",
            "price_missing",
            "suppressed",
            "stopped",
            "consent_missing",
        ),
    ),
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
