"""`smsgate reply`: what a customer's reply means, and why."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.campaigns.replies import Context
from smsgate.campaigns.reply_inspection import LANGUAGE_UNKNOWN, inspect_reply
from smsgate.cli.examples import examples
from smsgate.cli.json_lines import Row, text_or_lines
from smsgate.cli.output import JsonOption, show, show_json
from smsgate.kept_tables import reply_tables_at_hand

EPILOG: Final = examples(
    'smsgate reply "ok merci" --lang fr',
    'smsgate reply "OUI" --lang fr --context optin',
    "smsgate reply replies.jsonl > answers.jsonl",
    """echo '{"text":"OK 2","lang":"fr"}' | smsgate reply""",
)
HELP: Final = (
    "Say what a customer's reply means: accept, quantity, choice, decline, stop, start, help, feedback, auto "
    "or unclear, and the rule that says so.\n\n"
    'Without a text, lines are read: {"text","lang"?,"context"?,"names"?} each, or the bare text; one answer '
    'per line, in order: {"label","quantity"?,"language","reason","rule"}. What else an object holds is not '
    "looked at. Exit code 1: at least one line could not be read, and its answer is an error."
)


def reply(
    words: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT | FILE]",
            help="A reply, shown for people, or a file of lines; - is standard input.",
            show_default=False,
        ),
    ] = None,
    language: Annotated[
        str, typer.Option("--lang", metavar="CODE", help="Language of the subscriber's profile.")
    ] = LANGUAGE_UNKNOWN,
    context: Annotated[
        Context,
        typer.Option(
            help="What is open for the person: one offer, several, none, a double opt-in, a poll, a list."
        ),
    ] = Context.OFFER,
    as_json: JsonOption = False,
) -> None:
    reply_tables_at_hand()
    profile: Row = {"lang": language, "context": context.value}
    words = text_or_lines(words, lambda row: inspect_reply(profile | row))
    found = inspect_reply(profile | {"text": words})
    if as_json:
        show_json({"text": words, **found})
        return
    quantity = f" {found['quantity']}" if "quantity" in found else ""
    show(f"{found['label']}{quantity}: {found['reason']}")
    show(f"rule {found['rule']}, language {found['language']}, rules of {found['rules_version']}")
