"""`smsgate billing fec`: issued documents as the file of accounting entries that French tax auditors read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import as_usage
from smsgate.cli.files import write_whole
from smsgate.cli.output import JsonOption, say, show_json
from smsgate.cli.sessions import with_settings
from smsgate.config import load_settings
from smsgate.daemon.services import Services
from smsgate.flows.fec import Fec, FecFile, span_of
from smsgate.store.fec import PgFec

HELP: Final = (
    "Write the FEC (Livre des procédures fiscales, art. A47 A-1) of a year or a month: an entry for each "
    "document, in euros, under the name that the law asks for, SIREN + FEC + closing date.\n\n"
    "Exit code 1: the configuration names no seller with a SIREN, or has no exchange rate."
)
EPILOG: Final = examples(
    "smsgate billing fec 2026",
    "smsgate billing fec 2026-10 --output /srv/books",
    "smsgate billing fec 2026-04..2027-03 --output fec.txt",
)


def fec(
    period: Annotated[
        str, typer.Argument(metavar="PERIOD", help="YYYY, YYYY-MM, or a business year: YYYY-MM..YYYY-MM.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="FILE|DIRECTORY", help="Where to write it, whole or not at all.")
    ] = Path(),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    with as_usage("PERIOD"):
        span = span_of(period)
    settings = load_settings(config)

    async def work(services: Services) -> FecFile:
        return await Fec(PgFec(services.database), settings.billing.seller()).file(span)

    file = with_settings(settings, work)
    path = output / file.name if output.is_dir() else output
    write_whole(path, file.octets)
    if as_json:
        show_json({"file": str(path), "documents": file.documents, "octets": len(file.octets)})
    say(f"{path}: {file.documents} documents from {span.first} to {span.last}.")
