"""Usage records: a month message by message, as a file whose download may break and go on."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import Field

from smsgate.api.file_parts import send_file
from smsgate.api.models import AnswerModel
from smsgate.api.problems import ProblemType
from smsgate.api.routes_explanations import reports
from smsgate.api.routes_usage import StatementQuery
from smsgate.api.routing import Answer, Call, Route
from smsgate.billing.periods import Month
from smsgate.flows.usage import CSV_MEDIA_TYPE
from smsgate.flows.usage_files import UsageFile
from smsgate.security.api_keys import Scope

WAIT_S: Final = 20.0  # for the file: below the time-out of most proxies
PROBLEMS: Final[tuple[ProblemType, ...]] = ()


class UsageSum(AnswerModel):
    direction: str
    messages: int
    segments: int
    amount: str


class UsageRecords(AnswerModel):
    """The manifest of the file that `.csv` sends."""

    month: str
    zone: str
    starts_at: datetime
    ends_at: datetime
    currency: str
    made_at: datetime
    rows: int
    octets: int
    sha256: str = Field(description="Of the whole file; it is its ETag, too.")
    columns: list[str]
    sums: list[UsageSum]
    ledger_agrees: bool = Field(description="Whether the ledger has the same sums.")


async def _file(call: Call) -> UsageFile:
    headers = call.request.headers
    return await reports(call).usage_files.get(
        call.merchant_id,
        Month.parse(call.path_text("month")),
        call.query_as(StatementQuery).currency,
        resumed="Range" in headers,
        wait_s=WAIT_S,
    )


async def get_usage_records(call: Call) -> Answer:
    manifest = (await _file(call)).manifest
    shared = {name: manifest[name] for name in UsageRecords.model_fields if name in manifest}
    return UsageRecords(**shared, ledger_agrees=manifest["ledger"]["equal"])


async def get_usage_csv(call: Call) -> Answer:
    file = await _file(call)
    return await send_file(call, file, CSV_MEDIA_TYPE, file.manifest["file"])


_ERRORS: Final = ("month_invalid", "currency_unknown", "export_not_ready")

ROUTES: Final = (
    # Before the JSON form: its pattern would take the suffix for a part of the month.
    Route("GET", "/v1/usage_records/{month}.csv", get_usage_csv, "A month message by message, as CSV",
          Scope.BILLING_READ, query=StatementQuery, media_type="text/csv", more_statuses=(206,),
          errors=(*_ERRORS, "range_invalid")),
    Route("GET", "/v1/usage_records/{month}", get_usage_records, "Rows, sums and SHA-256 of that file",
          Scope.BILLING_READ, query=StatementQuery, response=UsageRecords, errors=_ERRORS),
)  # fmt: skip
