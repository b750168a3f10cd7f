"""`smsgate billing`: a merchant's month, as a statement or as CSV."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.api.routes_usage import Statement, as_statement
from smsgate.billing.periods import Month
from smsgate.cli import (
    billing_budget,
    billing_document,
    billing_explain,
    billing_export,
    billing_issue,
    billing_margins,
    billing_publish,
    billing_rate,
    billing_reconcile,
    billing_simulate,
    billing_verify,
)
from smsgate.cli.examples import examples
from smsgate.cli.exits import as_usage
from smsgate.cli.output import JsonOption, show, show_json, show_table
from smsgate.cli.sessions import ConfigOption, with_services
from smsgate.money import check_currency

app: Final = typer.Typer(
    help="Billing: prices, statements, exports, documents and worked cases.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("simulate", help=billing_simulate.HELP, epilog=billing_simulate.EPILOG)(billing_simulate.simulate)
app.command("rate", help=billing_rate.HELP, epilog=billing_rate.EPILOG)(billing_rate.rate)
app.command("publish", help=billing_publish.HELP, epilog=billing_publish.EPILOG)(billing_publish.publish)
app.command("export", help=billing_export.HELP, epilog=billing_export.EPILOG)(billing_export.export)
app.command("verify", help=billing_verify.HELP, epilog=billing_verify.EPILOG)(billing_verify.verify)
app.command("reconcile", help=billing_reconcile.HELP, epilog=billing_reconcile.EPILOG)(
    billing_reconcile.reconcile
)
app.command("margins", help=billing_margins.HELP, epilog=billing_margins.EPILOG)(billing_margins.margins)
app.command("explain", help=billing_explain.HELP, epilog=billing_explain.EPILOG)(billing_explain.explain)
app.command("close", help=billing_issue.CLOSE_HELP, epilog=billing_issue.CLOSE_EPILOG)(billing_issue.close)
app.command("invoice", help=billing_issue.INVOICE_HELP, epilog=billing_issue.INVOICE_EPILOG)(
    billing_issue.invoice
)
app.command("credit", help=billing_issue.CREDIT_HELP, epilog=billing_issue.CREDIT_EPILOG)(
    billing_issue.credit
)
app.command("reverse", help=billing_issue.REVERSE_HELP, epilog=billing_issue.REVERSE_EPILOG)(
    billing_issue.reverse
)
app.command("budget", help=billing_budget.BUDGET_HELP, epilog=billing_budget.BUDGET_EPILOG)(
    billing_budget.budget
)
app.command("topup", help=billing_budget.TOPUP_HELP, epilog=billing_budget.TOPUP_EPILOG)(billing_budget.topup)
app.command("document", help=billing_document.HELP, epilog=billing_document.EPILOG)(billing_document.document)

MerchantArgument = Annotated[str, typer.Argument(metavar="MERCHANT", help="Its slug.")]
MonthArgument = Annotated[
    str, typer.Argument(metavar="YYYY-MM", help="Calendar month of the merchant's time zone.")
]
CurrencyOption = Annotated[str | None, typer.Option(help="Another one.", show_default="the merchant's")]


@app.command(
    "statement",
    help="Show a month's statement.",
    epilog=examples(
        "smsgate billing statement boxman 2026-11", "smsgate billing statement boxman 2026-11 --json"
    ),
)
def statement(
    merchant: MerchantArgument,
    month: MonthArgument,
    currency: CurrencyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    with as_usage("YYYY-MM"):
        Month.parse(month)
    with as_usage("--currency"):
        code = None if currency is None else check_currency(currency)
    usage = with_services(
        config, lambda services: billing_export.statement_of(services, merchant, month, code)
    )
    found = as_statement(usage)
    if as_json:
        show_json(found.model_dump(mode="json"))
        return
    _show(found)


def _show(found: Statement) -> None:
    show(f"{found.merchant}, {found.month} ({found.zone})")
    rows = [
        [
            line.direction,
            line.network or "-",
            str(line.messages),
            str(line.segments),
            line.unit_price,
            line.amount,
        ]
        for line in found.lines
    ]
    show_table(("direction", "network", "messages", "segments", "unit price", "amount"), rows)
    show(f"{found.messages} messages, {found.segments} segments: {found.amount} {found.currency}")
    show(f"rounding {found.rounding}, total {found.total} {found.currency}")
    if found.unknown_messages:
        show(f"{found.unknown_messages} messages are in doubt and not charged")
