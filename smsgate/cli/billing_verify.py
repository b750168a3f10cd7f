"""`smsgate billing verify`: the books are proved against the messages, and the first wrong row is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, as_usage
from smsgate.cli.files import unreadable
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import ConfigOption, merchant_of, with_services
from smsgate.daemon.invoicing import document_files_of
from smsgate.daemon.services import Services
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.export_proofs import ExportedFile, prove_exports, read_csv, read_export
from smsgate.flows.verifying import INVARIANTS, LISTED, Proof
from smsgate.flows.verifying import verify as prove
from smsgate.invoicing.tables import parquet_sums
from smsgate.store.offers import PgOffers
from smsgate.store.usage_records import PgUsageRecords
from smsgate.store.verify import PgVerify

HELP: Final = (
    "Prove prices, charges, ledger and documents against each other, over the whole database.\n\nReads one "
    "snapshot, so it may run beside the gateway; messages whose partitions were dropped are not looked "
    "at. --export proves a file of smsgate billing export as well, row by row: against the manifest beside "
    "it, and the ledger. --documents makes documents' files again and holds them to those that were handed "
    "out. Ends with 1 when anything is wrong, and names the first wrong row of each kind."
)
EPILOG: Final = examples(
    "smsgate billing verify",
    "smsgate billing verify --export messages-2026-10.csv --export messages-2026-10.parquet",
    "smsgate billing verify --documents",
    "smsgate billing verify --json",
)
PARQUET: Final = ".parquet"  # how the name of such a file ends; others are CSV


def verify(
    export: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="An exported file to prove; may be given again.", show_default="none"
        ),
    ] = None,
    documents: Annotated[
        bool, typer.Option("--documents", help="Make every document's files again: some 0.3 s of CPU each.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    files = [_read(path) for path in export or ()]

    async def work(services: Services) -> Proof:
        async def merchant(slug: str) -> MerchantProfile:
            row = await merchant_of(services, slug)
            return await PgOffers(services.database).merchant(row.merchant_id)

        exports = []
        if files:
            exports.append(await prove_exports(files, PgUsageRecords(services.database), merchant))
        if documents:
            exports.append(await document_files_of(services).proved())
        return await prove(PgVerify(services.database), exports)

    proof = with_services(config, work)
    if as_json:
        show_json(proof_as_dict(proof))
    else:
        _tell(proof)
    raise typer.Exit(Exit.OK if proof.holds else Exit.FAILED)


def _read(path: Path) -> ExportedFile:
    try:
        with as_usage("--export"):
            return read_export(path, parquet_sums if path.suffix == PARQUET else read_csv)
    except OSError as exc:
        raise unreadable(path, exc) from exc


def proof_as_dict(proof: Proof) -> dict[str, object]:
    return {
        "holds": proof.holds,
        "message_rows": proof.rows,
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
    say(f"{proof.rows} message rows were looked at.")
