"""All commands, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import orjson
import typer

from smsgate.api.openapi import document_octets
from smsgate.cli import (
    billing,
    carriers,
    check,
    demo,
    esmes,
    keys,
    merchants,
    migrate,
    pdu,
    phone,
    prices,
    run,
    smsc,
    text,
    wap_push,
)
from smsgate.cli.examples import examples
from smsgate.cli.exits import TABLE, Exit, exit_of, sentence_of
from smsgate.cli.output import JsonOption, say, show, show_json
from smsgate.errors import SmsgateError
from smsgate.version import VERSION

app: Final = typer.Typer(
    name="smsgate",
    help="SMS commerce gateway: offers by SMS, answered OK, become confirmed orders.",
    epilog=TABLE,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", help="Run the gateway until Ctrl-C or SIGTERM.", epilog=run.EPILOG)(run.run)
app.command(
    "demo",
    help="Play the main job with simulated phones and shop.",
    epilog=demo.EPILOG,
)(demo.demo)
app.command(
    "smsc",
    help="Run an SMSC simulator with phones that receive, and answer offers by shares; the rest is silent."
    "\n\nWith --profile it is faulty as carriers are, for any client; --profiles lists the ways.",
    epilog=smsc.EPILOG,
)(smsc.smsc)
app.add_typer(phone.app, name="phone")
app.command("migrate", help="Bring the database's schema up to date.", epilog=migrate.EPILOG)(migrate.migrate)
app.command(
    "check",
    help="Say what is wrong with this installation, and how to mend it.\n\nLooks at configuration, database, "
    "keys, carriers (a short bind with the real credentials) and prices.",
    epilog=check.EPILOG,
)(check.check)
app.command("text", help=text.HELP, epilog=text.EPILOG)(text.text)
app.add_typer(carriers.app, name="carrier")
app.add_typer(pdu.app, name="pdu")
app.add_typer(merchants.app, name="merchant")
app.add_typer(keys.app, name="key")
app.add_typer(esmes.app, name="esme")
app.add_typer(prices.app, name="prices")
app.add_typer(billing.app, name="billing")
app.add_typer(wap_push.app, name="wap-push")


@app.command(
    "openapi",
    help="Print the OpenAPI 3.1 document of the HTTP API.",
    epilog=examples("smsgate openapi > openapi.json"),
)
def openapi() -> None:
    document = orjson.dumps(orjson.loads(document_octets()), option=orjson.OPT_INDENT_2)
    sys.stdout.write(document.decode() + "\n")


@app.command("version", help="Print the version.", epilog=examples("smsgate version"))
def version(as_json: JsonOption = False) -> None:
    if as_json:
        show_json({"version": VERSION})
    else:
        show(VERSION)


def _show_version(asked: bool) -> None:
    if asked:
        show(f"smsgate {VERSION}")
        raise typer.Exit(Exit.OK)


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; never returns."""
    try:
        app(prog_name="smsgate")
    except SmsgateError as exc:
        say(f"smsgate: {sentence_of(exc)}")
        sys.exit(exit_of(exc))
    except BrokenPipeError:
        # Whoever read us has gone (`| head`): nothing is left to say, and the interpreter must not try.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
