"""`smsgate billing verify`: the books are proved against the messages, and the first wrong row is named."""

from __future__ import annotations

from typing import Final

import typer

from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import ConfigOption, with_services
from smsgate.daemon.services import Services
from smsgate.flows.verifying import INVARIANTS, Proof
from smsgate.flows.verifying import verify as prove
from smsgate.store.verify import PgVerify

HELP: Final = (
    "Prove prices, charges, ledger and documents against each other, over the whole database.\n\nReads one "
    "snapshot, so it may run beside the gateway; messages whose partitions were dropped are not looked "
    "at. Ends "
    "with 1 when anything is wrong, and names the first wrong row of each kind."
)
EPILOG: Final = examples(
    "smsgate billing verify",
    "smsgate billing verify --json",
)


def verify(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    async def work(services: Services) -> Proof:
        return await prove(PgVerify(services.database))

    proof = with_services(config, work)
    if as_json:
        show_json(proof_as_dict(proof))
    else:
        _tell(proof)
    raise typer.Exit(Exit.OK if proof.holds else Exit.FAILED)


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
    say(f"{proof.rows} message rows were looked at.")
