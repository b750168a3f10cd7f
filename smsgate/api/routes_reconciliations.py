"""Reconciliations with carriers: bills, what differs, and packs to dispute them; for the operator."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import Field

from smsgate.api.file_parts import send_file
from smsgate.api.models import Amount, AnswerModel, Page, PageQuery, QueryModel
from smsgate.api.problems import ProblemType
from smsgate.api.routes_explanations import reports
from smsgate.api.routing import Answer, Body, Call, Route
from smsgate.billing.periods import Month
from smsgate.flows.bill_uploads import BillAsked
from smsgate.flows.reconciling import BillResult
from smsgate.money import micros_from_text, micros_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind, PublicIds

CSV: Final = "text/csv"
ZIP: Final = "application/zip"
FILE_NAME_CHARACTERS_MAX: Final = 100
PROBLEMS: Final = (
    ProblemType(
        "bill_invalid", 422, "The bill cannot be read", "The sentence names the line; nothing of it counts."
    ),
    ProblemType("reconciliation_running", 409, "Another bill is being read", "Send yours when it is done."),
)


class BillQuery(QueryModel):
    carrier: str = Field(max_length=60, description="Its name in the configuration.")
    month: str = Field(max_length=7, description="Such as 2026-10, of the carrier's time zone.")
    amount: Amount | None = Field(
        default=None, description="What it asks for the month; else the sum of the file."
    )
    file: str = Field(
        default="bill.csv",
        max_length=FILE_NAME_CHARACTERS_MAX,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$",
        description="What the carrier calls it.",
    )


class ReconciliationSummary(AnswerModel):
    """Amounts are exact, in the currency of our costs."""

    id: str
    carrier: str
    month: str
    zone: str = Field(description="The carrier's, whose month it is.")
    currency: str
    verdict: str = Field(
        description="accepted, dispute or underbilled. A difference that is tolerated is disputed for "
        "messages of other months that the bill lists (cut_off)."
    )
    our_cost: str
    invoiced: str
    difference: str
    tolerance: str
    by_message: bool = Field(description="false: the bill has lines by network and price.")
    messages: dict[str, int] = Field(description="Rows by class, where the bill names messages.")
    file: str
    file_sha256: str
    file_rows: int
    created_at: datetime


class ReconciliationLine(AnswerModel):
    network: str
    reason: str = Field(description="same, count, price, count_and_price, only_ours or only_carrier.")
    our_segments: int
    carrier_segments: int
    our_price: str | None
    carrier_price: str | None
    our_cost: str
    carrier_cost: str
    difference: str
    by_count: str = Field(description="What counts make of the difference; the rest is by_price.")
    by_price: str


class Reconciliation(ReconciliationSummary):
    lines: list[ReconciliationLine]


async def list_reconciliations(call: Call) -> Answer:
    page = await reports(call).reconciling.page(call.page_ask(Kind.RECONCILIATION))
    ids = call.context.public_ids
    data = [ReconciliationSummary.model_validate(_summary(row, ids)) for row in page.rows]
    return call.page_answer(Page[ReconciliationSummary], data, page.has_more)


async def get_reconciliation(call: Call) -> Answer:
    found = await reports(call).reconciling.get(call.path_id(Kind.RECONCILIATION))
    return as_reconciliation(found, call.context.public_ids)


async def create_reconciliation(call: Call) -> Answer:
    query = call.query_as(BillQuery)
    assert call.stream is not None
    invoiced = None if query.amount is None else micros_from_text(query.amount)
    asked = BillAsked(query.carrier, Month.parse(query.month), query.file, invoiced)
    return as_reconciliation(await reports(call).bills.take(asked, call.stream), call.context.public_ids)


async def get_dispute_pack(call: Call) -> Answer:
    found = await reports(call).reconciling.get(call.path_id(Kind.RECONCILIATION))
    pack = await reports(call).bills.pack(found.reconciliation_id)
    return await send_file(call, pack, ZIP, f"dispute-{found.carrier}-{found.month}.zip")


def as_reconciliation(result: BillResult, public_ids: PublicIds) -> Reconciliation:
    lines = [
        ReconciliationLine(
            network=line.network,
            reason=line.reason.value,
            our_segments=line.our_segments,
            carrier_segments=line.their_segments,
            our_price=None if line.our_unit is None else micros_to_text(line.our_unit),
            carrier_price=None if line.their_unit is None else micros_to_text(line.their_unit),
            our_cost=micros_to_text(line.our_micros),
            carrier_cost=micros_to_text(line.their_micros),
            difference=micros_to_text(line.difference_micros),
            by_count=micros_to_text(line.count_micros),
            by_price=micros_to_text(line.price_micros),
        )
        for line in result.lines
    ]
    return Reconciliation.model_validate({**_summary(result, public_ids), "lines": lines})


def _summary(result: BillResult, public_ids: PublicIds) -> dict[str, object]:
    return {
        "id": public_ids.encode(Kind.RECONCILIATION, result.reconciliation_id),
        "carrier": result.carrier,
        "month": str(result.month),
        "zone": result.zone_name,
        "currency": result.currency,
        "verdict": result.verdict.value,
        "our_cost": micros_to_text(result.our_micros),
        "invoiced": micros_to_text(result.invoiced_micros),
        "difference": micros_to_text(result.difference_micros),
        "tolerance": micros_to_text(result.allowed_micros),
        "by_message": result.by_message,
        "messages": result.counts,
        "file": result.file_name,
        "file_sha256": result.file_sha256.hex(),
        "file_rows": result.file_rows,
        "created_at": result.created_at,
    }


ROUTES: Final = (
    Route("POST", "/v1/reconciliations", create_reconciliation, "Reconcile a carrier's bill", Scope.OPERATOR,
          query=BillQuery, response=Reconciliation, status=201, body=Body.STREAM, media_types=(CSV,),
          errors=("bill_invalid", "month_invalid", "amount_invalid", "reconciliation_running")),
    Route("GET", "/v1/reconciliations", list_reconciliations, "List carriers' bills that were reconciled",
          Scope.OPERATOR, query=PageQuery, response=Page[ReconciliationSummary]),
    # Before the JSON form: its pattern would take the suffix for a part of the id.
    Route("GET", "/v1/reconciliations/{id}.zip", get_dispute_pack, "The pack for the carrier, signed",
          Scope.OPERATOR, media_type=ZIP, more_statuses=(206,), errors=("range_invalid",)),
    Route("GET", "/v1/reconciliations/{id}", get_reconciliation, "Where a bill and our costs differ",
          Scope.OPERATOR, response=Reconciliation),
)  # fmt: skip
