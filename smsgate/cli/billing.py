"""`smsgate billing`: a merchant's month, as a statement or as CSV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.api.routes_usage import Statement, as_statement
from smsgate.billing.periods import Month
from smsgate.billing.statements import statement_csv
from smsgate.cli import billing_document, billing_publish, billing_rate, billing_simulate
from smsgate.cli.examples import examples
from smsgate.cli.exits import as_usage
from smsgate.cli.files import write_whole
from smsgate.cli.output import JsonOption, say, show, show_json, show_table
from smsgate.cli.sessions import ConfigOption, merchant_of, with_services
from smsgate.daemon.services import Services
from smsgate.flows.usage import Usage, UsageStatement
from smsgate.money import check_currency
from smsgate.store.offers import PgOffers
from smsgate.store.usage import PgUsage

app: Final = typer.Typer(
    help="Billing: prices, statements, exports, documents and worked cases.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("simulate", help=billing_simulate.HELP, epilog=billing_simulate.EPILOG)(billing_simulate.simulate)
app.command("rate", help=billing_rate.HELP, epilog=billing_rate.EPILOG)(billing_rate.rate)
app.command("publish", help=billing_publish.HELP, epilog=billing_publish.EPILOG)(billing_publish.publish)
app.command("document", help=billing_document.HELP, epilog=billing_document.EPILOG)(billing_document.document)

MerchantArgument = Annotated[str, typer.Argument(metavar="MERCHANT", help="Its slug.")]
MonthArgument = Annotated[
    str, typer.Argument(metavar="YYYY-MM", help="Calendar month of the merchant's time zone.")
]
CurrencyOption = Annotated[str | None, typer.Option(help="Another one.", show_default="the merchant's")]


@app.command(
    "export",
    help="Write a month's usage by campaign as CSV; the sums go to standard error.",
    epilog=examples(
        "smsgate billing export boxman 2026-11 --output boxman-2026-11.csv",
        "smsgate billing export boxman 2026-11 | column -s, -t",
    ),
)
def export(
    merchant: MerchantArgument,
    month: MonthArgument,
    output: Annotated[
        Path | None, typer.Option(help="Write here, whole or not at all.", show_default="standard output")
    ] = None,
    currency: CurrencyOption = None,
    config: ConfigOption = None,
) -> None:
    usage = _usage(config, merchant, month, currency)
    octets = statement_csv(usage.statement).encode()
    if output is None:
        sys.stdout.buffer.write(octets)
        sys.stdout.flush()
    else:
        write_whole(output, octets)
    sums = as_statement(usage)
    say(
        f"{merchant}, {sums.month}: {sums.messages} messages, {sums.segments} segments, "
        f"{sums.amount} {sums.currency} exactly, {sums.total} {sums.currency} to pay; "
        f"{sums.unknown_messages} in doubt and not charged."
    )


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
    found = as_statement(_usage(config, merchant, month, currency))
    if as_json:
        show_json(found.model_dump(mode="json"))
        return
    _show(found)


def _usage(config: Path | None, slug: str, month: str, currency: str | None) -> UsageStatement:
    with as_usage("YYYY-MM"):
        Month.parse(month)
    with as_usage("--currency"):
        code = None if currency is None else check_currency(currency)

    async def work(services: Services) -> UsageStatement:
        merchant = await merchant_of(services, slug)
        usage = Usage(PgUsage(services.database), PgOffers(services.database), services.public_ids)
        return await usage.statement(merchant.merchant_id, month, code)

    return with_services(config, work)


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
