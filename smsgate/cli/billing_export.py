"""`smsgate billing export`: a month by campaign, or message by message, as a file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from smsgate.billing.periods import Month
from smsgate.billing.statements import statement_csv
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused, as_usage
from smsgate.cli.files import FILE_MODE, write_whole
from smsgate.cli.output import JsonOption, say, show_json
from smsgate.cli.sessions import merchant_of, with_services
from smsgate.daemon.services import Services
from smsgate.flows.document_exports import DocumentExports, DocumentFile
from smsgate.flows.documents import Documents
from smsgate.flows.export_proofs import MANIFEST_SUFFIX
from smsgate.flows.exporting import CsvRows, Exporting, ExportQuestion, Manifest, RowWriter
from smsgate.flows.usage import Usage, UsageStatement
from smsgate.invoicing.tables import ParquetRows, XlsxSummary
from smsgate.money import check_currency, micros_to_text, minor_to_text
from smsgate.store.document_records import PgDocumentRecords
from smsgate.store.issued import PgDocuments
from smsgate.store.offers import PgOffers
from smsgate.store.usage import PgUsage
from smsgate.store.usage_records import PgUsageRecords

HELP: Final = (
    "Write a merchant's month as a file.\n\n--as statement: by campaign, as CSV; the sums go to standard "
    "error. "
    "--as csv and --as parquet: each charged message; --as xlsx: sums for a spreadsheet. These three "
    "stream into "
    "--output, with OUTPUT.manifest.json beside it: rows, sums, SHA-256, and whether the ledger says the "
    "same. "
    "Ends with 1 when it does not.\n\n--document NUMBER: what a document is made of, late units, steps and "
    "roundings included, as CSV with the same kind of manifest. Its rows add up to the net; ends with 1 when "
    "they do not."
)
EPILOG: Final = examples(
    "smsgate billing export boxman 2026-11 --output boxman-2026-11.csv",
    "smsgate billing export boxman 2026-11 | column -s, -t",
    "smsgate billing export boxman 2026-11 --as csv --output messages.csv",
    "smsgate billing export boxman 2026-11 --as parquet --output messages.parquet",
    "smsgate billing export --document F-2026-000042 --output F-2026-000042.csv",
)


class Form(StrEnum):
    STATEMENT = "statement"
    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"


WRITERS: Final[dict[Form, Callable[[Path], RowWriter]]] = {
    Form.CSV: CsvRows,
    Form.PARQUET: ParquetRows,
    Form.XLSX: XlsxSummary,
}


def export(
    merchant: Annotated[str | None, typer.Argument(metavar="[MERCHANT]", help="Its slug.")] = None,
    month: Annotated[
        str | None, typer.Argument(metavar="[YYYY-MM]", help="Calendar month of the merchant's time zone.")
    ] = None,
    form: Annotated[Form, typer.Option("--as", help="What to write.")] = Form.STATEMENT,
    output: Annotated[
        Path | None, typer.Option(help="Write here, whole or not at all.", show_default="standard output")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Another one.", show_default="the merchant's")] = None,
    document: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="What this document is made of, instead of a month.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    if document is not None:
        if merchant is not None or output is None:
            raise UsageRefused("--document NUMBER needs --output FILE, and no month.")
        _write_document(config, document, output, as_json)
        return
    if merchant is None or month is None:
        raise UsageRefused("Name a merchant and a month, or a --document.")
    with as_usage("YYYY-MM"):
        asked = Month.parse(month)
    with as_usage("--currency"):
        code = None if currency is None else check_currency(currency)
    if form is Form.STATEMENT:
        usage = with_services(config, lambda services: statement_of(services, merchant, month, code))
        _write_statement(merchant, usage, output)
        return
    if output is None:
        raise UsageRefused(f"--as {form.value} needs --output FILE.")
    manifest = _write_records(config, merchant, asked, code, form, output)
    if as_json:
        show_json(manifest.values)
    else:
        say(
            f"{output}: {manifest.rows} rows of charged messages and replies, "
            f"SHA-256 {manifest.values['sha256']}; the ledger "
            f"{'says the same' if manifest.equal else 'does not say the same'}."
        )
    raise typer.Exit(Exit.OK if manifest.equal else Exit.FAILED)


def _write_document(config: Path | None, number: str, output: Path, as_json: bool) -> None:
    async def work(services: Services) -> DocumentFile:
        database = services.database
        documents = Documents(PgDocuments(database), None, services.clock, services.ids.next)
        exports = DocumentExports(PgDocumentRecords(database, services.public_ids.encode))
        return await exports.make(await documents.by_number(number), services.clock.now())

    file = with_services(config, work)
    write_whole(output, file.octets)
    manifest = {**file.manifest, "file": output.name}
    _write_manifest(output, manifest)
    if as_json:
        show_json(manifest)
    else:
        say(
            f"{output}: {manifest['rows']} rows, {manifest['total']} {manifest['currency']}; the net of "
            f"{number} is {manifest['net']}: they {'agree' if file.equal else 'do not agree'}."
        )
    raise typer.Exit(Exit.OK if file.equal else Exit.FAILED)


async def statement_of(services: Services, slug: str, month: str, currency: str | None) -> UsageStatement:
    merchant = await merchant_of(services, slug)
    usage = Usage(PgUsage(services.database), PgOffers(services.database), services.public_ids)
    return await usage.statement(merchant.merchant_id, month, currency)


def exporting_of(services: Services) -> Exporting:
    return Exporting(PgUsageRecords(services.database), services.public_ids)


def _write_records(
    config: Path | None, slug: str, month: Month, currency: str | None, form: Form, output: Path
) -> Manifest:
    """Write beside the file first: it is there whole or not at all."""

    async def work(services: Services) -> Manifest:
        row = await merchant_of(services, slug)
        merchant = await PgOffers(services.database).merchant(row.merchant_id)
        question = ExportQuestion(merchant, month, currency or merchant.currency)
        return await exporting_of(services).write(
            question, path, WRITERS[form], now=services.clock.now(), name=output.name
        )

    try:
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
        os.close(handle)
    except OSError as exc:
        raise UsageRefused(f"{output} cannot be written: {exc.strerror}.") from exc
    path = Path(name)
    try:
        manifest = with_services(config, work)
        path.chmod(FILE_MODE)
        path.replace(output)
    finally:
        path.unlink(missing_ok=True)
    _write_manifest(output, manifest.values)
    return manifest


def _write_manifest(output: Path, values: Mapping[str, Any]) -> None:
    write_whole(
        output.with_name(output.name + MANIFEST_SUFFIX),
        orjson.dumps(values, option=orjson.OPT_INDENT_2) + b"\n",
    )


def _write_statement(merchant: str, usage: UsageStatement, output: Path | None) -> None:
    octets = statement_csv(usage.statement).encode()
    if output is None:
        sys.stdout.buffer.write(octets)
        sys.stdout.flush()
    else:
        write_whole(output, octets)
    sums = usage.statement
    say(
        f"{merchant}, {sums.month}: {sums.messages} messages, {sums.segments} segments, "
        f"{micros_to_text(sums.exact_micros)} {sums.currency} exactly, "
        f"{minor_to_text(sums.total_minor, sums.currency)} {sums.currency} rounded, without VAT "
        f"(an invoice rounds each line, and has what came late); "
        f"{usage.unknown} in doubt and not charged."
    )
