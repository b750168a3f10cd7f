"""`smsgate billing e-reporting`: totals of what was sold outside of French e-invoicing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.billing.ereporting import Report
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import as_usage
from smsgate.cli.files import write_whole
from smsgate.cli.output import show
from smsgate.cli.sessions import with_settings
from smsgate.config import load_settings
from smsgate.daemon.services import Services
from smsgate.flows.ereporting import EReporting
from smsgate.flows.fec import span_of
from smsgate.store.fec import PgFec

HELP: Final = (
    "Show what was sold to customers outside of French e-invoicing (abroad, and consumers): totals by day of "
    "issue, currency and VAT, with euros, as CSV. What was credited is taken off.\n\n"
    "Exit code 1: the configuration names no seller, or has no exchange rate."
)
EPILOG: Final = examples(
    "smsgate billing e-reporting 2026-10", "smsgate billing e-reporting 2026-10 --output october.csv"
)


def e_reporting(
    period: Annotated[
        str, typer.Argument(metavar="PERIOD", help="YYYY-MM, YYYY, or months: YYYY-MM..YYYY-MM.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="Write here, whole or not at all.", show_default="standard output")
    ] = None,
    config: ConfigOption = None,
) -> None:
    with as_usage("PERIOD"):
        span = span_of(period)
    settings = load_settings(config)

    async def work(services: Services) -> Report:
        return await EReporting(PgFec(services.database), settings.billing.seller()).report(span)

    octets = with_settings(settings, work).csv()
    if output is None:
        show(octets.decode().replace("\r\n", "\n").rstrip("\n"))
    else:
        write_whole(output, octets)
