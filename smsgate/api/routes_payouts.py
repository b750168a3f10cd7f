"""Payouts of premium messages: the operator closes a month by the carriers' counts, the merchant reads."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from smsgate.api.document_files import file_routes
from smsgate.api.models import Amount, AnswerModel, CurrencyCode, Page, PageQuery, RequestModel, written_as
from smsgate.api.problems import ProblemType
from smsgate.api.routes_invoices import (
    DocumentDetail,
    DocumentSummary,
    document_detail,
    document_page,
    document_summary,
    invoicing,
)
from smsgate.api.routes_prices import check_known_currency
from smsgate.api.routing import Answer, Call, Route
from smsgate.billing.documents import DocumentType
from smsgate.billing.payouts import PremiumUse
from smsgate.billing.periods import Month
from smsgate.flows.payouts import LINES_MAX, PayoutPlan
from smsgate.money import micros_from_text, minor_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

BILLED_MAX: Final = 10**9  # messages to one short code in a month: more than any country sends
PROBLEMS: Final = (
    ProblemType("payout_invalid", 422, "Not a payout", "Each short code once; shares from 0 to 100 %."),
    ProblemType(
        "payout_refused", 409, "Its VAT is not known", "Set vat_number in the merchant's billing profile."
    ),
    ProblemType("payout_closed", 409, "Paid out already", "A month and currency is paid out once."),
)

ShortCode = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{3,8}$"), written_as("write a short code of 3 to 8 digits")
]
Percent = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,3}(\.[0-9]{1,6})?$"),
    written_as('write per cent as text: "42.5"'),
]


class PayoutLineIn(RequestModel):
    """What a carrier billed for a short code."""

    short_code: ShortCode
    retail_price: Amount = Field(description="What a customer pays for one message, with VAT.")
    vat_rate: Percent = Field(description="In the retail price, per cent.")
    carrier_share: Percent = Field(
        description="What the carrier hands on of the price without VAT, per cent."
    )
    merchant_share: Percent = Field(description="What the merchant gets of that, per cent.")
    billed: int = Field(ge=0, le=BILLED_MAX, description="Messages, by the carrier's count.")


class ClosePayout(RequestModel):
    month: str = Field(max_length=7, description="A month of the merchant's zone that is over: 2026-11.")
    currency: CurrencyCode | None = Field(default=None, description="null: the merchant's own.")
    lines: list[PayoutLineIn] = Field(min_length=1, max_length=LINES_MAX)


class PayoutSeen(AnswerModel):
    """What would be written; nothing is."""

    month: str
    currency: str
    nets: dict[str, str] = Field(description="By short code.")
    net: str
    vat_category: str
    vat: str
    gross: str


async def _plan(call: Call) -> PayoutPlan:
    body = call.body_as(ClosePayout)
    if body.currency is not None:
        check_known_currency(body.currency)
    uses = [
        PremiumUse(
            line.short_code,
            micros_from_text(line.retail_price),
            micros_from_text(line.vat_rate),
            micros_from_text(line.carrier_share),
            micros_from_text(line.merchant_share),
            line.billed,
        )
        for line in body.lines
    ]
    merchant_id = call.path_id(Kind.MERCHANT)
    return await invoicing(call).payouts.plan(merchant_id, Month.parse(body.month), uses, body.currency)


async def see_payout(call: Call) -> Answer:
    plan = await _plan(call)
    document = plan.draft.document
    nets = {
        use.short_code: minor_to_text(line.net_minor, plan.currency)
        for use, line in zip(plan.uses, document.lines, strict=True)
    }
    net, vat, gross = (
        minor_to_text(amount, plan.currency)
        for amount in (document.net_minor, document.vat_minor, document.gross_minor)
    )
    category = document.vat_rows[0].vat.category
    return PayoutSeen(
        month=str(plan.month),
        currency=plan.currency,
        nets=nets,
        net=net,
        vat_category=category,
        vat=vat,
        gross=gross,
    )


async def close_payout(call: Call) -> Answer:
    plan = await _plan(call)
    return document_summary(call, await invoicing(call).payouts.close(plan))


async def list_payouts(call: Call) -> Answer:
    return await document_page(call, DocumentType.SELF_BILLED)


async def get_payout(call: Call) -> Answer:
    return await document_detail(call, DocumentType.SELF_BILLED)


_READ: Final = Scope.BILLING_READ
_OPERATOR: Final = Scope.OPERATOR
_ERRORS: Final = (
    "amount_invalid", "currency_unknown", "month_invalid", "month_running", "billing_incomplete",
    "document_refused",
    "payout_invalid", "payout_refused",
)  # fmt: skip

ROUTES: Final = (
    Route("GET", "/v1/payouts", list_payouts, "List payouts", _READ,
          query=PageQuery, response=Page[DocumentSummary]),
    *file_routes("/v1/payouts", "payout", "A payout", DocumentType.SELF_BILLED),
    Route("GET", "/v1/payouts/{id}", get_payout, "Read a payout", _READ, response=DocumentDetail),
    Route("POST", "/v1/merchants/{id}/payouts/differences", see_payout, "What a payout would say", _OPERATOR,
          request=ClosePayout, response=PayoutSeen, idempotent=False, errors=_ERRORS),
    Route("POST", "/v1/merchants/{id}/payouts", close_payout, "Pay a premium month out", _OPERATOR,
          request=ClosePayout, response=DocumentSummary, status=201, errors=(*_ERRORS, "payout_closed")),
)  # fmt: skip
