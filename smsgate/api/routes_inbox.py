"""The merchant's inbox: replies that no rule could read, and what a person makes of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from smsgate.api.commerce import commerce, public_or_none
from smsgate.api.models import AnswerModel, Page, PageQuery, RequestModel
from smsgate.api.problems import ProblemType
from smsgate.api.routes_messages import InboundMessage, inbound_fields
from smsgate.api.routing import Answer, Call, Route
from smsgate.errors import Invalid
from smsgate.flows.inbox import Decision, InboxItem, Ruling, Verdict
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = (
    ProblemType(
        "decided_already", 409, "A person has decided about this reply", "Read what was decided; it stands."
    ),
    ProblemType(
        "settled_already", 409, "The person has said something plain since", "It counts; ignore this reply."
    ),
)
QUANTITY_MAX: Final = 9_999  # of an order; the offer's own maximum is asked besides
InboxState = Literal["open", "settled", "decided"]


class InboxQuery(PageQuery):
    state: InboxState | None = Field(
        default=None, description="settled: the person has said something plain since."
    )


class Reclassify(RequestModel):
    """What a person of the merchant decided; it has the effect of a reply that says so, at this time."""

    verdict: Literal["accept", "decline", "stop", "ignore"]
    quantity: int | None = Field(default=None, ge=1, le=QUANTITY_MAX, description="With accept alone.")
    decided_by: Annotated[str, StringConstraints(min_length=1, max_length=60)] = Field(
        description="Who decided, as your own system names the person."
    )
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class HumanDecision(AnswerModel):
    verdict: Literal["accept", "decline", "stop", "ignore"]
    quantity: int | None
    outcome: str = Field(description="What came of it: ordered, late, sold_out, declined, stopped, ...")
    order: str | None
    decided_by: str
    key: str = Field(description="Public part of the API key that was used.")
    reason: str
    decided_at: datetime


class InboxReply(InboundMessage):
    state: InboxState
    decision: HumanDecision | None


async def list_inbox(call: Call) -> Answer:
    state = call.query_as(InboxQuery).state
    page = await commerce(call).inbox.page(call.merchant_id, call.page_ask(Kind.INBOUND_MESSAGE), state)
    return call.page_answer(Page[InboxReply], [_reply(call, row) for row in page.rows], page.has_more)


async def get_reply(call: Call) -> Answer:
    return _reply(call, await commerce(call).inbox.get(call.merchant_id, call.path_id(Kind.INBOUND_MESSAGE)))


async def reclassify(call: Call) -> Answer:
    body = call.body_as(Reclassify)
    if body.quantity is not None and body.verdict != "accept":
        raise Invalid("a quantity goes with accept alone", pointer="/quantity")
    ruling = Ruling(
        Verdict(body.verdict), body.decided_by, call.key.public_id, body.reason, quantity=body.quantity
    )
    inbound_id = call.path_id(Kind.INBOUND_MESSAGE)
    return _reply(call, await commerce(call).inbox.decide(call.merchant_id, inbound_id, ruling))


def _reply(call: Call, item: InboxItem) -> InboxReply:
    decision = None if item.decision is None else _decision(call, item.decision)
    return InboxReply.model_validate(
        {**inbound_fields(call, item.reply), "state": item.state, "decision": decision}
    )


def _decision(call: Call, decision: Decision) -> HumanDecision:
    ruling = decision.ruling
    return HumanDecision(
        verdict=ruling.verdict.value,
        quantity=ruling.quantity,
        outcome=decision.outcome,
        order=public_or_none(call, Kind.ORDER, decision.order_id),
        decided_by=ruling.decided_by,
        key=ruling.key_id,
        reason=ruling.reason,
        decided_at=decision.decided_at,
    )


ROUTES: Final = (
    Route("GET", "/v1/inbox", list_inbox, "List replies that wait for a person", Scope.READ, query=InboxQuery,
          response=Page[InboxReply],
          description="Replies that no rule could read, came in part, dispute an order, blocked a number or "
                      "ask to come back from a block; newest first."),
    Route("GET", "/v1/inbox/{id}", get_reply, "Read a reply of the inbox", Scope.READ, response=InboxReply),
    Route("POST", "/v1/inbound_messages/{id}/reclassify", reclassify, "Decide about a reply of the inbox",
          Scope.ORDERS, request=Reclassify, response=InboxReply,
          errors=("decided_already", "settled_already", "offer_closed"),
          description="Once each, with who and why. An acceptance may be late or sold out by now: then it "
                      "orders nothing and the person is told. A stop ends this merchant's messages."),
)  # fmt: skip
