"""`smsgate order`: the proof file of an order, written and verified."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit
from smsgate.cli.files import unreadable
from smsgate.cli.output import JsonOption, say, show_json
from smsgate.cli.sessions import with_services
from smsgate.daemon.services import Services
from smsgate.errors import NotFound
from smsgate.flows.order_proof import OrderProofs
from smsgate.security.proof_chain import ProofKey
from smsgate.security.proof_stamps import verify
from smsgate.security.public_ids import Kind
from smsgate.store.order_proof import PgOrderProofs

app: Final = typer.Typer(help="Orders: proof files.", no_args_is_help=True, rich_markup_mode=None)


@app.command(
    "proof",
    help="Write all that led to an order and came of it: consent, the offer's text, the reply and how it was "
    "read, every step, message, receipt, event and delivery, and the stamps that were made of it as it "
    "happened. Each line holds the SHA-256 of the one before; the last one is signed.",
    epilog=examples("smsgate order proof ord_3vQb7XwJpA2cN5kTgY0u1Z > order.proof"),
)
def proof(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Its id: ord_...")],
    config: ConfigOption = None,
) -> None:
    async def work(services: Services) -> bytes:
        store = PgOrderProofs(services.database, services.order_stamps, services.clock)
        order_id = services.public_ids.decode(Kind.ORDER, order)
        merchant_id = await store.owner(order_id)
        if merchant_id is None:
            raise NotFound(f"No order has the id {order}.")
        proofs = OrderProofs(store, services.public_ids, services.clock, ProofKey(services.proof_key))
        return await proofs.file(merchant_id, order_id)

    sys.stdout.buffer.write(with_services(config, work))


@app.command(
    "key",
    help="Show the public key that this gateway signs proof files with: give it to whoever verifies them.",
    epilog=examples("smsgate order key"),
)
def key(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    async def work(services: Services) -> str:
        return ProofKey(services.proof_key).public

    public = with_services(config, work)
    if as_json:
        show_json({"public_key": public})
    else:
        typer.echo(public)


@app.command(
    "verify",
    help="Verify the proof file of an order or a consent: no database, no network. The first entry that does "
    "not hold is named.\n\n"
    "Without --key the file is only shown to be whole, and who signed it.",
    epilog=examples(
        "smsgate order verify order.proof",
        "smsgate order verify order.proof --key $(smsgate order key)",
    )
    + "\n\n\b\nExit codes: 0 all entries hold, 1 one does not, 2 the file cannot be read.",
)
def verify_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `order proof` or `person proof` wrote.")],
    public_key: Annotated[
        str | None, typer.Option("--key", metavar="HEX", help="The gateway's public key.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    try:
        octets = file.read_bytes()
    except OSError as exc:
        raise unreadable(file, exc) from exc
    verdict, held = verify(octets, public_key)
    if as_json:
        stamped = {"stamped": held.stamped, "stamped_since": held.since or None}
        show_json(verdict._asdict() | stamped | {"holds": verdict.wrong is None})
    elif verdict.wrong is not None:
        say(f"smsgate: Entry {verdict.wrong} of {file.name} does not hold: {verdict.reason}.")
    else:
        known = "the key that you gave" if public_key else f"key {verdict.key}: compare it"
        typer.echo(f"All {verdict.entries} entries hold, signed by {known}.")
        if held.since:
            typer.echo(f"{held.stamped} of them were stamped as things happened, from {held.since} on.")
    if verdict.wrong is not None:
        raise typer.Exit(Exit.FAILED)
