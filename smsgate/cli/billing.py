"""`smsgate billing`: a merchant's month, as a statement or as CSV."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.api.routes_usage import Statement, as_statement
from smsgate.billing.periods import Month
from smsgate.billing.statements import statement_csv
from smsgate.cli.billing_simulate import EPILOG, HELP, simulate
from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused, as_usage
from smsgate.cli.output import JsonOption, say, show, show_json, show_table
from smsgate.cli.sessions import ConfigOption, merchant_of, with_services
from smsgate.daemon.services import Services
from smsgate.flows.usage import Usage, UsageStatement
from smsgate.money import check_currency
from smsgate.store.offers import PgOffers
from smsgate.store.usage import PgUsage

app: Final = typer.Typer(
    help="Billing: statements, exports and worked cases.", no_args_is_help=True, rich_markup_mode=None
)
app.command("simulate", help=HELP, epilog=EPILOG)(simulate)

FILE_MODE: Final = 0o640  # what a merchant pays is not for everybody on the machine

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
        _write(output, octets)
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


def _write(path: Path, octets: bytes) -> None:
    """Write the file whole or not at all; an older one is replaced."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
        Path(name).chmod(FILE_MODE)
        Path(name).replace(path)
    except OSError as exc:
        raise UsageRefused(f"{path} cannot be written: {exc.strerror}.") from exc
