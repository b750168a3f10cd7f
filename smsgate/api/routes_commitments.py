"""Minimums per month: the operator sets them as versions, the merchant reads them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from smsgate.api.models import Amount, AnswerModel, CurrencyCode, Instant, RequestModel, written_as
from smsgate.api.problems import ProblemType
from smsgate.api.routes_invoices import invoicing
from smsgate.api.routes_prices import check_known_currency
from smsgate.api.routing import Answer, Call, Route
from smsgate.billing.commitments import Commitment
from smsgate.billing.periods import Month
from smsgate.flows.commitments import CommitmentPlan, CommitmentState, changes_view, commitments_view
from smsgate.money import minor_from_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = (
    ProblemType(
        "commitment_invalid", 422, "Not a minimum", "Not below zero, and its last month not before its first."
    ),
    ProblemType("month_closed", 409, "The month is closed", "Begin with a month that is still open."),
    ProblemType("commitment_changed", 409, "Set meanwhile", "Look at the differences again."),
)

MonthText = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}$"), written_as("write a month such as 2026-12")
]


class SetCommitment(RequestModel):
    minimum: Amount = Field(description="Net of a month, without VAT; 0 ends an earlier one.")
    currency: CurrencyCode | None = Field(default=None, description="null: the merchant's own.")
    first_month: MonthText = Field(description="In the merchant's zone; not a closed one.")
    last_month: MonthText | None = Field(default=None, description="Included; null: without end.")


class CommitmentOut(AnswerModel):
    version: int = Field(description="Of the versions that cover a month the newest one holds.")
    currency: str
    minimum: str
    first_month: str
    last_month: str | None
    set_at: Instant


class CommitmentList(AnswerModel):
    data: list[CommitmentOut] = Field(description="Newest first.")


class CommitmentChange(AnswerModel):
    first_month: str
    last_month: str | None
    old: str
    new: str


class CommitmentDifferences(AnswerModel):
    currency: str
    changes: list[CommitmentChange]


def _list(state: CommitmentState) -> CommitmentList:
    return CommitmentList.model_validate({"data": commitments_view(state)})


async def _plan(call: Call) -> CommitmentPlan:
    body = call.body_as(SetCommitment)
    merchant_id, commitments = call.path_id(Kind.MERCHANT), invoicing(call).commitments
    currency = body.currency or (await commitments.state(merchant_id)).currency
    check_known_currency(currency)
    terms = Commitment(
        currency,
        minor_from_text(body.minimum, currency),
        Month.parse(body.first_month),
        None if body.last_month is None else Month.parse(body.last_month),
    )
    return await commitments.plan(merchant_id, terms)


async def compare_commitment(call: Call) -> Answer:
    """Say what `set_commitment` with this body would change; nothing is written."""
    plan = await _plan(call)
    return CommitmentDifferences.model_validate(
        {"currency": plan.terms.currency, "changes": changes_view(plan)}
    )


async def set_commitment(call: Call) -> Answer:
    plan = await _plan(call)
    return _list(await invoicing(call).commitments.add(call.path_id(Kind.MERCHANT), plan))


async def list_commitments(call: Call) -> Answer:
    return _list(await invoicing(call).commitments.state(call.path_id(Kind.MERCHANT)))


async def own_commitments(call: Call) -> Answer:
    return _list(await invoicing(call).commitments.state(call.merchant_id))


_OPERATOR: Final = Scope.OPERATOR
_ERRORS: Final = ("amount_invalid", "currency_unknown", "month_invalid", "commitment_invalid", "month_closed")

ROUTES: Final = (
    Route("GET", "/v1/commitments", own_commitments, "The minimums of your months", Scope.BILLING_READ,
          response=CommitmentList),
    Route("GET", "/v1/merchants/{id}/commitments", list_commitments, "A merchant's minimums", _OPERATOR,
          response=CommitmentList),
    Route("POST", "/v1/merchants/{id}/commitments", set_commitment, "Set a minimum", _OPERATOR,
          request=SetCommitment, response=CommitmentList, status=201,
          errors=(*_ERRORS, "commitment_changed")),
    Route("POST", "/v1/merchants/{id}/commitments/differences", compare_commitment, "What it changes",
          _OPERATOR, request=SetCommitment, response=CommitmentDifferences, idempotent=False,
          errors=_ERRORS),
)  # fmt: skip
