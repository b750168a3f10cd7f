"""What a merchant may still send for: its balance, its caps, what gateways have leased of them."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from smsgate.api.models import AnswerModel
from smsgate.api.problems import ProblemType
from smsgate.api.routes_explanations import reports
from smsgate.api.routing import Answer, Call, Route
from smsgate.errors import NotFound
from smsgate.flows.budget_records import budget_view
from smsgate.security.api_keys import Scope

PROBLEMS: Final = (
    ProblemType(
        "budget_missing", 404, "No budget", "Nothing bounds what this merchant sends but its carriers."
    ),
)


class BudgetMonth(AnswerModel):
    month: str = Field(description="Of the merchant's time zone.")
    cap: str | None
    left: str | None = Field(description="Of the cap; null: there is none.")
    leased: str
    spent: str


class BudgetDay(AnswerModel):
    day: str = Field(description="Of the merchant's time zone.")
    cap: str | None
    left: str | None = Field(description="Of the cap; null: there is none.")
    leased: str
    spent: str


class BudgetAnswer(AnswerModel):
    """paid_in = available + leased + spent + refunded, to the micro-unit, without VAT."""

    currency: str
    prepaid: bool = Field(description="It sends for what was paid in alone.")
    paid_in: str
    available: str
    leased: str = Field(description="Set aside for messages that gateways are writing.")
    in_doubt: str = Field(description="Of what is leased: nobody knows yet whether it was sent.")
    spent: str
    deducted: str = Field(description="Of what is spent: what invoices have deducted.")
    refunded: str = Field(description="Paid back.")
    alarm: str = Field(description="`budget.low` is told when no more than this is left.")
    month: BudgetMonth
    day: BudgetDay
    held: str | None = Field(description="`budget`: messages wait for money.")


async def get_budget(call: Call) -> Answer:
    state = await reports(call).budgets.state(call.merchant_id, call.context.clock.now())
    if state is None:
        raise NotFound("nothing bounds what this merchant sends", code="budget_missing")
    return BudgetAnswer.model_validate(budget_view(state))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/budget",
        get_budget,
        "The prepaid balance and the caps",
        Scope.BILLING_READ,
        response=BudgetAnswer,
        errors=("budget_missing",),
    ),
)
