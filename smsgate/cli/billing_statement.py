"""`smsgate billing statement`: a merchant's month, line by line."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.api.routes_usage import Statement, as_statement
from smsgate.billing.periods import Month
from smsgate.cli import billing_export
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import as_usage
from smsgate.cli.output import JsonOption, show, show_json, show_table
from smsgate.cli.sessions import with_services
from smsgate.money import check_currency

HELP: Final = "Show a month's statement."
EPILOG: Final = examples(
    "smsgate billing statement boxman 2026-11", "smsgate billing statement boxman 2026-11 --json"
)

MerchantArgument = Annotated[str, typer.Argument(metavar="MERCHANT", help="Its slug.")]
MonthArgument = Annotated[
    str, typer.Argument(metavar="YYYY-MM", help="Calendar month of the merchant's time zone.")
]
CurrencyOption = Annotated[str | None, typer.Option(help="Another one.", show_default="the merchant's")]


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
