"""`smsgate billing verify`: the books are proved against the messages, and the first wrong row is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused, as_usage
from smsgate.cli.files import unreadable
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import merchant_of, with_services
from smsgate.daemon.invoicing import document_files_of
from smsgate.daemon.services import Services
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.documents import Documents
from smsgate.flows.export_proofs import (
    ExportedFile,
    files_in,
    prove_exports,
    prove_offline,
    read_csv,
    read_export,
)
from smsgate.flows.verifying import INVARIANTS, LISTED, Counts, Proof
from smsgate.flows.verifying import verify as prove
from smsgate.invoicing.tables import parquet_sums
from smsgate.store.issued import PgDocuments
from smsgate.store.offers import PgOffers
from smsgate.store.usage_records import PgUsageRecords
from smsgate.store.verify import PgVerify

HELP: Final = (
    "Prove prices, charges, ledger and documents against each other, over the whole database.\n\nReads one "
    "snapshot, so it may run beside the gateway; messages whose partitions were dropped are not looked "
    "at. --export proves files of smsgate billing export as well, row by row: against the manifest beside "
    "each, the ledger, and the lines of documents; with --offline against the manifests alone. --documents "
    "makes documents' files again and holds them to those that were handed out. Ends with 1 when anything "
    "is wrong, and names the first wrong row of each kind."
)
EPILOG: Final = examples(
    "smsgate billing verify",
    "smsgate billing verify --export messages-2026-10.csv --export messages-2026-10.parquet",
    "smsgate billing verify --offline --export /srv/exports",
    "smsgate billing verify --documents",
    "smsgate billing verify --json",
)
# By how the names of such files end; others are CSV. A spreadsheet has sums, and no rows to read.
READERS: Final = {".parquet": parquet_sums, ".xlsx": None}


def verify(
    export: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="An exported file to prove, or a directory of them; may be given again.",
            show_default="none",
        ),
    ] = None,
    documents: Annotated[
        bool, typer.Option("--documents", help="Make every document's files again: some 0.3 s of CPU each.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Hold the files to their manifests alone; no database is asked."),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    files = [_read(path) for path in _paths(export or ())]
    if offline:
        if not files or documents:
            raise UsageRefused("--offline needs --export PATH, and makes no documents.")
        _end(Proof((prove_offline(files),), Counts(), {}), as_json)

    async def work(services: Services) -> Proof:
        async def merchant(slug: str) -> MerchantProfile:
            row = await merchant_of(services, slug)
            return await PgOffers(services.database).merchant(row.merchant_id)

        exports = []
        if files:
            stored = Documents(PgDocuments(services.database), None, services.clock, services.ids.next)
            records = PgUsageRecords(services.database)
            exports.append(await prove_exports(files, records, merchant, stored.by_number))
        if documents:
            exports.append(await document_files_of(services).proved())
        return await prove(PgVerify(services.database), exports)

    _end(with_services(config, work), as_json)


def _end(proof: Proof, as_json: bool) -> NoReturn:
    if as_json:
        show_json(proof_as_dict(proof))
    else:
        _tell(proof)
    raise typer.Exit(Exit.OK if proof.holds else Exit.FAILED)


def _paths(given: Sequence[Path]) -> list[Path]:
    """Return the files that are meant, those of directories by their manifests."""
    found: list[Path] = []
    for path in given:
        with as_usage("--export"):
            found += files_in(path) if path.is_dir() else [path]
    return found


def _read(path: Path) -> ExportedFile:
    try:
        with as_usage("--export"):
            return read_export(path, READERS.get(path.suffix, read_csv))
    except OSError as exc:
        raise unreadable(path, exc) from exc


def proof_as_dict(proof: Proof) -> dict[str, object]:
    return {
        "holds": proof.holds,
        "message_rows": proof.counts.messages,
        "charged_messages": proof.counts.charged,
        "charged_replies": proof.counts.replies,
        "invariants": [
            {
                "name": finding.invariant,
                "rule": INVARIANTS[finding.invariant],
                "wrong": finding.wrong,
                "first": finding.first,
            }
            for finding in proof.findings
        ],
        "unproved": proof.unproved,
        "listed": [
            {"name": each.invariant, "what": LISTED[each.invariant], "count": each.wrong, "first": each.first}
            for each in proof.listed
        ],
    }


def _tell(proof: Proof) -> None:
    rows = [
        [finding.invariant, "wrong" if finding.wrong else "holds", INVARIANTS[finding.invariant]]
        for finding in proof.findings
    ]
    show_table(("proof", "", "rule"), rows)
    for finding in proof.broken:
        say(f"{finding.invariant}: {finding.wrong} wrong, the first: {finding.first}.")
    for name, why in proof.unproved.items():
        say(f"{name} is not proved: {why}.")
    for each in proof.listed:
        if each.wrong:
            say(f"{each.invariant}: {each.wrong} {LISTED[each.invariant]}; the first: {each.first}.")
    if len(proof.findings) > 1:
        told = proof.counts
        say(
            f"Of all merchants and kept months: {told.messages} messages to phones, {told.charged} of them "
            f"charged, and {told.replies} charged replies. Exports have a row for each that is charged."
        )
