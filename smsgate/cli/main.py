"""All commands, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated, Final

import typer

from smsgate.cli.exits import TABLE, Exit, exit_of, sentence_of
from smsgate.cli.lazy import OPTIONS, Command, lazy_group
from smsgate.cli.output import say, show
from smsgate.errors import SmsgateError
from smsgate.version import VERSION

COMMANDS: Final = (
    Command("run", "run", "Run the gateway until Ctrl-C or SIGTERM.", "run"),
    Command("demo", "demo", "Play the main job with simulated phones and shop.", "demo"),
    Command("bench", "bench", "Measure what this machine carries.", "bench"),
    Command("smsc", "smsc", "Run an SMSC simulator with phones, well or faulty.", "smsc"),
    Command("phone", "phone", "Phones of a running simulator: read, reply."),
    Command("migrate", "migrate", "Bring the database's schema up to date.", "migrate"),
    Command("check", "check", "Say what is wrong with this installation, and how to mend it.", "check"),
    Command("text", "text", "Say how a text goes on air, and what would make it cheaper.", "text"),
    Command("reply", "reply", "Say what a customer's reply means, and why.", "reply"),
    Command("wap-push", "wap_push", "Links as WAP Push, in hexadecimal."),
    Command("pdu", "pdu", "Look into SMPP PDUs, and make them."),
    Command("carrier", "carriers", "See carriers at work, and what was said on their binds."),
    Command("reload", "reload", "Have the running gateway follow its changed configuration.", "reload_"),
    Command("route", "routes", "See how messages find their carrier."),
    Command("portability", "portability", "Numbers that moved to another network."),
    Command("merchant", "merchants", "Merchants: add, list, give prices, suspend."),
    Command("person", "persons", "A person's data: hand out, erase; numbers that nobody may write to."),
    Command("retention", "retention", "What is kept how long, and why."),
    Command("offer", "offers", "Offers: stock, new versions, withdrawal."),
    Command("order", "orders", "Orders: proof files, written and verified."),
    Command("key", "keys", "API keys: add, list, revoke."),
    Command("esme", "esmes", "ESME accounts: add, list, set-password, disable, enable, sessions."),
    Command("prices", "prices", "Price lists: list, show. New versions: smsgate billing publish."),
    Command("billing", "billing", "Billing: statements, exports and worked cases."),
    Command("openapi", "openapi", "Print the OpenAPI 3.1 document of the HTTP API.", "openapi"),
    Command("version", "about", "Print the version.", "version"),
)

DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

app: Final = typer.Typer(
    name="smsgate",
    help="SMS commerce gateway: offers by SMS, answered OK, become confirmed orders.",
    epilog=TABLE,
    no_args_is_help=True,
    cls=lazy_group(COMMANDS),
    **OPTIONS,
)


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


def _open_closed_streams() -> None:
    """Put /dev/null where a standard stream was closed (`<&-`): Python has None there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _silence_stdout() -> None:
    """Let the interpreter write what is left to nobody, rather than fail again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line; never returns."""
    _open_closed_streams()
    try:
        app(prog_name="smsgate")
    except SmsgateError as exc:
        say(f"smsgate: {sentence_of(exc)}")
        sys.exit(exit_of(exc))
    except BrokenPipeError:
        _silence_stdout()  # whoever read us has gone (`| head`): nothing is left to say
        sys.exit(Exit.FAILED)
    except OSError as exc:
        words = exc.strerror or str(exc)
        if not words:
            raise  # not the system's answer to something: whoever looks into it needs the place
        _silence_stdout()
        what = "Cannot write" if exc.errno in DISK_FULL else exc.filename
        say(f"smsgate: {words if what is None else f'{what}: {words}'}.")
        sys.exit(Exit.FAILED)
