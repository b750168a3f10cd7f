"""Orders: what customers bought by their reply, and what the shop says to it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from smsgate.api.commerce import commerce, id_or_none
from smsgate.api.models import AnswerModel, Instant, Page, PageQuery, RequestModel
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route, Text
from smsgate.errors import Invalid
from smsgate.flows.order_actions import LINK_CHARACTERS_MAX
from smsgate.flows.order_records import OrderRecord
from smsgate.flows.orders import REASON_CHARACTERS_MAX, REF_CHARACTERS_MAX, OrderDetails
from smsgate.money import micros_to_text, minor_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROOF_MEDIA_TYPE: Final = "application/x-ndjson"

OrderStateName = Literal[
    "awaiting_confirmation",
    "placed",
    "confirmed",
    "fulfilled",
    "rejected",
    "cancelled",
    "withdrawn",
    "expired",
    "disputed",
]

PROBLEMS: Final = (
    ProblemType("order_state", 409, "The order's state does not allow this", "Read its state and its steps."),
    ProblemType(
        "action_invalid",
        422,
        "Not a link to send, or not a time to act until",
        "A link in a URI's own characters; a time ahead, at most 14 days, with its zone.",
    ),
    ProblemType(
        "delivered_at_invalid", 422, "Not a time of delivery", "Between the order and now, with its zone."
    ),
)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters are not allowed")
    return text


Reference = Annotated[
    str, StringConstraints(min_length=1, max_length=REF_CHARACTERS_MAX), AfterValidator(_printable)
]
Reason = Annotated[
    str, StringConstraints(min_length=1, max_length=REASON_CHARACTERS_MAX), AfterValidator(_printable)
]


class ConfirmOrder(RequestModel):
    order_ref: Reference | None = Field(default=None, description="The shop's own number for the order.")


class RefuseOrder(RequestModel):
    reason: Reason | None = Field(
        default=None, description="Kept with the order; up to 30 characters of a rejection reach the buyer."
    )


class RequireAction(RequestModel):
    link: Annotated[
        str, StringConstraints(min_length=1, max_length=LINK_CHARACTERS_MAX), AfterValidator(_printable)
    ] = Field(
        description="What the buyer is sent, such as a page to pay at: short, it stands in one SMS. "
        "In the characters of a URI (RFC 3986)."
    )
    until: Instant = Field(description="At most 14 days ahead; then the order has come to nothing.")


class FulfilOrder(RequestModel):
    delivered_at: Instant = Field(description="The buyer has the goods: 14 days to withdraw run from here.")


class OrderStepAnswer(AnswerModel):
    sequence: int
    event: str
    state: str
    actor: str
    detail: dict[str, Any]
    at: datetime


class PriceLine(AnswerModel):
    """Unit price x segments = amount."""

    direction: Literal["mt"] = "mt"
    network: str = Field(description="The price item's network: MCCMNC, MCC or *.")
    price_item: str
    unit_price: str
    segments: int
    amount: str
    currency: str


class MessageCostAnswer(AnswerModel):
    """What the messages of one order cost the merchant, in exact decimals."""

    offer_message: list[PriceLine]
    system_messages: int = Field(description="Messages of the gateway about this order.")
    system_amount: str
    total: str


class Order(AnswerModel):
    id: str
    number: str = Field(description="What buyer and shop say on the telephone.")
    state: str
    order_ref: str
    offer: str
    offer_version: int
    campaign: str
    message: str
    inbound_message: str
    subscriber: str
    msisdn: str
    sender: str
    item: str
    quantity: int
    unit_price: str
    total: str
    currency: str
    sequence: int
    created_at: datetime
    changed_at: datetime
    delivered_at: datetime | None


class OrderInFull(Order):
    steps: list[OrderStepAnswer]
    message_cost: MessageCostAnswer


OrderPage = Page[OrderInFull | Order]
FULL_MAX: Final = 20  # four statements an order


class OrderQuery(PageQuery):
    state: OrderStateName | None = None
    campaign: str | None = Field(default=None, max_length=64)
    number: str | None = Field(default=None, max_length=40)
    full: bool = Field(
        default=False, description="With steps and message cost; at most 20 orders a page then."
    )


async def list_orders(call: Call) -> Answer:
    query = call.query_as(OrderQuery)
    if query.full and query.limit > FULL_MAX:
        raise Invalid(f"at most {FULL_MAX} orders a page with full", pointer="/limit")
    page = await commerce(call).orders.page(
        call.merchant_id,
        call.page_ask(Kind.ORDER),
        query.state,
        id_or_none(call, Kind.CAMPAIGN, query.campaign),
        query.number,
    )
    if not query.full:
        return call.page_answer(OrderPage, [as_order(call, row) for row in page.rows], page.has_more)
    orders = commerce(call).orders
    rows = [as_order_in_full(call, await orders.details(call.merchant_id, row.order_id)) for row in page.rows]
    return call.page_answer(OrderPage, rows, page.has_more)


async def get_order(call: Call) -> Answer:
    details = await commerce(call).orders.details(call.merchant_id, call.path_id(Kind.ORDER))
    return as_order_in_full(call, details)


async def confirm_order(call: Call) -> Answer:
    body = call.body_as(ConfirmOrder)
    order = await commerce(call).orders.confirm(
        call.merchant_id, call.path_id(Kind.ORDER), body.order_ref or ""
    )
    return as_order(call, order)


async def reject_order(call: Call) -> Answer:
    reason = call.body_as(RefuseOrder).reason or ""
    order = await commerce(call).orders.reject(call.merchant_id, call.path_id(Kind.ORDER), reason)
    return as_order(call, order)


async def cancel_order(call: Call) -> Answer:
    reason = call.body_as(RefuseOrder).reason or ""
    order = await commerce(call).orders.cancel(call.merchant_id, call.path_id(Kind.ORDER), reason)
    return as_order(call, order)


async def require_action(call: Call) -> Answer:
    body = call.body_as(RequireAction)
    order = await commerce(call).orders.require_action(
        call.merchant_id, call.path_id(Kind.ORDER), body.link, body.until
    )
    return as_order(call, order)


async def fulfil_order(call: Call) -> Answer:
    delivered_at = call.body_as(FulfilOrder).delivered_at
    order = await commerce(call).orders.fulfil(call.merchant_id, call.path_id(Kind.ORDER), delivered_at)
    return as_order(call, order)


async def get_proof(call: Call) -> Answer:
    order_id = call.path_id(Kind.ORDER)
    octets = await commerce(call).proofs.file(call.merchant_id, order_id)
    name = f'attachment; filename="{call.public(Kind.ORDER, order_id)}.proof"'
    return Text(octets, PROOF_MEDIA_TYPE, {"Content-Disposition": name})


def _fields(call: Call, order: OrderRecord) -> dict[str, Any]:
    return {
        "id": call.public(Kind.ORDER, order.order_id),
        "number": order.number,
        "state": order.state,
        "order_ref": order.shop_ref,
        "offer": call.public(Kind.OFFER, order.offer_id),
        "offer_version": order.offer_version,
        "campaign": call.public(Kind.CAMPAIGN, order.campaign_id),
        "message": call.public(Kind.MESSAGE, order.message_id),
        "inbound_message": call.public(Kind.INBOUND_MESSAGE, order.inbound_id),
        "subscriber": call.public(Kind.SUBSCRIBER, order.subscriber_id),
        "msisdn": f"+{order.msisdn}",
        "sender": order.sender,
        "item": order.item,
        "quantity": order.quantity,
        "unit_price": minor_to_text(order.unit_price_minor, order.currency),
        "total": minor_to_text(order.total_minor, order.currency),
        "currency": order.currency,
        "sequence": order.seq,
        "created_at": order.created_at,
        "changed_at": order.changed_at,
        "delivered_at": order.delivered_at,
    }


def as_order(call: Call, order: OrderRecord) -> Order:
    return Order(**_fields(call, order))


def as_order_in_full(call: Call, details: OrderDetails) -> OrderInFull:
    offer_micros = sum(cost.sell_micros for cost in details.offer_costs)
    return OrderInFull(
        **_fields(call, details.order),
        steps=[
            OrderStepAnswer(
                sequence=step.seq,
                event=step.event,
                state=step.state,
                actor=step.actor,
                detail=dict(step.detail),
                at=step.at,
            )
            for step in details.steps
        ],
        message_cost=MessageCostAnswer(
            offer_message=[
                PriceLine(
                    network=cost.network,
                    price_item=call.public(Kind.PRICE_ITEM, cost.item_id),
                    unit_price=micros_to_text(cost.unit_micros),
                    segments=cost.segments,
                    amount=micros_to_text(cost.sell_micros),
                    currency=cost.currency,
                )
                for cost in details.offer_costs
            ],
            system_messages=details.system_messages,
            system_amount=micros_to_text(details.system_micros),
            total=micros_to_text(offer_micros + details.system_micros),
        ),
    )


_CHANGE_ERRORS: Final = ("order_state", "conflict")

ROUTES: Final = (
    Route("GET", "/v1/orders", list_orders, "List orders", Scope.READ, query=OrderQuery, response=OrderPage),
    Route(
        "GET", "/v1/orders/{id}", get_order, "Read an order and its cost", Scope.READ, response=OrderInFull
    ),
    Route(
        "GET",
        "/v1/orders/{id}/proof",
        get_proof,
        "All that led to an order, chained and signed",
        Scope.READ,
        media_type=PROOF_MEDIA_TYPE,
    ),
    Route(
        "POST",
        "/v1/orders/{id}/confirm",
        confirm_order,
        "The shop takes the order",
        Scope.ORDERS,
        request=ConfirmOrder,
        response=Order,
        errors=(*_CHANGE_ERRORS, "sold_out"),
    ),
    Route(
        "POST",
        "/v1/orders/{id}/reject",
        reject_order,
        "The shop refuses the order",
        Scope.ORDERS,
        request=RefuseOrder,
        response=Order,
        errors=_CHANGE_ERRORS,
    ),
    Route(
        "POST",
        "/v1/orders/{id}/cancel",
        cancel_order,
        "The shop takes the order back",
        Scope.ORDERS,
        request=RefuseOrder,
        response=Order,
        errors=_CHANGE_ERRORS,
    ),
    Route(
        "POST",
        "/v1/orders/{id}/require_action",
        require_action,
        "The buyer has to do something first",
        Scope.ORDERS,
        request=RequireAction,
        response=Order,
        errors=(*_CHANGE_ERRORS, "action_invalid"),
    ),
    Route(
        "POST",
        "/v1/orders/{id}/fulfil",
        fulfil_order,
        "The buyer has the goods",
        Scope.ORDERS,
        request=FulfilOrder,
        response=Order,
        errors=(*_CHANGE_ERRORS, "delivered_at_invalid"),
    ),
)
