"""A month before its close: what its invoices would say, and what receipts may still charge."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from smsgate.api.document_files import invoicing_in
from smsgate.api.models import AnswerModel, Instant
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route
from smsgate.billing.documents import DocumentType
from smsgate.billing.issuing import Draft
from smsgate.billing.periods import Month
from smsgate.flows.forecasting import Forecast
from smsgate.money import micros_to_text, minor_to_text
from smsgate.security.api_keys import Scope

PROBLEMS: Final[tuple[ProblemType, ...]] = ()


class DraftLine(AnswerModel):
    name: str
    note: str
    for_month: str = Field(description="In which the messages were accepted.")
    quantity: int = Field(description="Segments; below zero what is given back.")
    unit_price: str
    net: str


class DraftPrepayment(AnswerModel):
    """A prepayment invoice that would be deducted; `vat` stands in `gross`."""

    number: str | None = Field(description="null: the payment has no document yet; the close writes it.")
    gross: str
    vat: str


class InvoiceDraft(AnswerModel):
    """It has no number. `due` is what is left to pay of `gross` after what was paid in advance."""

    currency: str
    credit_note: bool = Field(description="More is given back than charged: all signs are swapped.")
    net: str
    vat: str
    gross: str
    paid: str = Field(description="In advance: what it would deduct.")
    due: str = Field(description="gross - paid")
    lines: list[DraftLine]
    prepayments: list[DraftPrepayment]


class LateReceipts(AnswerModel):
    """Messages that are charged on delivery and have no final receipt; what is expected is an estimate."""

    currency: str
    messages: int
    awaited: str = Field(description="What they would cost if all were delivered.")
    expected_by_close: str
    expected_late: str = Field(description="In the next month's invoice, as lines of this month.")


class MonthDraft(AnswerModel):
    month: str
    zone: str
    starts_at: Instant
    ends_at: Instant
    close_at: Instant = Field(description="What is recorded from then on is late.")
    drafts: list[InvoiceDraft] = Field(
        description="By currency, VAT category O apart; none where there is nothing to bill."
    )
    late_receipts: list[LateReceipts]
    observed_messages: int = Field(description="Older messages whose receipts the estimates follow.")


async def get_draft(call: Call) -> Answer:
    month = Month.parse(call.path_text("month"))
    return as_draft(await invoicing_in(call.context).forecasting.month(call.merchant_id, month))


def as_draft(forecast: Forecast) -> MonthDraft:
    draft = forecast.month
    return MonthDraft(
        month=str(draft.period.month),
        zone=draft.merchant.zone_name,
        starts_at=draft.period.starts_at,
        ends_at=draft.period.ends_at,
        close_at=draft.close_at,
        drafts=[_invoice(each) for each in draft.drafts],
        late_receipts=[
            LateReceipts(
                currency=currency,
                messages=late.messages,
                awaited=micros_to_text(late.micros),
                expected_by_close=micros_to_text(late.by_close_micros),
                expected_late=micros_to_text(late.late_micros),
            )
            for currency, late in forecast.late.items()
        ],
        observed_messages=forecast.observed,
    )


def _invoice(draft: Draft) -> InvoiceDraft:
    invoice = draft.invoice
    return InvoiceDraft(
        currency=invoice.currency,
        credit_note=invoice.code == DocumentType.CREDIT_NOTE,
        net=minor_to_text(invoice.net_minor, invoice.currency),
        vat=minor_to_text(invoice.vat_minor, invoice.currency),
        gross=minor_to_text(invoice.gross_minor, invoice.currency),
        paid=minor_to_text(invoice.paid_minor, invoice.currency),
        due=minor_to_text(invoice.due_minor, invoice.currency),
        prepayments=[
            DraftPrepayment(
                number=advance.number or None,
                gross=minor_to_text(advance.gross_minor, invoice.currency),
                vat=minor_to_text(advance.vat_minor, invoice.currency),
            )
            for advance in invoice.advances
        ],
        lines=[
            DraftLine(
                name=line.name,
                note=line.note,
                for_month=line.origin,
                quantity=line.quantity,
                unit_price=micros_to_text(line.unit_micros),
                net=minor_to_text(line.net_minor, invoice.currency),
            )
            for line in invoice.lines
        ],
    )


ROUTES: Final = (
    Route("GET", "/v1/invoice_drafts/{month}", get_draft, "What a month's invoice would say now",
          Scope.BILLING_READ, response=MonthDraft,
          errors=("month_invalid", "month_closed", "billing_incomplete", "rate_unknown")),
)  # fmt: skip
