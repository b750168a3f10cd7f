"""Usage records: a month message by message, as a file whose download may break and go on."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import Field

from smsgate.api.file_parts import send_file
from smsgate.api.models import AnswerModel, PublicId, QueryModel
from smsgate.api.problems import ProblemType
from smsgate.api.routes_explanations import reports
from smsgate.api.routes_invoices import invoicing
from smsgate.api.routes_usage import StatementQuery
from smsgate.api.routing import Answer, Call, Route, Text
from smsgate.billing.periods import Month
from smsgate.flows.document_exports import DocumentFile
from smsgate.flows.kept_files import KeptFile
from smsgate.flows.usage import CSV_MEDIA_TYPE
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

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


class RecordsQuery(QueryModel):
    document: PublicId = Field(description="Whose records: an invoice's, a credit note's, ...")


class KindSum(AnswerModel):
    kind: str = Field(description="usage, steps, commitment, payout, prepayment, rounding")
    rows: int
    messages: int
    segments: int
    amount: str


class DocumentRecords(AnswerModel):
    """The manifest of the document's file: its rows add up to its net."""

    document: str
    month: str
    currency: str
    made_at: datetime
    octets: int
    sha256: str
    rows: int
    columns: list[str]
    sums: list[KindSum]
    total: str
    net: str
    equal: bool = Field(description="Whether usage is that of the lines, and the rows add up to the net.")


async def _document_file(call: Call) -> DocumentFile:
    document_id = call.decode(Kind.DOCUMENT, call.query_as(RecordsQuery).document)
    document = await invoicing(call).documents.get(call.merchant_id, document_id)
    return await reports(call).document_exports.make(document, call.context.clock.now())


async def get_document_records(call: Call) -> Answer:
    return DocumentRecords.model_validate((await _document_file(call)).manifest)


async def get_document_csv(call: Call) -> Answer:
    file = await _document_file(call)
    name = file.manifest["document"].replace("/", "-")
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Text(file.octets, CSV_MEDIA_TYPE, headers)


async def _file(call: Call) -> KeptFile:
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
    Route("GET", "/v1/usage_records.csv", get_document_csv, "What a document is made of, as CSV",
          Scope.BILLING_READ, query=RecordsQuery, media_type="text/csv", errors=("report_too_large",)),
    Route("GET", "/v1/usage_records", get_document_records, "Rows, sums and SHA-256 of that file",
          Scope.BILLING_READ, query=RecordsQuery, response=DocumentRecords, errors=("report_too_large",)),
    # Before the JSON form: its pattern would take the suffix for a part of the month.
    Route("GET", "/v1/usage_records/{month}.csv", get_usage_csv, "A month message by message, as CSV",
          Scope.BILLING_READ, query=StatementQuery, media_type="text/csv", more_statuses=(206,),
          errors=(*_ERRORS, "range_invalid")),
    Route("GET", "/v1/usage_records/{month}", get_usage_records, "Rows, sums and SHA-256 of that file",
          Scope.BILLING_READ, query=StatementQuery, response=UsageRecords, errors=_ERRORS),
)  # fmt: skip
