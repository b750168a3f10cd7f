"""Margins per merchant, campaign and carrier, for the operator alone."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from smsgate.api.models import AnswerModel, QueryModel
from smsgate.api.problems import ProblemType
from smsgate.api.routes_explanations import reports
from smsgate.api.routes_prices import SoldBelowCost
from smsgate.api.routing import Answer, Call, Route
from smsgate.billing.periods import Month
from smsgate.flows.margins import By, MarginReport
from smsgate.money import micros_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind, PublicIds

PROBLEMS: Final = (ProblemType("report_too_large", 422, "Too many rows for one report", "Name a merchant."),)


class MarginLine(AnswerModel):
    """Exact amounts in one currency; what is added up over is null."""

    merchant: str | None = Field(description="Its slug.")
    campaign: str | None = Field(description="Its external_id, else its id.")
    carrier: str | None
    currency: str
    messages: int
    segments: int
    revenue: str
    cost: str
    margin: str
    below_cost: bool
    segments_without_cost: int = Field(description="To phones; what they cost is not known.")


class Margins(AnswerModel):
    month: str = Field(description="Of each merchant's own time zone.")
    by: str
    data: list[MarginLine] = Field(description="What loses most comes first.")
    prices_below_cost: list[SoldBelowCost] = Field(description="In force now.")


class MarginQuery(QueryModel):
    by: By = By.MERCHANT
    merchant: str | None = Field(default=None, max_length=64, description="One merchant's id.")


async def get_margins(call: Call) -> Answer:
    query = call.query_as(MarginQuery)
    month = Month.parse(call.path_text("month"))
    merchant_id = None if query.merchant is None else call.decode(Kind.MERCHANT, query.merchant)
    report = await reports(call).margins.report(month, query.by, merchant_id)
    return as_margins(report, call.context.public_ids)


def as_margins(report: MarginReport, public_ids: PublicIds) -> Margins:
    return Margins(
        month=str(report.month),
        by=report.by.value,
        data=[
            MarginLine(
                merchant=margin.merchant or None,
                campaign=campaign_name(margin.campaign_id, margin.external_id, public_ids),
                carrier=margin.carrier or None,
                currency=margin.currency,
                messages=margin.messages,
                segments=margin.segments,
                revenue=micros_to_text(margin.revenue_micros),
                cost=micros_to_text(margin.cost_micros),
                margin=micros_to_text(margin.margin_micros),
                below_cost=margin.loses,
                segments_without_cost=margin.uncosted_segments,
            )
            for margin in report.margins
        ],
        prices_below_cost=[
            SoldBelowCost(
                network=loss.found.network,
                sell=micros_to_text(loss.found.sell_micros),
                cost=micros_to_text(loss.found.cost_micros),
                sell_list=loss.found.sell_list,
                cost_list=loss.found.cost_list,
            )
            for loss in report.losses
        ],
    )


def campaign_name(campaign_id: int | None, external_id: str, public_ids: PublicIds) -> str | None:
    if campaign_id is None:
        return None
    return external_id or public_ids.encode(Kind.CAMPAIGN, campaign_id)


ROUTES: Final = (
    Route("GET", "/v1/margins/{month}", get_margins, "What is left of a month's revenue", Scope.OPERATOR,
          query=MarginQuery, response=Margins, errors=("month_invalid", "report_too_large")),
)  # fmt: skip
