"""The FEC: what was issued, as the accounting entries that French tax auditors read."""

from __future__ import annotations

from typing import Final

from smsgate.api.problems import ProblemType
from smsgate.api.routes_invoices import invoicing
from smsgate.api.routing import Answer, Call, Route, Text
from smsgate.flows.fec import span_of
from smsgate.flows.usage import CSV_MEDIA_TYPE
from smsgate.security.api_keys import Scope

MEDIA_TYPE: Final = "text/plain; charset=iso-8859-15"

PROBLEMS: Final = (
    ProblemType("fec_too_large", 422, "Too many documents", "Ask month by month."),
    ProblemType("fec_unbalanced", 500, "An entry does not balance", "Run smsgate billing verify."),
)


async def get_fec(call: Call) -> Answer:
    file = await invoicing(call).fec.file(span_of(call.path_text("period")))
    return Text(file.octets, MEDIA_TYPE, {"Content-Disposition": f'attachment; filename="{file.name}"'})


async def get_e_reporting(call: Call) -> Answer:
    period = call.path_text("period")
    report = await invoicing(call).e_reporting.report(span_of(period))
    name = f'attachment; filename="e-reporting-{period}.csv"'
    return Text(report.csv(), CSV_MEDIA_TYPE, {"Content-Disposition": name})


ROUTES: Final = (
    Route("GET", "/v1/e_reporting/{period}", get_e_reporting, "Sales that French e-invoicing does not see",
          Scope.OPERATOR, media_type="text/csv",
          errors=("month_invalid", "billing_incomplete", "rate_unknown", "fec_too_large")),
    Route("GET", "/v1/fec/{period}", get_fec, "Accounting entries of a year or month", Scope.OPERATOR,
          media_type="text/plain",
          errors=("month_invalid", "billing_incomplete", "rate_unknown", "fec_too_large")),
)  # fmt: skip
