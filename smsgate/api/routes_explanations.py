"""One message's money, explained: for its merchant, and with cost and margin for the operator."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from pydantic import Field

from smsgate.api.models import AnswerModel
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route
from smsgate.billing.charge_facts import BilledLine, Posted, Priced
from smsgate.billing.explaining import Explained, ExplainedPart
from smsgate.billing.vat import Vat
from smsgate.flows.billing_reports import BillingReports
from smsgate.money import micros_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind, PublicIds

PROBLEMS: Final = (
    ProblemType(
        "erased", 410, "Its person was erased", "What was charged stays in the statement and on documents."
    ),
)


class TierStep(AnswerModel):
    first: int = Field(description="The first segment of the month at this price.")
    unit_price: str


class ExplainedPrice(AnswerModel):
    price_list: str
    version: int
    valid_from: datetime
    valid_until: datetime | None
    price_item: str
    network: str = Field(description="MCC and MNC, MCC alone, or * for all others.")
    basis: str = Field(description="submit or delivered.")
    unit_price: str
    amount: str = Field(description="unit_price x segments.")
    currency: str
    tier_mode: str | None
    tiers: list[TierStep]


class ExplainedPosting(AnswerModel):
    id: str
    at: datetime
    messages: int
    segments: int
    amount: str = Field(description="Of all messages that it holds.")


class ExplainedLine(AnswerModel):
    number: str
    line: int
    issued_on: date
    quantity: int
    unit_price: str
    net: str
    currency: str
    credited_by: list[str]


class ExplainedMessagePart(AnswerModel):
    part: int
    segments: int
    charged: bool
    amount: str = Field(description="0.00 where nothing is charged, or it was given back.")
    price: ExplainedPrice | None
    receipt: str | None = Field(description="The first final one.")
    ledger: list[ExplainedPosting] = Field(description="One, or those of which one holds it.")
    billed_in: str | None = Field(description="The month whose document takes it.")
    late: bool = Field(description="Its own month was closed before it was recorded.")
    lines: list[ExplainedLine]
    given_back_at: datetime | None


class ExplainedCost(AnswerModel):
    part: int
    carrier: str
    price: ExplainedPrice | None
    amount: str = Field(description="0.00 where the carrier charges nothing.")
    margin: str | None = Field(description="null: no cost is known, or of another currency.")


class Explanation(AnswerModel):
    message: str
    direction: str
    accepted_at: datetime
    month: str
    zone: str
    vat_category: str | None
    vat_percent: str | None
    parts: list[ExplainedMessagePart]
    recomputed: bool = Field(description="true: computed once more, amount, version and ledger agree.")
    says: list[str] = Field(description="The same in sentences.")


class OperatorExplanation(Explanation):
    merchant: str
    costs: list[ExplainedCost]


def reports(call: Call) -> BillingReports:
    found = call.context.reports
    assert found is not None
    return found


async def explain_message(call: Call) -> Answer:
    text = call.path_text("id")
    answered = await reports(call).explaining.explain(text, call.merchant_id)
    return as_explanation(text, answered.explained, call.context.public_ids)


async def explain_for_operator(call: Call) -> Answer:
    text = call.path_text("id")
    answered = await reports(call).explaining.explain(text)
    return as_operator_explanation(text, answered.merchant_id, answered.explained, call.context.public_ids)


def as_explanation(message: str, explained: Explained, public_ids: PublicIds) -> Explanation:
    return Explanation(**_shared(message, explained, public_ids), says=sentences(explained, operator=False))


def as_operator_explanation(
    message: str, merchant_id: int, explained: Explained, public_ids: PublicIds
) -> OperatorExplanation:
    return OperatorExplanation(
        **_shared(message, explained, public_ids),
        says=sentences(explained, operator=True),
        merchant=public_ids.encode(Kind.MERCHANT, merchant_id),
        costs=[_cost(part, public_ids) for part in explained.parts],
    )


def sentences(explained: Explained, *, operator: bool) -> list[str]:
    """Return what is told, in order; parts of a long text are named."""
    several = len(explained.parts) > 1
    return [
        f"Part {part.facts.part}: {fact.sentence}" if several else fact.sentence
        for part in explained.parts
        for fact in part.told
        if operator or not fact.operator
    ] or ["Nothing is charged: it has not been written to a carrier yet."]


def _shared(message: str, explained: Explained, public_ids: PublicIds) -> dict[str, object]:
    facts, vat = explained.facts, explained.vat
    return {
        "message": message,
        "direction": facts.direction.value,
        "accepted_at": facts.accepted_at,
        "month": str(explained.origin),
        "zone": facts.zone_name,
        "vat_category": None if vat is None else vat.category,
        "vat_percent": None if vat is None else _percent(vat),
        "parts": [_part(part, public_ids) for part in explained.parts],
        "recomputed": not explained.wrong,
    }


def _percent(vat: Vat) -> str | None:
    return micros_to_text(vat.rate_micros, 0) if vat.has_rate else None


def _part(part: ExplainedPart, public_ids: PublicIds) -> ExplainedMessagePart:
    facts = part.facts
    return ExplainedMessagePart(
        part=facts.part,
        segments=facts.segments,
        charged=part.charged,
        amount=micros_to_text(part.amount_micros),
        price=None if facts.sell is None else _price(facts.sell, facts.sell_micros, public_ids),
        receipt=None if facts.receipt is None else facts.receipt.state,
        ledger=[_posting(posted) for posted in facts.postings] if part.charged else [],
        billed_in=None if part.period is None else str(part.period),
        late=part.late,
        lines=[_line(line) for line in part.lines],
        given_back_at=None if facts.given_back is None else facts.given_back.at,
    )


def _cost(part: ExplainedPart, public_ids: PublicIds) -> ExplainedCost:
    facts = part.facts
    return ExplainedCost(
        part=facts.part,
        carrier=facts.carrier,
        price=None if facts.cost is None else _price(facts.cost, facts.cost_micros, public_ids),
        amount=micros_to_text(part.cost_micros),
        margin=None if part.margin_micros is None else micros_to_text(part.margin_micros),
    )


def _price(priced: Priced, micros: int, public_ids: PublicIds) -> ExplainedPrice:
    item = priced.item
    steps = () if item.ladder is None else item.ladder.steps
    return ExplainedPrice(
        price_list=priced.list_name,
        version=priced.version,
        valid_from=priced.effective_from,
        valid_until=priced.effective_until,
        price_item=public_ids.encode(Kind.PRICE_ITEM, item.item_id),
        network=item.network,
        basis=item.basis.value,
        unit_price=micros_to_text(item.unit_micros),
        amount=micros_to_text(micros),
        currency=priced.currency,
        tier_mode=None if item.ladder is None else item.ladder.mode.value,
        tiers=[TierStep(first=step.first, unit_price=micros_to_text(step.unit_micros)) for step in steps],
    )


def _posting(posted: Posted) -> ExplainedPosting:
    return ExplainedPosting(
        id=posted.name,
        at=posted.at,
        messages=posted.messages,
        segments=posted.segments,
        amount=micros_to_text(posted.amount_micros),
    )


def _line(line: BilledLine) -> ExplainedLine:
    return ExplainedLine(
        number=line.number,
        line=line.line,
        issued_on=line.issued_on,
        quantity=line.quantity,
        unit_price=micros_to_text(line.unit_micros),
        net=line.net,
        currency=line.currency,
        credited_by=[number for number, _quantity in line.credits],
    )


ROUTES: Final = (
    Route("GET", "/v1/messages/{id}/explanation", explain_message, "What a message was charged, and why",
          Scope.BILLING_READ, response=Explanation, errors=("erased",)),
    Route("GET", "/v1/explanations/{id}", explain_for_operator, "The same of anybody, with cost and margin",
          Scope.OPERATOR, response=OperatorExplanation, errors=("erased",)),
)  # fmt: skip
