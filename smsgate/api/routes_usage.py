"""Usage: what a month cost, line by line, and the same as CSV."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import Field

from smsgate.api.commerce import commerce
from smsgate.api.models import AnswerModel, CurrencyCode, QueryModel
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route, Text
from smsgate.flows.usage import CSV_MEDIA_TYPE, UsageStatement
from smsgate.money import micros_to_text, minor_to_text
from smsgate.security.api_keys import Scope

PROBLEMS: Final = (ProblemType("month_invalid", 422, "Not a month", "Write it as 2026-11."),)


class StatementMonth(AnswerModel):
    month: str
    currency: str
    messages: int
    segments: int
    amount: str = Field(description="Exact, before the statement's one rounding.")


class StatementMonths(AnswerModel):
    data: list[StatementMonth]


class StatementLine(AnswerModel):
    """Unit price x segments = amount."""

    direction: str
    network: str
    price_item: str
    messages: int
    segments: int
    unit_price: str
    amount: str


class Statement(AnswerModel):
    month: str
    merchant: str
    zone: str = Field(description="The IANA time zone that the month is counted in.")
    starts_at: datetime
    ends_at: datetime
    currency: str
    lines: list[StatementLine]
    messages: int
    segments: int
    amount: str = Field(description="Exact sum of the lines.")
    rounding: str
    total: str = Field(description="In the currency's own decimals: amount + rounding.")
    unknown_messages: int = Field(description="In doubt: not charged, and not in the lines.")


class StatementQuery(QueryModel):
    currency: CurrencyCode | None = Field(default=None, description="The merchant's own when left out.")


async def list_months(call: Call) -> Answer:
    rows = await commerce(call).usage.months(call.merchant_id)
    return StatementMonths(
        data=[
            StatementMonth(
                month=row.month,
                currency=row.currency,
                messages=row.messages,
                segments=row.segments,
                amount=micros_to_text(row.amount_micros),
            )
            for row in rows
        ]
    )


async def get_statement(call: Call) -> Answer:
    currency = call.query_as(StatementQuery).currency
    usage = await commerce(call).usage.statement(call.merchant_id, call.path_text("month"), currency)
    return as_statement(usage)


async def get_statement_csv(call: Call) -> Answer:
    currency, month = call.query_as(StatementQuery).currency, call.path_text("month")
    text = await commerce(call).usage.csv(call.merchant_id, month, currency)
    name = f'attachment; filename="statement-{month}.csv"'
    return Text(text.encode(), CSV_MEDIA_TYPE, {"Content-Disposition": name})


def as_statement(usage: UsageStatement) -> Statement:
    statement = usage.statement
    return Statement(
        month=str(statement.month),
        merchant=statement.merchant,
        zone=usage.zone,
        starts_at=statement.starts_at,
        ends_at=statement.ends_at,
        currency=statement.currency,
        lines=[
            StatementLine(
                direction=line.direction,
                network=line.network,
                price_item=line.price_item,
                messages=line.messages,
                segments=line.segments,
                unit_price=micros_to_text(line.unit_micros),
                amount=micros_to_text(line.amount_micros),
            )
            for line in usage.lines
        ],
        messages=statement.messages,
        segments=statement.segments,
        amount=micros_to_text(statement.exact_micros),
        rounding=micros_to_text(statement.rounding_micros),
        total=minor_to_text(statement.total_minor, statement.currency),
        unknown_messages=usage.unknown,
    )


_ERRORS: Final = ("month_invalid", "currency_unknown")

ROUTES: Final = (
    Route(
        "GET",
        "/v1/usage/statements",
        list_months,
        "List months with usage",
        Scope.BILLING_READ,
        response=StatementMonths,
    ),
    # Before the JSON form: its pattern would take the suffix for a part of the month.
    Route(
        "GET",
        "/v1/usage/statements/{month}.csv",
        get_statement_csv,
        "A month by campaign, as CSV",
        Scope.BILLING_READ,
        query=StatementQuery,
        media_type="text/csv",
        errors=_ERRORS,
    ),
    Route(
        "GET",
        "/v1/usage/statements/{month}",
        get_statement,
        "A month's statement",
        Scope.BILLING_READ,
        query=StatementQuery,
        response=Statement,
        errors=_ERRORS,
    ),
)
