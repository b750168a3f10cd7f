"""`smsgate phone`: look at a simulated phone, and type on it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused
from smsgate.cli.output import JsonOption, say, show, show_json
from smsgate.cli.sessions import run_to_end
from smsgate.cli.smsc import CONTROL_PORT
from smsgate.demo.main import STATE_DIR
from smsgate.errors import NotFound
from smsgate.simulator.control_client import fetch_inbox, send_reply

app: Final = typer.Typer(
    help="Phones of a running simulator: read, reply.", no_args_is_help=True, rich_markup_mode=None
)

ENV: Final = "SMSGATE_PHONES"
DEMO_NOTES: Final = STATE_DIR / "demo.json"
NOTES_OCTETS_MAX: Final = 65_536

ControlOption = Annotated[
    str | None,
    typer.Option(
        help="Where the simulator is controlled, as `smsgate smsc` printed it.",
        show_default=f"{ENV}, else the running demo's, else http://127.0.0.1:{CONTROL_PORT}",
    ),
]
PhoneArgument = Annotated[
    str, typer.Argument(metavar="MSISDN", help="+33612345678, with or without the plus.")
]


@app.command(
    "inbox",
    help="Show what the phone received, the oldest first.",
    epilog=examples("smsgate phone inbox +33639980001"),
)
def inbox(msisdn: PhoneArgument, control: ControlOption = None, as_json: JsonOption = False) -> None:
    _check(msisdn)
    messages = run_to_end(fetch_inbox(control_url(control), msisdn))
    received = [
        (message.sender, datetime.fromtimestamp(message.received_at_s, UTC), message.text)
        for message in messages
    ]
    if as_json:
        show_json([{"sender": sender, "received_at": at, "text": text} for sender, at, text in received])
        return
    for sender, at, text in received:
        show(f"{at:%Y-%m-%d %H:%M:%S} UTC  from {sender}")
        show(f"  {text}")


@app.command(
    "reply",
    help="Type a text on the phone and send it.",
    epilog=examples(
        "smsgate phone reply +33639980001 OK", "smsgate phone reply +33639980001 STOP --to 36111"
    ),
)
def reply(
    msisdn: PhoneArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the phone says: OK, 2, STOP")],
    to: Annotated[
        str | None, typer.Option(help="The number to write to.", show_default="who wrote last")
    ] = None,
    control: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    _check(msisdn)
    try:
        went_to = run_to_end(send_reply(control_url(control), msisdn, text, to))
    except NotFound as exc:
        raise NotFound(f"{exc}, with --to 36111") from None
    if as_json:
        show_json({"msisdn": msisdn, "to": went_to, "text": text})
    else:
        say(f"{msisdn} sent {text!r} to {went_to}.")


def _check(msisdn: str) -> None:
    """Refuse what would be another path of the control interface."""
    digits = msisdn.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        raise UsageRefused(f"{msisdn[:40]!r} is no phone number: write it as +33612345678.")


def control_url(given: str | None, notes: Path = DEMO_NOTES) -> str:
    """Return where the simulator is controlled: as told, else as the environment or a demonstration says."""
    if found := given or os.environ.get(ENV):
        return found
    try:
        with notes.open("rb") as file:
            return str(orjson.loads(file.read(NOTES_OCTETS_MAX))[ENV])
    except (OSError, ValueError, KeyError, TypeError):  # no demonstration, or its notes are of another form
        return f"http://127.0.0.1:{CONTROL_PORT}"
